# Every target sets up its environment: python3, make and the package index are enough.
#
#   make design     design 100 drug-like molecules towards four goals
#   make test       style, types, conformance, fast tests
#   make test-all   the same with the slow tests
#   make help       the rest

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
ready  := $(VENV)/.ready-

# Both may be absent: conformance is then skipped, and data is downloaded.
REFERENCE_VECTORS ?= $(abspath $(wildcard ../shared/reference_vectors))
export MOLGEN_DATA_DIR ?= $(abspath $(wildcard ../shared/datasets))

# Two pytest workers, one thread each: on two cores more threads compete. A file stays with one
# worker, so that its fixtures are made once; files run in the order of their names, so that the many
# short ones of unit/ come last and both workers end together (by default xdist takes files of few
# tests last, and a notebook is one test).
PYTEST := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(PY) -m pytest -n 2 --dist loadfile \
  --no-loadscope-reorder

.PHONY: help venv design notebooks lab docs release-check test test-all lint types conformance coverage fuzz format bench clean
.PHONY: train-qm9 train-baselines train-self-correcting train-selfies train-zinc250k train-classifiers
.PHONY: frontier

help: ## show this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 30

venv: $(ready)test ## create .venv with all requirements

# What a target needs, as extras of pyproject.toml: a line each, and the stamp is $(ready)NAME. A
# stamp is newer than the two files when its part of the environment is up to date.
EXTRAS.core      :=
EXTRAS.charts    := plots
EXTRAS.notebooks := notebooks,plots,learn
EXTRAS.lab       := notebooks,plots,learn,parquet,xlsx
EXTRAS.docs      := docs,plots
EXTRAS.docking   := docking
EXTRAS.campaigns := dask
EXTRAS.test      := dev,docs,notebooks,plots,parquet,xlsx,learn,fcd,http,docking,dask

# An existing environment is completed, not replaced; an incomplete one (without pip) is made again.
# Any part has the core with it.
$(ready)%: pyproject.toml constraints.txt
	$(if $(filter undefined,$(origin EXTRAS.$*)),$(error there is no EXTRAS.$* in the Makefile))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "molgen needs Python 3.11 or newer: make PYTHON=python3.12 venv" >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "$(PYTHON) cannot create environments (no ensurepip): install your system's python3-venv package" >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -c constraints.txt -e '.$(if $(EXTRAS.$*),[$(EXTRAS.$*)])'
	@touch $(ready)core $@

design: $(ready)core ## design 100 drug-like molecules towards four goals: out/design.csv and out/design.png
	@mkdir -p out
	$(VENV)/bin/molgen design zinc250k --target qed=0.8.. --target logp=2..3 --target tpsa=60..90 \
	  --target sa=..3 --n 100 --seed 0 --out out/design.csv --grid out/design.png

notebooks: $(ready)notebooks ## run the notebooks and store their outputs in them (minutes)
	$(PY) notebooks/renew.py

lab: $(ready)lab ## JupyterLab on the notebooks
	@$(PY) -m jupyterlab --version >/dev/null 2>&1 || $(PY) -m pip install --quiet jupyterlab
	$(PY) -m jupyterlab notebooks

docs: $(ready)docs ## the documentation site: out/site/index.html; warnings are errors
	$(PY) -m sphinx -b html -q -W --keep-going docs out/site

lint: $(ready)test ## ruff: style and formatting; import-linter: layers
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports --no-logo --no-cache

format: $(ready)test ## fix formatting with ruff
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: $(ready)test ## mypy
	$(PY) -m mypy

conformance: $(ready)test ## the kernels against the published numbers, if present
ifneq ($(REFERENCE_VECTORS),)
	$(PY) tests/conformance.py $(REFERENCE_VECTORS)
else
	@echo "conformance: skipped, no REFERENCE_VECTORS folder"
endif

# In sequence, cheapest first, so that pytest's summary comes last.
test: $(ready)test ## style, types, conformance and the fast tests
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory conformance
	$(PYTEST) -m "not slow"

test-all: $(ready)test ## the same with the slow tests
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory conformance
	$(PYTEST)

release-check: $(ready)test ## sdist and wheel in out/dist, and the wheel tried in an empty environment
	$(PY) tests/release.py out/dist

# Ten thousand hostile inputs: about 45 minutes on two cores. A tenth of them is part of test-all.
fuzz: $(ready)test ## hostile options, tables, molecules, model folders and stores
	OMP_NUM_THREADS=1 $(PY) tests/fuzz --inputs 10000 --out out/fuzz

coverage: $(ready)test ## the fast tests, with the lines of the library covered
	$(PYTEST) -m "not slow" --cov=molgen --cov=property_models --cov-report=term:skip-covered

# Exit status 1: a ratio is worse than the best earlier one in benchmarks/history.jsonl.
bench: $(ready)core ## speed, part by part, as ratios within one run; marks what became slower
	$(PY) benchmarks/bench.py

# Training of the bundled models from public data. Resumes after an interruption.
# The recipe of the bundled QM9 models: 40 epochs, batch 512. Hours on two cores; with DEVICE=cuda
# minutes.
DEVICE ?= cpu
RECIPE := --epochs 40 --batch-size 512 --lr 2.5e-3 --seed 0 --device $(DEVICE)

train-qm9: out/qm9.csv.gz ## train the bundled QM9 model again, from the data on
	$(VENV)/bin/molgen train $< --out out/qm9 $(RECIPE)

train-baselines: out/qm9.csv.gz ## train UDLM and the autoregressive model with the same recipe
	$(VENV)/bin/molgen train $< --noise uniform --out out/qm9-udlm $(RECIPE)
	$(VENV)/bin/molgen train $< --noise none --out out/qm9-ar $(RECIPE)

train-self-correcting: out/qm9.csv.gz ## train the network that corrects its own draws
	$(VENV)/bin/molgen train $< --self-correct --out out/qm9-self-correcting $(RECIPE)

train-selfies: out/qm9.csv.gz ## train the SELFIES twin of the QM9 model with the same recipe
	$(VENV)/bin/molgen train $< --representation selfies --out out/qm9-selfies $(RECIPE)

DRUG_LIKE := qed,ring_count,logp,tpsa,mw,sa,hbd,hba,rotatable_bonds,fsp3

# About three hours on two cores; on a GPU use $(RECIPE) instead.
DRUG_LIKE_RECIPE := --layers 6 --width 192 --heads 4 --epochs 6 --batch-size 128 --lr 5e-3 --seed 0 \
  --device $(DEVICE)

train-zinc250k: out/zinc250k.csv.gz ## train the model of drug-like molecules and its noisy classifier
	$(VENV)/bin/molgen train $< --out out/zinc250k --properties $(DRUG_LIKE) --max-length 66 \
	  $(DRUG_LIKE_RECIPE)
	$(VENV)/bin/molgen train-classifier $< --model out/zinc250k --out out/zinc250k/classifier --epochs 2 \
	  --batch-size 64 --lr 2e-3 --device $(DEVICE)

train-classifiers: out/qm9.csv.gz ## train the noisy classifiers of the bundled QM9 models and of out/qm9-udlm
	for model in qm9 qm9-ar out/qm9-udlm; do \
	  $(VENV)/bin/molgen train-classifier $< --model $$model --out out/classifier-$$(basename $$model) --epochs 16 \
	    --from-scratch --batch-size 512 --lr 2.5e-3 --device $(DEVICE) || exit; \
	done

frontier: $(ready)charts ## chart both frontiers of all bundled models (hours; resumes)
	$(VENV)/bin/molgen frontier qm9 --property ring_count --out out/frontier/ring_count
	$(VENV)/bin/molgen frontier qm9 --property qed --out out/frontier/qed

out/%.csv.gz: data/prepare.py data/sources.py | $(ready)charts
	$(PY) data/prepare.py $* --out $@

clean: ## remove all build products, the environment included
	rm -rf $(VENV) out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

"""Every kind of run, interrupted and resumed, ends with the bytes of one without interruption."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import record
from commands import Run, names
from molgen.utils.journal import Call

SCORER = """
from rdkit import Chem

def size(mol):
    smiles = Chem.MolToSmiles(mol)
    with open("calls.log", "a") as file:
        file.write(smiles + "\\n")
    if mol.GetNumAtoms() == 4:
        raise RuntimeError(f"no size of {smiles}")
    return float(mol.GetNumAtoms())
"""
CASES = {
    "sample": f"{record.CFG} --batch-size 4",
    "sample, a trajectory": f"{record.CFG} --batch-size 4 --trajectory events.csv",
    "sample, an order": f"{record.CFG} --batch-size 4 --order entropy-bounded:gamma=.5",
    "sample, uniform noise": f"sample tiny-uniform {record.SAMPLE} --batch-size 4",
    "sample, left to right": f"{record.LEFT_TO_RIGHT} --batch-size 4 --trajectory events.csv",
    "sample, whole kernels": f"{record.CFG} --batch-size 4 {record.EVENTS['whole kernels']}",
    "sample, corrector": f"{record.OTHER['corrector']} --batch-size 4",
    "sample, restarts": f"{record.OTHER['adaptive, restart']} --batch-size 4",
    "sample, unique": f"{record.CFG} --batch-size 4 --adapt "
    "remask:share=.4,budget=40,by=psi,until=valid+unique",
    "design": f"{record.OTHER['design']} --batch-size 4",
    "design, scaffolds": f"{record.OTHER['scaffold']} --batch-size 4",
    "design, scaffolds, retries": f"{record.OTHER['scaffold, adaptive']} --batch-size 4",
    "best of n": record.OTHER["best of n"],
    "metropolis": record.OTHER["metropolis, fragments"],
    "smc": record.OTHER["smc"],
    "smc, twisted": record.OTHER["smc, twisted"],
    "leads": record.OTHER["leads"],
    "leads, oracle": record.OTHER["leads, oracle"],
    "leads, donors": record.OTHER["leads, donors"],
    "leads, classifier": record.OTHER["leads, proposals"],
}
FAST = ("sample, a trajectory", "sample, unique", "design", "smc, twisted", "leads, oracle")
OWN = "scorers.py:size"
SCORED = {
    "sample": f"{record.CFG} --batch-size 4 --property {OWN}",
    "design": f"design tiny-masked --n 30 --steps 12 --target {OWN}=5.. --max-draws 200",
    "search": f"search tiny-masked --n 4 --nfe 60 --target {OWN}=max",
    "optimize": "optimize tiny-masked leads.smi --similarity .1 --attempts 6 --oracle-calls 9 "
    f"--target {OWN}=max",
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    record.models(folder)
    return folder


@pytest.fixture(autouse=True)
def folder(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in models.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "scorers.py").write_text(SCORER)
    monkeypatch.setattr("molgen.discovery.smc.ROUND", 8)  # several calls in a short run
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Results:
    """Counts results that are added to journals, and ends the run at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.rows, self.last = 0, 0, -1
        add = Call.add

        def counted(call: Call, arrays: dict[str, np.ndarray]) -> None:
            add(call, arrays)
            self.count += 1
            self.rows += len(next(iter(arrays.values())))
            if self.count == self.last:
                raise OSError("power cut")

        monkeypatch.setattr(Call, "add", counted)

    def reset(self, last: int = -1) -> None:
        self.count, self.rows, self.last = 0, 0, last


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> Results:
    return Results(monkeypatch)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(w, id=n, marks=[] if n in FAST else [pytest.mark.slow])
        for n, w in CASES.items()
    ],
)
def test_a_resumed_run_draws_only_what_is_missing(
    molgen: Run, folder: Path, results: Results, words: str
) -> None:
    asked = [*words.split(), "--dtype", "fp64", "--out"]
    whole = molgen(*asked, "whole.csv")
    assert whole.status in (0, 3), whole.err
    events = Path("events.csv")
    drawn = events.read_bytes() if events.exists() else b""
    total, count = results.rows, results.count
    assert count > 1
    results.reset(count // 2)
    ran = molgen(*asked, "a.csv")
    assert ran.status == 2
    assert ran.err.endswith(f"molgen {asked[0]}: power cut\n")
    assert "a.csv.journal" in names(folder)
    before = results.rows
    assert 0 < before < total
    results.reset()
    ran = molgen(*asked, "a.csv", "--resume")
    assert (ran.status, ran.err) == (whole.status, whole.err)
    assert results.rows == total - before
    assert Path("a.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert (events.read_bytes() if drawn else b"") == drawn
    assert "a.csv.journal" not in names(folder)


@pytest.mark.parametrize("words", SCORED.values(), ids=SCORED)
def test_a_resumed_run_repeats_no_call_of_a_function(
    molgen: Run, folder: Path, results: Results, words: str
) -> None:
    asked, calls = [*words.split(), "--dtype", "fp64", "--out"], Path("calls.log")
    whole = molgen(*asked, "whole.csv")
    assert whole.status in (0, 3), whole.err
    scored, count = Counter(calls.read_text().split()), results.count
    assert set(scored.values()) == {1}
    assert "no size of" in whole.err
    calls.unlink()
    results.reset(max(1, count - 1))
    assert molgen(*asked, "a.csv").status == 2
    results.reset()
    ran = molgen(*asked, "a.csv", "--resume")
    assert (ran.status, ran.err) == (whole.status, whole.err)
    assert Counter(calls.read_text().split()) == scored
    assert Path("a.csv").read_bytes() == Path("whole.csv").read_bytes()


@pytest.mark.slow
def test_a_run_may_be_interrupted_again_and_again(
    molgen: Run, folder: Path, results: Results
) -> None:
    asked = [*CASES["metropolis"].split(), "--dtype", "fp64", "--out"]
    molgen(*asked, "whole.csv")
    total, drawn = results.rows, 0
    for _ in range(4):
        results.reset(2)
        assert molgen(*asked, "a.csv", "--resume").status == 2
        drawn += results.rows
    results.reset()
    assert molgen(*asked, "a.csv", "--resume").status in (0, 3)
    assert drawn + results.rows == total
    assert Path("a.csv").read_bytes() == Path("whole.csv").read_bytes()


@pytest.fixture
def unfinished(molgen: Run, folder: Path, results: Results) -> list[str]:
    """The words of a run of which there is a journal."""
    asked = [*SCORED["sample"].split(), "--out", "a.csv"]
    results.reset(2)
    assert molgen(*asked).status == 2
    results.reset()
    return asked


def test_a_journal_is_not_overwritten(molgen: Run, unfinished: list[str]) -> None:
    line = molgen(*unfinished).refused()
    assert "a.csv.journal" in line
    assert "--resume" in line
    assert "delete" in line


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--n", "25"], "--n was 24 and is 25"),
        (["--seed", "6"], "--seed was 5 and is 6"),
        (["--temperature", ".9"], "--temperature was null and is"),
        (["--target", "logp=max"], "--target was"),
        (["--score-timeout", "9"], "--score-timeout was 60.0 and is 9.0"),
    ],
)
def test_other_words_are_another_request(
    molgen: Run, unfinished: list[str], words: list[str], named: str
) -> None:
    assert named in molgen(*unfinished, *words, "--resume").refused()


def test_words_without_an_effect_may_differ(molgen: Run, unfinished: list[str]) -> None:
    ran = molgen(*unfinished, "--resume", "--batch-size", 7, "--score-workers", 1)
    assert ran.status == 0, ran.err


def test_another_model_function_or_version_is_another_request(
    molgen: Run, folder: Path, unfinished: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scorers, place = folder / "scorers.py", folder / "tiny-masked"
    scorers.write_text(SCORER + "\n")
    assert "content of scorers.py was" in molgen(*unfinished, "--resume").refused()
    scorers.write_text(SCORER)
    monkeypatch.setattr("molgen.version.__version__", "99.0")
    assert 'molgen was "' in molgen(*unfinished, "--resume").refused()
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    original = place.resolve()
    place.unlink()
    shutil.copytree(original, place)
    info = place / "molgen.json"
    info.write_text(info.read_text().replace('"steps": 12', '"steps": 13'))
    assert "content of model was" in molgen(*unfinished, "--resume").refused()
    info.write_bytes((original / "molgen.json").read_bytes())
    assert molgen(*unfinished, "--resume").status == 0


def test_without_a_journal_a_run_begins(molgen: Run) -> None:
    asked = [*CASES["sample"].split(), "--out"]
    assert molgen(*asked, "a.csv", "--resume").status == molgen(*asked, "b.csv").status == 0
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()


def test_bad_input_leaves_no_journal(molgen: Run, folder: Path) -> None:
    before = names(folder)
    for words in (["--target", "qed=best"], ["--n", "0"], ["--adapt", "restart:budget=x"]):
        molgen(*CASES["sample"].split(), *words, "--out", "a.csv").refused()
        assert names(folder) == before


def test_failures_that_stop_a_run_are_called_again(
    molgen: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "scorers.py").write_text(
        "import os\ndef size(mol):\n    if not os.path.exists('license'):\n        raise OSError"
        "('no license')\n    return float(mol.GetNumAtoms())\n"
    )
    asked = [*SCORED["design"].split(), "--out", "a.csv"]
    ran = molgen(*asked)
    assert ran.status == 2
    assert "no license" in ran.err
    assert "kept a.csv.journal" in ran.out
    (folder / "license").touch()
    assert molgen(*asked, "--resume").status in (0, 3)
    molgen(*asked[:-1], "whole.csv")
    assert Path("a.csv").read_bytes() == Path("whole.csv").read_bytes()

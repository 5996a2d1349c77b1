"""Drug-like molecules: the usual tasks of molecule design, one by one.

    .venv/bin/python benchmarks/drug_like.py zinc250k --tasks de-novo,delivered,steered,goals
    .venv/bin/python benchmarks/drug_like.py zinc250k --tasks attempts --n 100 --drugs drugs.csv
    .venv/bin/python benchmarks/drug_like.py zinc250k --tasks leads --leads leads.csv --first 40

=========  ========================================================================================
de-novo    N rows without a target, no row repaired or replaced: share of molecules
delivered  N new molecules without a target: cost of each
steered    N new molecules guided towards QED and SA, no property filter
attempts   N rows for each drug of a table and each of its scaffolds, guided likewise, none replaced
fragments  N new molecules for each of them
leads      leads, some attempts each: similarity of 0.4 to the lead, and QED of 0.9 at least
lookup     leads for which a file of molecules, such as the training data, has such a molecule
goals      N rows, four goals at once, nothing computed while drawing
=========  ========================================================================================

*valid*: rows that are molecules and keep the constraint, of all rows drawn. *delivered*: of those
requested, valid, unique and strictly novel. *quality*: distinct molecules with QED >= 0.6 and
SA <= 4, over the number requested. *diversity*: mean Tanimoto distance of all pairs (Morgan, radius
2, 2,048 bits), as in Therapeutics Data Commons. *drift*: see ``quality.py``. *NFE*: forwards of the
network for each row drawn (de-novo, goals), molecule delivered, or lead. Settings of the sampler
are the options of ``molgen sample``. Figures are means over seeds with their standard deviation.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lead_tasks import leads, lookup
from quality import DRIFT, RESULTS, Reference, cell, mean, spread, write_csv

import molgen
from molgen.cli import options as sampling
from molgen.constraints import draw as constrained
from molgen.constraints.scaffolds import Constraint, read
from molgen.discovery.counts import ALL, DesignCounts
from molgen.discovery.design import design, survey
from molgen.discovery.goals import read_goals
from molgen.discovery.request import Budget, Request
from molgen.model import Model
from molgen.molecules.fingerprints import fingerprints, pairwise_diversity
from molgen.sampling.result import Result
from molgen.sampling.settings import OPTIONS, Settings
from molgen.targets import read_targets
from property_models import compute

if TYPE_CHECKING:
    import pandas as pd

Figures = dict[str, float]
Measured = Iterator[tuple[str, Figures]]  # part of a task, and its figures

GUIDED = {"qed": "0.7..", "sa": "..3.6"}  # targets of the guidance, without a filter
GUIDED_PARTS = {"qed": "0.75..", "sa": "..3"}  # likewise, for molecules with a fragment
GUIDED_LINKERS = {"qed": "0.6..", "sa": "..4"}  # for attempts: few linkers meet narrower targets
GOALS = {"qed": "0.8..", "logp": "2..3", "tpsa": "60..90", "sa": "..3"}
FRAGMENTS = ("motif_extension", "scaffold_decoration", "superstructure_generation", "linker_design")
QED, SA = 0.6, 4.0  # thresholds of quality
BITS = 2048


def quality(table: pd.DataFrame, requested: int) -> Figures:
    """Return uniqueness and quality over the number requested, and diversity."""
    smiles = sorted({text for text in table["smiles"] if text})
    values = compute(["qed", "sa"], smiles)
    good = (values["qed"] >= QED) & (values["sa"] <= SA)
    return {
        "unique": len(smiles) / requested,
        "quality": float(good.sum()) / requested,
        "diversity": pairwise_diversity(fingerprints(smiles, size=BITS)),
        "mean QED": mean(values["qed"], np.ones(len(smiles), bool)),
        "mean SA": mean(values["sa"], np.ones(len(smiles), bool)),
    }


def delivered(designs: Result[DesignCounts]) -> Figures:
    """Return the figures of a design run."""
    counts = designs.counts
    kept = counts.drawn - counts.fates["invalid"] - counts.fates["constraint lost"]
    return {
        "valid": kept / max(1, counts.drawn),
        "delivered": len(designs.table) / designs.asked,
        **quality(designs.table, designs.asked),
        "NFE": counts.forwards / max(1, counts.accepted),
    }


def de_novo(model: Model, settings: Settings, seed: int, options: argparse.Namespace) -> Measured:
    """Draw rows without a target."""
    samples = model.draw(options.n, None, seed, settings=settings)
    table = model.table(samples, DRIFT)
    valid = (table["smiles"] != "").to_numpy()
    lengths = (samples.tokens != model.tokenizer.pad_id).sum(1).astype(np.float64)
    values = {name: table[name].to_numpy(np.float64) for name in DRIFT}
    yield (
        "",
        {
            "valid": float(valid.mean()),
            "novel": float(table["novel"].mean()),
            **quality(table, options.n),
            "NFE": float(samples.nfe.mean()),
            **Reference(model.prior).drift({**values, "length": np.where(valid, lengths, np.nan)}),
        },
    )


def molecules(model: Model, settings: Settings, seed: int, options: argparse.Namespace) -> Measured:
    """Draw until N new molecules are delivered."""
    yield "", delivered(design(model, Request(n=options.n, seed=seed, settings=settings)))


def steered(model: Model, settings: Settings, seed: int, options: argparse.Namespace) -> Measured:
    """Draw until N new molecules are delivered, all draws guided."""
    request = Request(n=options.n, seed=seed, settings=settings, guided_by=read_targets(GUIDED))
    yield "", delivered(design(model, request))


def parts(options: argparse.Namespace) -> Iterator[tuple[str, list[tuple[str, Constraint]]]]:
    """Yield each kind of scaffold, and those of all drugs by name."""
    with options.drugs.open(newline="", encoding="utf-8") as file:
        drugs = list(csv.DictReader(file))[: options.first]
    for kind in options.kinds:
        task = "superstructure" if kind.startswith("superstructure") else None
        yield kind, [(drug["name"], read(drug[kind], task)) for drug in drugs]


def attempts(model: Model, settings: Settings, seed: int, options: argparse.Namespace) -> Measured:
    """Draw rows that contain parts of drugs, one draw each, as papers count them."""
    for kind, scaffolds in parts(options):
        targets = read_targets(GUIDED_LINKERS if kind == "linker_design" else GUIDED_PARTS)
        found = []
        for name, scaffold in scaffolds:
            table = constrained.draw(model, scaffold, options.n, targets, seed, settings=settings)
            kept = table[table["constraint"] == "ok"]
            figures = {"valid": len(kept) / options.n, **quality(kept, options.n)}
            found.append({**figures, "NFE": float(table["nfe"].mean())})
            yield f"{kind} {name}", found[-1]
        means = {key: float(np.nanmean([each[key] for each in found])) for key in found[0]}
        yield f"{kind}, mean of {len(found)} drugs", means


def fragments(model: Model, settings: Settings, seed: int, options: argparse.Namespace) -> Measured:
    """Draw new molecules that contain parts of drugs."""
    for kind, scaffolds in parts(options):
        for name, scaffold in scaffolds:
            request = Request(
                n=options.n,
                constraint=(scaffold,),
                budget=Budget(options.n * options.draws),
                seed=seed,
                settings=settings,
                guided_by=read_targets(GUIDED_PARTS),
            )
            yield f"{kind} {name}", delivered(design(model, request))


def goals(model: Model, settings: Settings, seed: int, options: argparse.Namespace) -> Measured:
    """Draw rows towards four goals at once, and count what met them."""
    request = Request(read_goals(GOALS), options.n, seed=seed, settings=settings)
    counts = survey(model, request).counts
    yield (
        "",
        {
            "valid": 1 - counts.fates["invalid"] / counts.drawn,
            **{f"meets {name}": met.rows / counts.drawn for name, met in counts.met.items()},
            "meets all, distinct": counts.met[ALL].distinct / counts.drawn,
            "NFE": counts.forwards / counts.drawn,
        },
    )


TASKS: dict[str, Callable[[Model, Settings, int, argparse.Namespace], Measured]] = {
    "de-novo": de_novo,
    "delivered": molecules,
    "steered": steered,
    "attempts": attempts,
    "fragments": fragments,
    "leads": leads,
    "lookup": lookup,
    "goals": goals,
}


def measure(model: Model, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row of the table for every task, and for every part of one."""
    settings = sampling.settings(options, model)
    for task in options.tasks:
        found: dict[str, list[Figures]] = {}
        for seed in options.seeds:
            start = time.perf_counter()
            for part, figures in TASKS[task](model, settings, seed, options):
                seconds = time.perf_counter() - start
                found.setdefault(part, []).append({**figures, "seconds": seconds})
                start = time.perf_counter()
        for part, drawn in found.items():
            yield {"task": task, "part": part, **described(options, settings), **spread(drawn)}


def described(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """Return the columns of the model and the settings."""
    keys = "steps", "remask", "weights", "guidance", "gamma", "order", "grammar", "adapt"
    row = {"model": options.model, "N": options.n, "seeds": " ".join(map(str, options.seeds))}
    row |= {key: getattr(settings, OPTIONS[key].name) or "" for key in (*keys, "conditions")}
    return row | {"temperature": settings.shaping.temperature, "top_p": settings.shaping.top_p}


def line(row: Mapping[str, Any]) -> str:
    """Return a row as one line of text."""
    shares = ("NFE", "guide NFE", "seconds", "diversity", "mean", "drift", "oracle", "tries")
    cells = []
    for key in (key for key in row if f"{key} sd" in row):
        percent = not key.startswith(shares)
        digits = 1 if percent or key in ("NFE", "guide NFE", "seconds", "tries") else 3
        if text := cell(row, key, 100 if percent else 1, digits):
            cells.append(f"{key} {text}{' %' if percent else ''}")
    return f"{row['task']} {row['part']}".strip() + ": " + ", ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sampling.add_model(parser)
    numbers = lambda text: [int(part) for part in text.split(",")]  # noqa: E731
    parser.add_argument("--tasks", default="de-novo,delivered,steered,goals")
    parser.add_argument("--n", type=sampling.positive, default=1000)
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2])  # in place of --seed
    parser.add_argument("--drugs", type=Path, metavar="FILE", help="for attempts and fragments")
    parser.add_argument(
        "--kinds", nargs="+", choices=FRAGMENTS, default=FRAGMENTS, help="of fragments; default all"
    )
    parser.add_argument("--leads", type=Path, metavar="FILE", help="for leads")
    parser.add_argument("--first", type=int, help="drugs or leads to take; default all")
    parser.add_argument("--skip", type=int, default=0, help="leads to leave out before those")
    parser.add_argument("--attempts", type=sampling.positive, default=20, help="for each lead")
    parser.add_argument("--stop-after", type=sampling.positive, help="stop a lead after this many")
    parser.add_argument(
        "--top-k",
        type=sampling.positive,
        help="without an oracle, number of attempts selected",
    )
    parser.add_argument(
        "--donors", type=Path, metavar="FILE", help="molecules for leads and lookup"
    )
    parser.add_argument(
        "--lead-rows",
        type=Path,
        metavar="CSV",
        help="keep the rows of finished leads here; the same command continues behind them",
    )
    parser.add_argument("--draws", type=int, default=100, help="most for each molecule requested")
    parser.add_argument("--oracle-calls", type=numbers, default=[0, 20])
    parser.add_argument("--out", type=Path, default=RESULTS / "drug_like.csv")
    sampling.add_sampling(parser)
    options = parser.parse_args()
    options.tasks = options.tasks.split(",")
    needed = (
        ("attempts", "drugs"), ("fragments", "drugs"), ("leads", "leads"), ("lookup", "leads"),
        ("lookup", "donors"),
    )  # fmt: skip
    for task, flag in needed:
        if task in options.tasks and getattr(options, flag) is None:
            parser.error(f"task {task} needs a file: --{flag}")
    rows = []
    for row in measure(molgen.load(options.model), options):
        rows.append(row)
        print(line(row), flush=True)
        write_csv(rows, options.out)


if __name__ == "__main__":
    main()

"""Quality against diversity: the stops of ``--diversity``, found, measured and charted.

    .venv/bin/python benchmarks/quality_diversity.py zinc250k --tune 40 --n 128 --seeds 0
    .venv/bin/python benchmarks/quality_diversity.py zinc250k --published published.csv

*quality*: distinct molecules with QED >= 0.6 and SA <= 4, over all counted. *diversity*: mean
Tanimoto distance of all pairs of distinct valid molecules (Morgan, radius 2, 2,048 bits). A stop
has two rows, of the same draws: *delivered*, the first N molecules that are valid, unique and new
to the training set, as of ``molgen design``; and *one draw*, the first N draws, whatever they are.
Nothing is filtered by a property, retried or repaired. *NFE*: forwards of the network for each of
the N.

All draws are kept in ``OUT/draws``, by what they depend on, and only missing ones are drawn: an
interrupted run continues, and more seeds add to those that are there. ``OUT/table.csv`` has the
figures, ``OUT/chart.png`` the chart, and ``OUT/diversity.json`` the stops with what was measured:
in a model folder they are the stops of ``--diversity``.

With ``--tune K``, K settings chosen at random from a grid are drawn, and those with the highest
quality of the delivered at the diversities of ``--aims`` or beyond become the stops.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from drug_like import Figures, quality
from quality import RESULTS, cell, integers, spread, write_csv
from quality_diversity_chart import chart

import molgen
from molgen.checkpoints.files import CLASSIFIER, DIVERSITY, WEIGHTS
from molgen.cli import options as sampling
from molgen.model import Model
from molgen.molecules.filters import Filters
from molgen.sampling.diversity import Stop, read_stops, write_stops
from molgen.utils.files import digest, replacing
from molgen.version import __version__

GRID = {
    "temperature": (0.7, 0.8, 1.0, 1.2, 1.4),
    "top_p": (1.0, 0.95, 0.9, 0.8),
    "gamma": (2.0, 3.0, 5.0, 8.0),
    "target": (
        *("qed=0.6..; sa=..4", "qed=0.65..; sa=..3.8"),
        *("qed=0.7..; sa=..3.6", "qed=0.75..; sa=..3.3"),
    ),
}
SHARED = {"guidance": "cbg:cfg=1", "conditions": "profile"}
NAMES = "low", "medium", "high", "highest"
BLOCK = 64  # rows between two writes
KEPT = ["smiles", "novel", "nfe", "classifier_nfe"]


def drawn(model: Model, stop: Stop, seed: int, n: int, folder: Path) -> pd.DataFrame:
    """Return draws until N molecules are delivered, with the column ``delivered``."""
    assert model.folder is not None
    network = digest([model.folder / WEIGHTS, model.folder / CLASSIFIER / WEIGHTS])
    words = json.dumps([network, stop.preset["target"], stop.sampling, seed], sort_keys=True)
    path = folder / f"{hashlib.sha256(words.encode()).hexdigest()[:16]}.csv"
    table = pd.DataFrame(columns=KEPT)
    if path.exists():
        table = pd.read_csv(path, keep_default_na=False)
    while (found := with_delivered(table))["delivered"].sum() < n:
        more = model.sample(BLOCK, stop.targets, seed, len(table), preset=stop.sampling).table
        table = pd.concat([table, more[KEPT]], ignore_index=True) if len(table) else more[KEPT]
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            table.to_csv(part, index=False)
    return found


def with_delivered(table: pd.DataFrame) -> pd.DataFrame:
    """Return draws with the column ``delivered``: what ``molgen design`` delivers without goals."""
    new = table["novel"].astype(bool) & ~table["smiles"].duplicated()
    return table.assign(
        delivered=new & Filters().without_radicals().met(table["smiles"]).all(axis=1)
    )


def figures(table: pd.DataFrame, n: int) -> dict[str, Figures]:
    """Return the figures of the first N delivered molecules, and of the first N draws."""
    count = table["delivered"].cumsum()
    spent = table[count.shift(fill_value=0) < n]
    found = {}
    for kind, rows, draws in (
        ("delivered", spent[spent["delivered"]], spent),
        ("one draw", table.head(n), table.head(n)),
    ):
        found[kind] = {
            "valid": float((draws["smiles"] != "").mean()),
            **quality(rows, n),
            "NFE": float(draws["nfe"].sum()) / n,
            "classifier NFE": float(draws["classifier_nfe"].sum()) / n,
        }
    return found


def measure(model: Model, stops: Sequence[Stop], options: argparse.Namespace) -> pd.DataFrame:
    """Return two rows for each stop: means over seeds with standard deviations."""
    rows: list[dict[str, Any]] = []
    for stop in stops:
        seeds = [
            figures(drawn(model, stop, seed, options.n, options.out / "draws"), options.n)
            for seed in options.seeds
        ]
        about = {"stop": stop.name, "model": model.name, "N": options.n}
        about |= {"seeds": ",".join(map(str, options.seeds)), "target": stop.preset["target"]}
        for kind in seeds[0]:
            row = {"kind": kind, **about, **stop.sampling, **spread([each[kind] for each in seeds])}
            rows.append(row)
            print(line(row), flush=True)
            write_csv(rows, options.out / "table.csv")
    return pd.DataFrame(rows)


def line(row: dict[str, Any]) -> str:
    """Return a row as a line of a Markdown table."""
    shares = [cell(row, name, 100, 1) for name in ("valid", "unique", "quality")]
    texts = [
        row["stop"],
        row["kind"],
        *shares,
        cell(row, "diversity", 1, 3),
        cell(row, "NFE", 1, 1),
    ]
    settings = f"{row['target']}; T {row['temperature']:g}, gamma {row['gamma']:g}"
    if row.get("top_p", 1) < 1:
        settings += f", top_p {row['top_p']:g}"
    return f"| {' | '.join([*texts, settings, str(row['N']), row['seeds']])} |"


def candidates(model: Model, count: int) -> list[Stop]:
    """Return settings chosen at random from the grid, each a stop of its own name."""
    cells = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
    order = np.random.default_rng(0).permutation(len(cells))[:count]
    found = []
    for words in (cells[i] for i in order):
        target = str(words.pop("target"))
        sampling = {**model.preset(), **SHARED, **words}
        found.append(Stop(f"{target} {words}", preset(model.name, target, sampling)))
    return found


def preset(model: str, target: str, sampling: dict[str, Any], **measured: Any) -> dict[str, Any]:
    """Return a preset; see :mod:`molgen.sampling.preset_file`."""
    found = {"format": 1, "model": model, "target": target, "sampling": sampling}
    return {**found, "measured": measured, "molgen": __version__}


def chosen(table: pd.DataFrame, stops: Sequence[Stop], aims: Sequence[float]) -> dict[str, Any]:
    """Return the presets of the highest quality at each diversity or beyond, by name.

    The numbers are those that they were chosen by, so they are biased upwards.
    """
    rows = table[table["kind"] == "delivered"].set_index("stop")
    named = {stop.name: stop.preset for stop in stops}
    names = NAMES if len(aims) == len(NAMES) else [f"{aim:g}" for aim in aims]
    found = {}
    for name, aim in zip(names, aims, strict=True):
        able = rows[rows["diversity"] >= aim]
        if len(able):
            found[name] = named[str(able["quality"].idxmax())]
    return found


def measured(table: pd.DataFrame, presets: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return presets with what was measured.

    Args:
        table: of :func:`measure`.
        presets: by the names of stops.
        names: of the rows of each.
    """
    found = {}
    for name, old in presets.items():
        rows = table[table["stop"] == names[name]].set_index("kind")
        made, once = rows.loc["delivered"], rows.loc["one draw"]
        about = {key: float(made[key]) for key in ("quality", "diversity", "NFE")}
        about |= {f"one_draw_{key}": float(once[key]) for key in ("quality", "diversity")}
        about["nfe"] = about.pop("NFE")
        about = {key: round(value, 4) for key, value in about.items()}
        count = {"n": int(made["N"]), "seeds": str(made["seeds"])}
        found[name] = preset(old["model"], old["target"], old["sampling"], **count, **about)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sampling.add_model(parser)
    numbers = lambda text: [float(part) for part in text.split(",")]  # noqa: E731
    parser.add_argument("--n", type=sampling.positive, default=1000)
    parser.add_argument("--seeds", type=integers, default=[0, 1, 2])
    parser.add_argument("--stops", type=Path, metavar="FILE", help="default: those of the model")
    parser.add_argument("--only", nargs="+", metavar="STOP", help="default: all of them")
    parser.add_argument("--tune", type=sampling.positive, metavar="K", help="settings to draw")
    parser.add_argument("--aims", type=numbers, default=[0.829, 0.853, 0.875, 0.888])
    parser.add_argument("--published", type=Path, metavar="CSV", help="points for the chart")
    parser.add_argument("--out", type=Path, default=RESULTS / "quality_diversity")
    options = parser.parse_args()
    model = molgen.load(options.model)
    if options.tune:
        stops = candidates(model, options.tune)
        table = measure(model, stops, options)
        presets = chosen(table, stops, options.aims)
        of = {id(stop.preset): stop.name for stop in stops}
        names = {name: of[id(each)] for name, each in presets.items()}
    else:
        stops = list(read_stops(options.stops or Path(str(model.folder)) / DIVERSITY))
        stops = [stop for stop in stops if not options.only or stop.name in options.only]
        table = measure(model, stops, options)
        presets = {stop.name: dict(stop.preset) for stop in stops}
        names = {name: name for name in presets}
    write_stops(options.out / DIVERSITY, measured(table, presets, names))
    published = None if options.published is None else pd.read_csv(options.published)
    chart(table, published, options.out / "chart.png")


if __name__ == "__main__":
    main()

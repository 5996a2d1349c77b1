"""Errors of property predictors on three measured data sets, beside published ones.

    MOLGEN_DATA_DIR=folder .venv/bin/python benchmarks/fit_property.py

For ESOL, FreeSolv and Lipophilicity, for random and scaffold splits (80 % training, 10 %
calibration, 10 % test) and several seeds: root-mean-square error on the test part, share of test
molecules in their 90 % intervals. Writes ``out/benchmarks/property_models.csv``. ``--trees`` adds
scikit-learn's tree ensembles on the same features and splits.

The published figures are also means and deviations over three seeds, of other 80/10/10 splits;
their validation part selected hyperparameters, while ours calibrates intervals and selects nothing.
ESOL has 11 molecules twice, which are merged here and were not there.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from molgen.utils.files import replacing
from property_models.learned.calibration import errors
from property_models.learned.features import Features
from property_models.learned.fit import assess
from property_models.learned.measured import Measured, read_measured
from property_models.learned.splits import Kind, split

OUT = Path("out") / "benchmarks" / "property_models.csv"
DATA = {
    "esol": "measured log solubility in mols per litre",
    "freesolv": "expt",
    "lipophilicity": "exp",
}
WU = "Wu et al., MoleculeNet: a benchmark for molecular machine learning, 2018"
CHEMPROP = "results in the README of chemprop 1 (Yang et al., 2019), features added, no ensemble"
RONG = "Rong et al., Self-Supervised Graph Transformer on Large-Scale Molecular Data, 2020"


class Row(NamedTuple):
    """A line of the table: mean and standard deviation over seeds."""

    data: str
    split: str
    model: str
    source: str
    seeds: int
    rmse: float
    rmse_std: float
    mae: float | str = ""
    spearman: float | str = ""
    coverage_90: float | str = ""
    training: int | str = ""
    test: int | str = ""


PUBLISHED = (
    Row("esol", "random", "MPNN", WU, 3, 0.58, 0.03),
    Row("esol", "random", "random forest", WU, 3, 1.07, 0.19),
    Row("esol", "random", "D-MPNN", CHEMPROP, 3, 0.555, 0.047),
    Row("esol", "scaffold", "D-MPNN", RONG, 3, 0.980, 0.258),
    Row("esol", "scaffold", "AttentiveFP", RONG, 3, 0.853, 0.060),
    Row("esol", "scaffold", "GROVER large, pretrained", RONG, 3, 0.831, 0.120),
    Row("freesolv", "random", "MPNN", WU, 3, 1.15, 0.12),
    Row("freesolv", "random", "random forest", WU, 3, 2.03, 0.22),
    Row("freesolv", "random", "D-MPNN", CHEMPROP, 3, 1.075, 0.054),
    Row("freesolv", "scaffold", "D-MPNN", RONG, 3, 2.177, 0.914),
    Row("freesolv", "scaffold", "AttentiveFP", RONG, 3, 2.030, 0.420),
    Row("freesolv", "scaffold", "GROVER large, pretrained", RONG, 3, 1.544, 0.397),
    Row("lipophilicity", "random", "graph convolution", WU, 3, 0.655, 0.036),
    Row("lipophilicity", "random", "random forest", WU, 3, 0.876, 0.040),
    Row("lipophilicity", "random", "D-MPNN", CHEMPROP, 3, 0.555, 0.023),
    Row("lipophilicity", "scaffold", "D-MPNN", RONG, 3, 0.653, 0.046),
    Row("lipophilicity", "scaffold", "AttentiveFP", RONG, 3, 0.650, 0.030),
    Row("lipophilicity", "scaffold", "GROVER large, pretrained", RONG, 3, 0.560, 0.035),
)


def ours(
    name: str, kind: Kind, measured: Measured, features: Features, seeds: int
) -> Iterator[Row]:
    """Fit and test the property predictor for each seed."""
    reports = [assess(measured, features, kind, seed).report for seed in range(seeds)]
    yield summary(name, kind, "molgen: Gaussian process", reports)


def trees(
    name: str, kind: Kind, measured: Measured, features: Features, seeds: int
) -> Iterator[Row]:
    """Fit and test scikit-learn's tree ensembles on the same features and splits."""
    from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor

    used = features.counts.any(axis=0)
    table = np.hstack([features.descriptors, features.counts[:, used]])
    table = np.nan_to_num(table).clip(-1e9, 1e9)
    boosting = {"learning_rate": 0.05, "max_iter": 300, "max_leaf_nodes": 15, "max_features": 0.3}
    models = {
        "extra trees": (ExtraTreesRegressor, {"n_estimators": 200, "max_features": 0.33}),
        "gradient boosting": (HistGradientBoostingRegressor, boosting | {"l2_regularization": 1.0}),
    }
    for model, (make, options) in models.items():
        reports = []
        for seed in range(seeds):
            parts = split(measured.smiles, kind, seed)
            fitted = make(random_state=seed, **options)
            fitted.fit(table[parts.train], measured.values[parts.train])
            wrong = errors(measured.values[parts.test], fitted.predict(table[parts.test]))
            reports.append({**wrong, "training": len(parts.train), "test": len(parts.test)})
        yield summary(name, kind, f"scikit-learn: {model}", reports)


def published(name: str, kind: Kind) -> Iterator[Row]:
    """Yield the published figures for that data and split."""
    yield from (row for row in PUBLISHED if (row.data, row.split) == (name, kind))


def summary(name: str, kind: Kind, model: str, reports: Sequence[Mapping[str, Any]]) -> Row:
    """Return means over seeds."""
    mean = {
        key: round(float(np.mean([report[key] for report in reports])), 4)
        for key in ("rmse", "mae", "spearman")
    }
    std = round(float(np.std([report["rmse"] for report in reports])), 4)
    held = [report["coverage"]["0.9"] for report in reports if "coverage" in report]
    return Row(
        name,
        kind,
        model,
        "measured here",
        len(reports),
        mean["rmse"],
        std,
        mean["mae"],
        mean["spearman"],
        round(float(np.mean(held)), 4) if held else "",
        reports[0]["training"],
        reports[0]["test"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", default=",".join(DATA), help="of esol, freesolv, lipophilicity")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trees", action="store_true", help="fit tree ensembles too")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    folder = Path(os.environ.get("MOLGEN_DATA_DIR", "."))
    rows: list[Row] = []
    for name in arguments.data.split(","):
        measured = read_measured(folder / f"{name}.csv.gz", DATA[name])
        print(f"{name}: {measured.summary()}", flush=True)
        features = Features.of_smiles(measured.smiles)
        for kind in ("random", "scaffold"):
            makers = [ours, trees] if arguments.trees else [ours]
            fits = (make(name, kind, measured, features, arguments.seeds) for make in makers)
            for row in chain(*fits, published(name, kind)):
                rows.append(row)
                show(row)
            write(rows, arguments.out)


def show(row: Row) -> None:
    coverage = f"  {row.coverage_90:.0%} in 90 % intervals" if row.coverage_90 != "" else ""
    print(
        f"  {row.split:9s} {row.model:28s} {row.rmse:6.3f} ± {row.rmse_std:.3f}{coverage}",
        flush=True,
    )


def write(rows: list[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)


if __name__ == "__main__":
    main()

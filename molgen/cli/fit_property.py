"""Fit a property predictor to a table of measured molecules; --classifier adds a noisy classifier.

The predictor is a Gaussian process on substructure counts and descriptors, with intervals
calibrated on held-out molecules. DIR contains property.json (its card), property.safetensors,
predictions.csv, calibration.png and, if rows were rejected, left_out.csv. The property is then
model:DIR, its standard deviation uncertainty:DIR. A noisy classifier guides MODEL towards the
property; it is trained on draws of MODEL labelled by the predictor, and written to DIR/classifier.

Example:
  molgen fit-property freesolv.csv.gz --column expt --unit kcal/mol --out out/hydration
  molgen sample qm9 --n 1000 --property model:out/hydration --out samples.csv
  molgen fit-property freesolv.csv.gz --column expt --out out/hydration --classifier qm9
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.cli import options, outputs

if TYPE_CHECKING:
    from property_models.learned.predictor import PropertyPredictor

MOLECULES, EPOCHS = 20_000, 6.0
WRITTEN = ("predictions.csv", "left_out.csv")  # tables in the folder
SHOWN_COVERAGE = ("0.5", "0.9")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", metavar="FILE", help="csv or tsv, with a header; may be gzipped")
    parser.add_argument("--column", required=True, metavar="C", help="the column of values")
    parser.add_argument(
        "--smiles-column", metavar="S", help="(default: smiles, canonical_smiles, ...)"
    )
    parser.add_argument("--name", metavar="NAME", help="of the property (default: the column's)")
    parser.add_argument("--unit", default="", metavar="U", help="of the values")
    parser.add_argument(
        "--direction",
        choices=["max", "min", "none"],
        default="none",
        help="whether more or less of it is better (default: none)",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--split",
        choices=["scaffold", "random"],
        default="scaffold",
        help="how to split off test molecules; the other split is measured too (default: scaffold)",
    )
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="of split and fit")
    group = parser.add_argument_group("noisy classifier")
    group.add_argument(
        "--classifier",
        metavar="MODEL",
        type=options.model_name,
        help="train a noisy classifier for this model",
    )
    group.add_argument(
        "--classifier-molecules",
        type=options.positive,
        default=MOLECULES,
        metavar="N",
        help=f"number to draw and label (default: {MOLECULES})",
    )
    group.add_argument(
        "--classifier-epochs",
        type=float,
        default=EPOCHS,
        metavar="E",
        help=f"passes over these molecules (default: {EPOCHS:g})",
    )


def run(arguments: argparse.Namespace) -> int:
    """Fit and write; return the exit status."""
<<<<<<< HEAD
    from molgen.utils.files import check_folder
    from molgen.utils.locks import locked

    out = check_folder(arguments.out)
    if Path(arguments.file).resolve() in [(out / name).resolve() for name in WRITTEN]:
        raise MolgenError(f"file is {arguments.file!r}, which a run in {arguments.out!r} replaces")
    with locked(out):
        return _run(arguments, out)


def _run(arguments: argparse.Namespace, out: Path) -> int:
    from molgen.training.ingest import COLUMN, built_in
    from property_models.learned.fit import fit_predictor
    from property_models.learned.fitting import check_library
    from property_models.learned.measured import read_measured

    check_library()
    if not 0 < arguments.classifier_epochs < float("inf"):
        raise MolgenError(
            f"classifier-epochs is {arguments.classifier_epochs}, expected more than 0"
        )
    model = None
    if arguments.classifier:
        from molgen import load

        model = load(arguments.classifier)
    measured = read_measured(arguments.file, arguments.column, arguments.smiles_column, True)
    options.say(f"{Path(arguments.file).name}: {measured.summary()}")
    try:
        predictor, tested = fit_predictor(
            measured,
            arguments.name or arguments.column,
            arguments.unit,
            arguments.direction,
            arguments.split,
            arguments.seed,
            on_stage=_stage,
        )
    except ValueError as error:  # often because of rejected rows
        raise MolgenError(f"{error}; {'; '.join(measured.notes)}") from error
    note([*measured.notes, *built_in(arguments.file, {arguments.column: COLUMN})])
    write(out, predictor, tested, measured)
    options.say(report(predictor))
    options.say(f"wrote {out}: the property model:{out} and its deviation uncertainty:{out}")
    if model is not None:
        _classifier(arguments, model, measured, tested, out)
    return 0


def write(out: Path, predictor: PropertyPredictor, tested: Assessment, measured: Measured) -> None:
    """Write the predictor's folder; the predictor itself last, so that it is never partial."""
    from molgen.data.tables import write_table
    from property_models.learned.calibration_plot import calibration_plot

    out.mkdir(parents=True, exist_ok=True)
    write_table(predictions(tested, measured), out / "predictions.csv")
    left_out = out / "left_out.csv"
    if measured.left_out:
        measured.write_left_out(left_out)
    else:
        left_out.unlink(missing_ok=True)
    try:
        calibration_plot(
            tested, measured.values, predictor.name, out / "calibration.png", predictor.unit
        )
    except ValueError as error:  # no matplotlib: only the plot is missing
        print(f"no calibration.png: {error}", file=sys.stderr)
    predictor.save(out)


def predictions(tested: Assessment, measured: Measured) -> Any:
    """Return a table of all molecules: measured, predicted, the 90 % interval, and the part."""
    import numpy as np
    import pandas as pd

    parts = np.full(len(measured.smiles), "training", dtype=object)
    parts[tested.split.calibration] = "calibration"
    parts[tested.split.test] = "test"
    low, high = tested.conformal.interval(tested.mean, tested.spread, 0.9)
    return pd.DataFrame(
        {
            "smiles": measured.smiles,
            "measured": measured.values,
            "predicted": tested.mean,
            "low_90": low,
            "high_90": high,
            "part": parts,
        }
    )
=======
    from molgen.api.fit_property import fit_property

    names = (
        *("column", "out", "smiles_column", "name", "unit", "direction", "split", "seed"),
        *("classifier", "classifier_molecules", "classifier_epochs"),
    )
    given = {name: getattr(arguments, name) for name in names}
    fit_property(Path(arguments.file), **given, progress=Screen())
    return 0


class Screen(outputs.Screen):
    """Prints the stages on a terminal, and the errors on test molecules."""

    def stage(self, label: str) -> None:
        """Print the current stage if standard error is a terminal."""
        if sys.stderr is not None and sys.stderr.isatty():
            print(f"{label} ...", file=sys.stderr, flush=True)

    def round(self, state: PropertyPredictor) -> None:
        """Print the errors of the predictor."""
        options.say(report(state))
>>>>>>> w-d


def report(predictor: PropertyPredictor) -> str:
    """Return errors and coverage of both splits as a table."""
    unit = f" (RMSE and MAE in {predictor.unit})" if predictor.unit else ""
    head = f"{'test on':<18}{'molecules':>10}{'RMSE':>8}{'MAE':>8}{'R2':>7}{'Spearman':>10}"
    head += "".join(f"{f'in {float(c):.0%}':>8}" for c in SHOWN_COVERAGE)
    lines = [f"{predictor.name}{unit}", head]
    for kind, r in predictor.card["test"].items():
        kept = f"{kind} (kept)" if kind == predictor.card["split"] else kind
        if "not_measured" in r:
            lines.append(f"{kept:<18}not measured: {r['not_measured']}")
            continue
        cells = f"{r['test']:>10}{r['rmse']:>8.3f}{r['mae']:>8.3f}{r['r2']:>7.3f}"
        cells += f"{r['spearman']:>10.3f}"
        cells += "".join(f"{r['coverage'][c]:>8.0%}" for c in SHOWN_COVERAGE)
        lines.append(f"{kept:<18}{cells}")
    return "\n".join(lines)


def _seed(text: str) -> int:
    value = options.whole(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {value}")
    return value

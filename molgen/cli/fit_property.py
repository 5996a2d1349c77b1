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

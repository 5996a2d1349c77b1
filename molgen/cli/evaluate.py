"""Measure a file of molecules by one or several conventions.

Reads the given column, or else raw, or else the first usual heading with a SMILES (smiles,
canonical_smiles, structure, ...), or else the only column (named on stderr). Each convention has
its own denominators of rates; molgen's own, strict, divides by all rows. Rows are evaluated as
written; training and reference molecules are read as in training, of a salt the largest organic
fragment. With --out each row is also written, with its status, unique and novel by the first
convention, the properties, and the other columns of the file (_input behind a name of ours).

conventions (set: the rows over which IntDiv ... FCD are computed):
  strict     valid: one sanitised fragment; identity: canonical SMILES; set: unique rows
  paper      valid: as strict; identity: the string, so "novel" is inflated; set: unique rows
  inchikey   valid: as strict; identity: standard InChIKey, which joins mobile hydrogens (tautomers
             of azoles, amides, ...), not keto and enol forms; counts only
  moses      valid: readable by RDKit; the definitions and keys of MOSES; set: all valid rows
  guacamol   valid: as moses; identity: SMILES without stereochemistry; counts only

metrics of a set (- or null if undefined):
  IntDiv, IntDiv2   internal diversity, 0 (all equal) to 1
  Filters           fraction without unwanted substructures
  with --reference:
  SNN               mean similarity to the nearest molecule of the reference
  Frag, Scaf        cosine similarity of fragment and scaffold counts
  FCD               Fréchet ChemNet distance; only if the extra `fcd` is installed
  PROP_wasserstein  distance of a property's distributions, over all valid rows

Example:
  molgen evaluate samples.csv --train qm9
  molgen evaluate samples.csv --train qm9 --conventions strict,paper --property qed --json
  molgen evaluate samples.csv --reference test.csv.gz --conventions moses --json
  molgen evaluate assay.sdf --property qed --out assay.xlsx
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from molgen.cli import options, outputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", metavar="FILE", help=options.FILE)
    parser.add_argument("--column", metavar="C", help="the column to read")
    parser.add_argument(
        "--train",
        metavar="MODEL_OR_FILE",
        type=options.model_or_file,
        help="the training set, for novelty: that of a model, or a file of SMILES",
    )
    parser.add_argument("--train-column", metavar="C", help="the column to read of that file")
    parser.add_argument(
        "--reference", metavar="FILE", help="molecules to compare with: SNN, Frag, Scaf, FCD, ..."
    )
    parser.add_argument("--reference-column", metavar="C", help="the column to read of that file")
    parser.add_argument(
        "--conventions",
        metavar="LIST",
        help="of strict, paper, inchikey, moses, guacamol (default: strict,paper, and with --train "
        "inchikey)",
    )
    parser.add_argument(
        "--property",
        action="append",
        default=[],
        metavar="PROP",
        help="report this property's mean and its distance to the reference; may be repeated "
        "(default with --reference, for strict and paper: distances of logp, sa, qed and mw; "
        "none omits them)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    outputs.add_out(parser, "")
    group = parser.add_argument_group("speed")
    group.add_argument(
        "--counts-only",
        action="store_true",
        help="counts only: no diversity (quadratic in the number of rows), no filters",
    )
    group.add_argument(
        "--no-fcd",
        action="store_true",
        help="omit FCD, which takes about 5 ms a molecule and core, and as much for the reference, "
        "whose part is cached",
    )
    group.add_argument("--device", default="cpu", metavar="D", help="of FCD's network")
    group.add_argument(
        "--workers", type=options.positive, metavar="N", help="processes (default: one a core)"
    )
    options.add_scorers(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, write and print; return the exit status."""
    from molgen.api.evaluate import evaluate

    if arguments.out:
        outputs.check_files(arguments)
    names = (
        *("train", "conventions", "column", "train_column", "reference_column", "counts_only"),
        *("no_fcd", "device", "workers"),
    )
    found = evaluate(
        Path(arguments.file),
        properties=arguments.property,
        rows=bool(arguments.out),
        progress=outputs.Screen(),
        reference=Path(arguments.reference) if arguments.reference else None,
        **{name: getattr(arguments, name) for name in names},
    )
    if arguments.out:
        outputs.deliver(found.output, arguments)
    if arguments.json:
        print(json.dumps(_finite(found.counts), indent=2))
    else:
        print(readable(found.counts, list(found.table.columns)))
    return 0


def readable(result: dict[str, Any], conventions: list[str]) -> str:
    """Return the result as a table, one column for each convention."""
    status = ", ".join(f"{n} {name}" for name, n in result["status"].items())
    lines = [f"{result['rows']} rows: {status}", ""]
    keys = list(dict.fromkeys(key for name in conventions for key in result[name]))
    width = max(map(len, keys)) + 2
    lines.append(" " * width + "".join(f"{name:>12}" for name in conventions))
    for key in keys:
        cells = "".join(f"{_shown(result[name].get(key)):>12}" for name in conventions)
        lines.append(f"{key:<{width}}{cells}")
    lines += [f"{k}: {_shown(v)}" for k, v in result.items() if k.endswith("_wasserstein")]
    if "warning" in result:
        lines += ["", f"warning: {result['warning']}"]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:
    """Return a value for JSON: NaN becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value

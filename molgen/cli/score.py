"""Score given molecules: an upper bound of -log p in nats under a model (lower is likelier).

Reads the given column, or else raw, or else the first usual heading with a SMILES (named on
stderr), and writes one row for each row of the file, in order:
  index, raw, smiles, status   as everywhere; status also unknown_token, too_many_tokens, no_selfies
  nats, error                  bound of -log p and its standard error (empty for a single draw; 0
                               for an autoregressive model, whose value is exact)
  tokens, length_nats          tokens of the scored string, and nats of its length (part of nats)
  scored, spellings            the likeliest SMILES, and the number of SMILES summed over
  reason                       why a row has no score
and the other columns of the file, with _input behind a name that is one of these.

A model is a distribution of strings. By default the canonical SMILES is scored, as in training;
with --spellings R, R random ones are added, and nats is a bound for the molecule. The score of a
molecule depends on the seed, not on other rows. Of a salt the largest organic fragment is scored,
as in training.

Example:
  molgen score qm9 molecules.csv --out scores.csv
  molgen score qm9 molecules.smi --draws 8 --condition qed=0.6 --out - --json
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.cli import options, outputs
from molgen.cli.outputs import Screen
from molgen.errors import MolgenError

if TYPE_CHECKING:
    from molgen.sampling.result import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    options.add_model(parser)
    parser.add_argument("file", metavar="FILE", help=options.FILE)
    parser.add_argument("--column", metavar="C", help="the column to read")
    outputs.add_out(parser, options.STDOUT)
    parser.add_argument(
        "--json",
        action="store_true",
        help="print only JSON: the summary and, without an output file, the rows",
    )
    parser.add_argument(
        "--draws",
        type=options.positive,
        default=1,
        metavar="K",
        help="orders (or sets of times) to average over: a smaller error, and its estimate",
    )
    parser.add_argument("--seed", type=options.whole, default=0, metavar="S")
    parser.add_argument(
        "--condition",
        action="append",
        default=[],
        metavar="PROP=VALUE",
        help="likelihood given this value of a property of the model; may be repeated",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--as-written",
        action="store_true",
        help="score each string as written, valid or not, instead of its canonical SMILES",
    )
    which.add_argument(
        "--spellings",
        type=options.positive,
        default=0,
        metavar="R",
        help="also score R random SMILES: nats is then -log of the sum over distinct ones",
    )
    options.add_device(parser, options.TRAINING)


def run(arguments: argparse.Namespace) -> int:
    """Score and write; return the exit status."""
    outputs.check_files(arguments, tables=True)  # a .smi file has no place for a number
    targets = conditions(arguments.condition)

    from molgen.api.score import score

    found = score(
        arguments.model,
        Path(arguments.file),
        draws=arguments.draws,
        condition=targets,
        as_written=arguments.as_written,
        spellings=arguments.spellings,
        column=arguments.column,
        seed=arguments.seed,
        device=arguments.device or "cpu",
        dtype=arguments.dtype or "fp32",
        progress=Screen(),
    )
    write(found, arguments)
    if found.reason == "interrupted":
        scored = f"{found.counts['scored']} of {len(found)} rows scored"
        print(f"interrupted: {scored}", file=sys.stderr)
        return 130
    return 0


def conditions(words: Sequence[str]) -> dict[str, float]:
    """Return the values to condition on.

    Raises:
        MolgenError: if one is not PROP=NUMBER, or a property is given twice.
    """
    found: dict[str, float] = {}
    for text in words:
        name, _, value = (part.strip() for part in text.rpartition("="))
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name or not math.isfinite(number):
            raise MolgenError(f"condition is {text!r}, expected PROP=NUMBER such as qed=0.6")
        if name in found:
            raise MolgenError(f"condition {name} is given twice")
        found[name] = number
    return found


def write(result: Result[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Write the table and print the summary."""
    found = result.counts
    if arguments.json and arguments.out == options.STDOUT:
        found = found | {"molecules": json.loads(result.table.to_json(orient="records"))}
    else:
        outputs.deliver(result, arguments)
    if arguments.json:
        print(json.dumps(found, indent=2), file=arguments.stdout)
    else:
        print(readable(found))


def readable(found: dict[str, Any]) -> str:
    """Return the summary in one or two lines."""
    status = ", ".join(f"{n} {name}" for name, n in found["status"].items())
    lines = [f"{found['rows']} rows: {status}"]
    if found["scored"]:
        error = found["nats_error"]
        spread = "" if error is None else f" ± {error:.3f}"
        lines.append(
            f"{found['nats']:.3f}{spread} nats a molecule ({found['length_nats']:.3f} for its "
            f"length), {found['tokens']:.1f} tokens, perplexity {found['perplexity']:.4f}"
        )
    return "\n".join(lines)

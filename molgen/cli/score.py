"""Score given molecules: the nats a model needs for each, at most (fewer is likelier).

Reads the column named, else raw, else the first usual heading under which there is a SMILES, says
on stderr which, and writes one row for each row read, in order:
  index, raw, smiles, status   as everywhere; status also unknown_token, too_many_tokens, no_selfies
  nats, error                  bound of -log p and its standard error (empty for a single draw; 0
                               for an autoregressive model, whose value is exact)
  tokens, length_nats          of the string scored, and what its length costs (part of nats)
  scored, spellings            the likeliest spelling, and how many were summed over
  reason                       why a row has no score

A model gives probability to strings. By default the canonical spelling is scored, which is what
models are trained on; with --spellings R, R random ones are added, and nats bounds the molecule.
The score of a molecule depends on the seed and on nothing else in the file. Of a salt the largest
organic fragment is scored, which is what models are trained on.

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

from molgen.cli import options
from molgen.cli.inputs import cores, given, note

if TYPE_CHECKING:
    import pandas as pd

    from molgen.diffusion.score_table import Entry
    from molgen.diffusion.string_likelihood import Ids, Score, Scorer
    from molgen.model import Model

STDOUT = "-"
WRITABLE = (".csv", ".parquet", ".sdf")  # a .smi file has no place for a number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    options.add_model(parser)
    parser.add_argument("file", metavar="FILE", help="csv, parquet, smi or txt; may be gzipped")
    parser.add_argument("--column", metavar="C", help="the column to read")
    parser.add_argument(
        "--out",
        default=STDOUT,
        metavar="FILE",
        help="a .csv, .parquet or .sdf file to write; - (default) prints csv",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON alone: the summary and, without a file to write, the rows",
    )
    parser.add_argument(
        "--draws",
        type=options.positive,
        default=1,
        metavar="K",
        help="orders (or sets of times) to average over: less scatter, and its standard error",
    )
    parser.add_argument("--seed", type=options.whole, default=0, metavar="S")
    parser.add_argument(
        "--condition",
        action="append",
        default=[],
        metavar="PROP=VALUE",
        help="likelihood given this value of a property the model knows; may be repeated",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--as-written",
        action="store_true",
        help="score each string as it stands, molecule or not, instead of its canonical spelling",
    )
    which.add_argument(
        "--spellings",
        type=options.positive,
        default=0,
        metavar="R",
        help="also score R random spellings: nats is then -log of the sum over distinct ones",
    )
    options.add_device(parser, options.TRAINING)


def run(arguments: argparse.Namespace) -> int:
    """Score and write; return the exit status."""
    from molgen import load
    from molgen.data.reading import read_table
    from molgen.diffusion.score_table import entry, summary, table
    from molgen.molecules.parsing import random_spellings

    check_out(arguments.out)
    targets = conditions(arguments.condition)
    check = not arguments.as_written
    rows = read_table(arguments.file, arguments.column, drawn=True, check=check)
    model = load(arguments.model)
    model.prior.check(targets)
    if arguments.device:
        options.check_device(arguments.device)
    note(rows.notes())
    longest = model.denoiser.max_length
    molecules = given(rows.raw, cores())
    entries_of = {}
    for molecule in dict.fromkeys(molecules):  # one that is given twice is looked at once
        others = random_spellings(molecule.smiles, arguments.spellings, arguments.seed)
        written = arguments.as_written
        entries_of[molecule] = entry(molecule, model.tokenizer, longest, written, others)
    entries = [entries_of[molecule] for molecule in molecules]
    scores, interrupted = score(model, entries, targets, arguments)
    frame = table(entries, scores)
    found = {"model": model.name, "read": rows.facts(), **summary(frame)}
    write(frame, found, arguments)
    if interrupted:
        print(f"interrupted: {found['scored']} of {len(frame)} rows scored", file=sys.stderr)
        return 130
    return 0


def check_out(path: str) -> None:
    """Check the name of the file to write, before any long work.

    Raises:
        ValueError: if it cannot be written.
    """
    from molgen.data.tables import check_extension
    from molgen.utils.files import check_writable

    if path == STDOUT:
        return
    if Path(path).suffix.lower() not in WRITABLE:
        raise ValueError(f"out is {path!r}, expected - or a file ending in {', '.join(WRITABLE)}")
    check_extension(path)
    check_writable(path)


def conditions(asked: Sequence[str]) -> dict[str, float]:
    """Return the values to condition on.

    Raises:
        ValueError: if one is not PROP=NUMBER, or a property is given twice.
    """
    found: dict[str, float] = {}
    for text in asked:
        name, _, value = (part.strip() for part in text.rpartition("="))
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name or not math.isfinite(number):
            raise ValueError(f"condition is {text!r}, expected PROP=NUMBER such as qed=0.6")
        if name in found:
            raise ValueError(f"condition {name} is given twice")
        found[name] = number
    return found


def score(
    model: Model, entries: list[Entry], targets: dict[str, float], arguments: argparse.Namespace
) -> tuple[dict[Ids, Score], bool]:
    """Return the scores of all strings, and whether Ctrl-C came first."""
    from molgen.utils.progress import Bar
    from molgen.utils.threads import workers

    strings = {ids for item in entries for _, ids in item.spellings}
    device = arguments.device or "cpu"
    made = scorer(model, targets, arguments, device)
    scores: dict[Ids, Score] = {}
    with workers(device) as pool, Bar(len(strings), "string", "scores") as bar:
        try:
            for ids, value in made.scores(list(strings), pool, bar.add):
                scores[ids] = value
        except KeyboardInterrupt:
            return scores, True
    return scores, False


def scorer(
    model: Model, targets: dict[str, float], arguments: argparse.Namespace, device: str
) -> Scorer:
    """Return the network with its settings."""
    import numpy as np

    from molgen.diffusion.string_likelihood import Scorer, length_nats
    from molgen.utils.threads import resolve_dtype

    network: Any = model.denoiser
    condition = None
    if targets:
        values = [targets.get(name, math.nan) for name in model.properties]
        condition = np.array(values, dtype=np.float32)
    return Scorer(
        network.to(device),
        length_nats(model.prior, network.max_length, targets),
        condition,
        arguments.draws,
        arguments.seed,
        resolve_dtype(arguments.dtype or "fp32", device),
    )


def write(frame: pd.DataFrame, found: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Write the table and print the summary."""
    from molgen.data.tables import write_table

    if arguments.out != STDOUT:
        write_table(frame, arguments.out)
    elif arguments.json:
        found = found | {"molecules": json.loads(frame.to_json(orient="records"))}
    else:
        print(frame.to_csv(index=False, lineterminator="\n"), end="")
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:  # standard output is the table's, where it is printed
        print(readable(found), file=sys.stderr if arguments.out == STDOUT else sys.stdout)


def readable(found: dict[str, Any]) -> str:
    """Return the summary in a line or two."""
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

"""Repeat a run from the record beside its output: the same rows.

Relative paths in the record (leads, scaffolds, presets) are read from the current folder. The
output is the file beside the record, or --out; pictures and trajectories are written to the same
folder. The model must have the weights of the record; versions of molgen and of its libraries that
differ are named on stderr, since rows may then differ. Python functions that the record names are
run only with --allow-functions.

Example:
  molgen run designs.csv.json
  molgen run designs.csv.json --out again.csv
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.cli.outputs import Screen
from molgen.errors import MolgenError

if TYPE_CHECKING:
    from molgen.utils.run_record import RunRecord

REPEATED = ("sample", "design", "search", "optimize", "score", "evaluate")
BESIDE = ("grid", "trajectory")  # further files that a command writes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("record", metavar="OUT.json", help="record of a run")
    parser.add_argument(
        "--out",
        dest="other",  # stdout is the business of the command that is repeated
        metavar="FILE",
        help="file to write (default: the one beside the record)",
    )
    parser.add_argument(
        "--no-record", action="store_true", help="write no record beside the output file"
    )
    parser.add_argument(
        "--allow-functions",
        action="store_true",
        help="run the Python functions that the record names",
    )


def run(arguments: argparse.Namespace) -> int:
    """Repeat the run; return its exit status."""
    from molgen.cli import build_parser, main
    from molgen.utils.run_record import read_record, versions, without
    from property_models.callables import refused

    path = Path(arguments.record)
    record = read_record(path)
    if record.command not in REPEATED:
        raise MolgenError(
            f"{path}: command is {record.command!r}, expected one of {', '.join(REPEATED)}"
        )
    out = arguments.other or _beside(path)
    before = build_parser().parse_args([record.command, *_with(record.words, "--out", out)])
    _check_model(record, path, before)
    differing = {name: there for name, there in versions().items() if name in record.versions}
    for name, there in differing.items():
        if (made := record.versions[name]) != there:
            Screen().note(f"{path}: made with {name} {made}, this is {there}: rows may differ")
    more = ["--no-record"] if arguments.no_record else []
    for name in BESIDE:
        if given := getattr(before, name, None):
            more += [f"--{name}", str(Path(out).parent / Path(given).name)]
    words = without(record.words, *(f"--{name}" for name in BESIDE))
    words = [record.command, *_with(words, "--out", out, *more)]
    with nullcontext() if arguments.allow_functions else refused(f"{path}"):
        return main(words)


def _beside(path: Path) -> str:
    """Return the output file that a record is beside.

    Raises:
        MolgenError: if its name is not that of a record.
    """
    from molgen.utils.run_record import SUFFIX

    if path.suffix != SUFFIX:
        raise MolgenError(f"record is {str(path)!r}, expected a name ending in {SUFFIX}, or --out")
    return str(path.with_suffix(""))


def _with(words: list[str], *more: str) -> list[str]:
    """Return words of a command with further options, the last of which counts."""
    end = words.index("--") if "--" in words else len(words)
    return [*words[:end], *more, *words[end:]]


def _check_model(record: RunRecord, path: Path, arguments: argparse.Namespace) -> None:
    """Check that the model has the weights of the record.

    Raises:
        MolgenError: if not.
    """
    from molgen.checkpoints.files import WEIGHTS
    from molgen.checkpoints.hub import locate, resolve
    from molgen.checkpoints.masked_lm import folder_of
    from molgen.utils.run_record import digest

    if record.model is None or not hasattr(arguments, "model"):
        return
    named = resolve(arguments.model)
    texts = getattr(arguments, "template", None) or getattr(arguments, "length", None)
    found = digest((folder_of(named)[1] if texts else locate(named)) / WEIGHTS)
    if found != record.model.sha256:
        raise MolgenError(
            f"{path}: model {arguments.model!r} has weights {found[:12]}..., expected those of the "
            f"record, {record.model.sha256[:12]!r}..."
        )

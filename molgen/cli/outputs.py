"""Shared by commands that deliver molecules: options, short table, picture, exit status."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from molgen.api.progress import Progress
from molgen.cli import options, resume
from molgen.cli.options import STDOUT, is_piped
from molgen.errors import MolgenError

if TYPE_CHECKING:
    import pandas as pd

    from molgen.sampling.result import Result

SHOWN = 10  # molecules of the short table
DRAWN = 20  # structures of the picture
FEWER = 3  # exit status
NARROW = 28  # least width of a molecule in the short table, in characters


def add_out(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add ``--out``, with ``--resume`` if it has no default, and ``--no-record``."""
    parser.add_argument(
        "--out",
        default=default,
        metavar="FILE",
        help="a .csv, .tsv, .smi, .sdf, .parquet or .xlsx file to write, text also with .gz; - for "
        "csv on standard output",
    )
    parser.add_argument(
        "--no-record",
        action="store_true",
        help="write no FILE.json beside it, with which `molgen run` repeats the run",
    )
    if default is None:
        resume.add_argument(parser)


def add_arguments(parser: argparse.ArgumentParser, scaffolds: bool = False) -> None:
    """Add ``--n``, with scaffolds ``--per-scaffold`` in place of it, ``--out`` and ``--grid``."""
    count: Any = parser
    if scaffolds:
        count = parser.add_mutually_exclusive_group(required=True)
        count.add_argument(
            "--per-scaffold",
            type=options.positive,
            metavar="N",
            help="molecules to deliver for each scaffold, in place of --n",
        )
    count.add_argument(
        "--n",
        type=options.positive,
        required=not scaffolds,
        metavar="N",
        help="molecules to deliver",
    )
    add_out(parser)
    parser.add_argument("--grid", metavar="PNG", help=f"also draw the best {DRAWN} structures")


def add_weights(parser: argparse.ArgumentParser, use: str) -> None:
    """Add ``--weight``, of a target in a use of several targets."""
    parser.add_argument(
        "--weight",
        action="append",
        default=[],
        metavar="PROP=W",
        help=f"weight of a target in {use} (default 1); may be repeated",
    )


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add ``--filter``."""
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="FILTER",
        help="pains, brenk, nih, zinc, chembl, moses, ..., smarts:PATTERN (must not match) or "
        "need:PATTERN (must match); may be repeated",
    )


def add_allowed(parser: argparse.ArgumentParser, novelty: bool = True) -> None:
    """Add ``--allow-training-molecules``, ``--allow-radicals`` and, if needed, ``--novelty``."""
    parser.add_argument(
        "--allow-training-molecules",
        action="store_true",
        help="deliver molecules of the training set too",
    )
    if novelty:
        parser.add_argument(
            "--novelty",
            choices=("strict", "inchikey"),
            default="strict",
            help="unique and new by canonical SMILES (strict, the default), or by InChIKey, which "
            "rejects tautomers of training molecules and of each other",
        )
    parser.add_argument(
        "--allow-radicals",
        action="store_true",
        help="deliver molecules with unpaired electrons too; by default they are filtered",
    )


def add_tolerance(parser: argparse.ArgumentParser) -> None:
    """Add ``--tolerance``."""
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.05,
        metavar="X",
        help="tolerance around a number, in training standard deviations (default 0.05)",
    )


def read_weights(texts: list[str]) -> dict[str, float]:
    """Read ``PROP=W``, each once.

    Raises:
        MolgenError: naming the value and the allowed form.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            weight = float(value)
        except ValueError:
            weight = 0.0
        if not name or name in found or not 0 < weight < float("inf"):
            raise MolgenError(f"weight is {text!r}, expected PROP=W with W above 0, once each")
        found[name] = weight
    return found


def check_out(arguments: argparse.Namespace) -> None:
    """Check that there is a place for the result.

    Raises:
        MolgenError: if not.
    """
    if not hasattr(arguments, "no_record"):
        return  # not a table: argparse checks whether it is needed
    if getattr(arguments, "out", "") is None and not getattr(arguments, "campaign", None):
        either = " or --campaign" if hasattr(arguments, "campaign") else ""
        raise MolgenError(f"the following arguments are required: --out{either}")


def check_files(arguments: argparse.Namespace, tables: bool = False) -> None:
    """Check that output files can be written, and do not replace the input.

    Args:
        arguments: of the command line.
        tables: whether a format with a place for any column is needed.

    Raises:
        MolgenError: naming the file that cannot be written, or has another extension than expected.
    """
    from molgen.data.formats import check_extension
    from molgen.utils.files import check_writable, is_stream
    from molgen.utils.run_record import check_record

    out, grid = arguments.out, getattr(arguments, "grid", None)
    source = getattr(arguments, "leads", getattr(arguments, "file", None))
    if out != STDOUT:
        check_extension(out, tables)
        check_writable(out, source)
        if not (arguments.no_record or is_stream(out)):
            check_record(out)
    if grid:
        check_writable(grid, source)
    if grid and not grid.lower().endswith(".png"):
        raise MolgenError(f"grid is {grid!r}, expected a .png file")


@contextmanager
def messages_apart(arguments: argparse.Namespace) -> Iterator[None]:
    """Print messages on stderr in the block, if the result goes to stdout."""
    arguments.stdout = sys.stdout
    if getattr(arguments, "out", None) != STDOUT:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def place(out: str) -> str:
    """Return an output file for a message."""
    return "standard output" if out == STDOUT else out


def deliver(result: Result[Any], arguments: argparse.Namespace) -> None:
    """Write the table of a result, and beside a file the record of its run."""
    from molgen.data.delimited import write_csv

    if arguments.out == STDOUT:
        write_csv(result.table, arguments.stdout)
        arguments.stdout.flush()
        return
    result.save(arguments.out)
    if not (arguments.no_record or is_piped(arguments)):
        _write_record(result, arguments)


def _write_record(result: Result[Any], arguments: argparse.Namespace) -> None:
    """Write the record of a run."""
    from molgen.checkpoints.files import WEIGHTS
    from molgen.sampling.settings import to_words
    from molgen.utils import run_record

    model, settings = result.model, getattr(result.request, "settings", None)
    hashed = None
    if model is not None and model.folder is not None:
        hashed = run_record.ModelHash(model.name, run_record.digest(model.folder / WEIGHTS))
    record = run_record.RunRecord(
        molgen_record=run_record.FORMAT,
        command=arguments.command,
        words=run_record.without(arguments.words[1:], *run_record.OUT),
        seed=getattr(arguments, "seed", None),
        model=hashed,
        settings={} if settings is None else to_words(settings),
        versions=run_record.versions(),
        counts=run_record.plain(result.counts),
        reason=result.reason,
        rows=len(result.table),
    )
    run_record.write_record(record, arguments.out)


def short_table(table: pd.DataFrame, names: list[str], widest: int = NARROW) -> list[str]:
    """Return the first molecules and the means of all, as lines.

    Args:
        table: with the column ``smiles`` and one for each name.
        names: of properties.
        widest: largest width of a molecule, in characters.
    """
    names = [name for name in names if table[name].dtype.kind in "fiub"]  # others: not computed
    width = min(widest, max([NARROW, *(len(smiles) for smiles in table["smiles"].head(SHOWN))]))
    wide = {name: max(12, len(name) + 2) for name in names}
    lines = [f"{'':>4} {'SMILES':<{width}}" + "".join(f"{n:>{w}}" for n, w in wide.items())]
    for place, (_, row) in enumerate(table.head(SHOWN).iterrows(), 1):
        values = "".join(f"{row[name]:{w}.3f}" for name, w in wide.items())
        lines.append(f"{place:4d} {row['smiles']:<{width}}{values}")
    if len(table) > SHOWN:
        lines.append(f"{'':>4} ... and {len(table) - SHOWN} more")
    for name in names:
        if len(table):
            lines.append(f"mean {name} of the {len(table)}: {table[name].mean():.3f}")
    return lines


def draw_grid(best: pd.DataFrame, names: list[str], path: str, title: str) -> None:
    """Draw the first molecules with their values into a file.

    Args:
        best: with the column ``smiles`` and one for each name, best first.
        names: of properties.
        path: of the picture.
        title: of the picture.
    """
    from molgen.molecules.captions import cards
    from molgen.molecules.grid import Grid

    Grid(cards(best.head(DRAWN), names), title).save(path)
    print(f"wrote {path}")


class Screen(Progress):
    """Remarks on standard output, warnings and a progress bar on standard error."""

    def remark(self, line: str) -> None:
        """Print a remark."""
        options.say(line)

    def note(self, line: str) -> None:
        """Print a note, separate from the result."""
        print(line, file=sys.stderr)

    def warn(self, line: str) -> None:
        """Print a warning at once."""
        print(f"warning: {line}", file=sys.stderr, flush=True)


def short_scaffolds(result: Result[Any]) -> list[str]:
    """Return a line for each scaffold with fewer molecules than requested for each."""
    if not getattr(result.request, "per_scaffold", False):
        return []
    n, several = result.request.n, result.counts.scaffolds
    return [
        f"{one.accepted} of {n} for {name}: {one}"
        for name, one in several.items()
        if one.accepted < n
    ]


def end(result: Result[Any], kind: str = "molecules") -> int:
    """Print the reason of an incomplete run; return the exit status.

    Args:
        result: of the run.
        kind: plural noun for the items.
    """
    if len(result) >= result.asked:
        return 0
    from property_models.scorers import STOPPED

    if result.reason != STOPPED:  # its own line follows
        print(f"{len(result)} of {result.asked} {kind}: {result.reason}", file=sys.stderr)
        for line in short_scaffolds(result):
            print(line, file=sys.stderr)
    return 130 if result.reason == "interrupted" else FEWER

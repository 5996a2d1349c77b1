"""The command line: the only place that maps words to objects.

Each command is a module with ``add_arguments(parser)`` and ``run(arguments) -> exit status``; its
docstring's first line is its summary. Nothing heavy is imported before a command runs, so ``--help``
is instant. Bad input ends with one line on stderr and status 2.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

COMMANDS = ("design", "sample", "evaluate", "train", "models")
INTERRUPTED = 130
BAD_INPUT = 2


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="molgen",
        description="Guided molecule design by remasking diffusion.",
        epilog="example: molgen design qm9 --target qed=max --n 100 --out designs.csv",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"molgen.cli.{name}")
        summary, *rest = (module.__doc__ or "").strip().split("\n\n")
        sub = parsers.add_parser(
            name,
            help=summary.rstrip("."),
            description=summary,
            epilog="\n\n".join(rest),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 0 done, 2 bad input, 3 fewer molecules than asked."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.version:
        from molgen import __version__

        print(__version__)
        return 0
    if arguments.command is None:
        parser.print_help()
        return BAD_INPUT
    try:
        return int(arguments.run(arguments))
    except (ValueError, OSError) as error:
        print(f"molgen {arguments.command}: {_one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"molgen {arguments.command}: interrupted", file=sys.stderr)
        return INTERRUPTED
    finally:
        _flush()


def _one_line(error: Exception) -> str:
    """Return an error as text; a pointer under a character keeps its lines."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error).strip() or type(error).__name__


def _flush() -> None:
    """Flush stdout; a reader that has gone away (``| head``) is not an error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""The command line: the only place that maps option texts to objects.

Each command is a module (a dash becomes an underscore) with ``add_arguments(parser)`` and
``run(arguments) -> exit status``; its docstring's first line is its summary. Heavy imports are
deferred until a command runs, so ``--help`` is instant. Bad input ends with one line on stderr and
status 2; Ctrl-C and a termination signal end a run in the same way, with the finished results.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from molgen.cli import options, outputs
from molgen.cli.former import renamed
from molgen.utils.hints import hint
from molgen.utils.interrupts import INTERRUPTED, Interrupts, exit_at_once

COMMANDS = (
    "design",
    "sample",
    "frontier",
    "scaling",
    "search",
    "optimize",
    "tune",
    "evaluate",
    "score",
    "report",
    "train",
    "train-classifier",
    "fit-property",
    "index",
    "models",
    "run",
    "campaign",
)
BAD_INPUT = 2
LONGEST = 1000  # characters of an error
COMPLETE = (0, 3)


def shortened(text: str) -> str:
    """Return an error without the middle of the long input that is quoted in it."""
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST * 2 // 3]} ... {text[-LONGEST // 3 :]}"


_CHOICE = re.compile(r"invalid choice: '?(?P<name>.*?)'? \(choose from (?P<allowed>.*)\)$")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage text."""

    commands: Mapping[str, Parser]

    def error(self, message: str) -> NoReturn:
        """Print the error, with the nearest spelling of a wrong word, and exit with status 2."""
        if found := _CHOICE.search(message):
            allowed = [word.strip(" '") for word in found["allowed"].split(",")]
            message += hint(found["name"], allowed)
        self.exit(BAD_INPUT, f"{self.prog}: {shortened(message)} (see {self.prog} --help)\n")

    def known(self) -> list[str]:
        """Return the long options."""
        return [name for name in self._option_string_actions if name.startswith("--")]


def build_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="molgen",
        description="Guided molecule design by remasking diffusion.",
        epilog="example: molgen design qm9 --target qed=max --n 100 --out designs.csv",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"molgen.cli.{name.replace('-', '_')}")
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
    parser.commands = parsers.choices
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status.

    It is 0 if done, 2 for bad input or a user's function that fails too often, and 3 for fewer
    molecules than requested.
    """
    if argv is None:  # a program of its own
        exit_at_once()
    name, interrupts = "molgen", Interrupts()
    try:
        with interrupts.raised():
            arguments = _parse(argv)
            if isinstance(arguments, int):
                return arguments
            name = f"molgen {arguments.command}"
            outputs.check_out(arguments)
            with outputs.messages_apart(arguments), _warnings_in_a_line(name):
                status = _run(arguments)
            if sys.stdout is not None:
                sys.stdout.flush()
            return INTERRUPTED if interrupts.received else status
    except BrokenPipeError:  # the reader has closed the pipe (``| head``)
        _drop_output()
        return 0
    except KeyboardInterrupt:
        return _interrupted(name)
    except Exception as error:
        if interrupts.received:  # a library may turn an interrupt into an error of its own
            return _interrupted(name)
        if not isinstance(error, ValueError | OSError | MemoryError):
            raise
        _drop_output()
        print(f"{name}: {_message(error)}", file=sys.stderr)
        return BAD_INPUT


def _parse(argv: Sequence[str] | None) -> argparse.Namespace | int:
    """Return the arguments of a command, or an exit status if none is to be run."""
    parser = build_parser()
    words = renamed(sys.argv[1:] if argv is None else argv)
    arguments, rest = parser.parse_known_args(words)
    if rest:
        own = parser.commands.get(arguments.command, parser)
        near = hint(rest[0].partition("=")[0], own.known() if rest[0].startswith("-") else ())
        own.error(f"unrecognized arguments: {' '.join(rest)}{near}")
    arguments.words = words
    if arguments.version:
        from molgen.version import __version__

        print(__version__)
        return 0
    if arguments.command is None:
        parser.print_help()
        print(f"molgen: a command is missing: {', '.join(COMMANDS)}", file=sys.stderr)
        return BAD_INPUT
    return arguments


@contextmanager
def _warnings_in_a_line(name: str) -> Iterator[None]:
    """Print warnings for users without the place in the code within the block."""
    usual = warnings.formatwarning

    def formatted(message: Warning | str, category: type[Warning], *place: Any) -> str:
        if category is UserWarning:
            return f"{name}: {' '.join(str(message).split())}\n"
        return usual(message, category, *place)

    warnings.formatwarning = formatted  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.formatwarning = usual


def _interrupted(name: str) -> int:
    """Print that a run was interrupted; return the exit status."""
    _drop_output()
    print(f"{name}: interrupted", file=sys.stderr)
    return INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    """Run a command, with the user's functions that it calls; return its exit status."""
    if not hasattr(arguments, "score_timeout"):
        return int(arguments.run(arguments))
    from molgen.cli.resume import journaled
    from property_models.scorers import POSES, scoring

    with journaled(arguments) as journal:
        beside = None if options.is_piped(arguments) else arguments.out
        folder = None if beside is None else beside + POSES
        with scoring(arguments.score_timeout, arguments.score_workers, folder) as scorers:
            status = int(arguments.run(arguments))
        status = BAD_INPUT if scorers.stopped else status
        if journal is not None and status not in COMPLETE:
            journal.keep()
    return status


def _message(error: Exception) -> str:
    """Return an error as one line of text; a pointer under a character keeps its lines."""
    from molgen.molecules.smiles import TokenError

    if isinstance(error, MemoryError):
        return f"out of memory: {error}" if str(error) else "out of memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    text = str(error).strip() or type(error).__name__
    if isinstance(error, TokenError):
        return text
    return shortened(" ".join(text.split()))


def _drop_output() -> None:
    """Flush stdout; discard buffered output that cannot be written."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

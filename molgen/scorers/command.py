"""A command as a scorer: ``command:./score.sh``, which speaks lines of JSON.

    in   {"smiles": "CCO"}
    out  {"value": -7.1}     or    {"error": "no conformer"}

An answer may repeat the SMILES, which is then compared.

The program is started once, reads a line for each molecule and answers with one line, until its
input ends. Words are split as by a shell, and no shell runs them. An answer that is late or no such
line, and an end of the program, cost the molecule its value, unless ``retries`` are left; the next
molecule gets a new program. What it prints on stderr is shown.
"""

from __future__ import annotations

import os
import queue
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

import msgspec

from molgen.errors import MolgenError
from molgen.scorers.names import split, whole
from molgen.scorers.outcomes import number
from molgen.scorers.sessions import Answers

PREFIX = "command:"
MOST_RETRIES = 100
LINE = 2**20  # bytes of an answer
WAITING = 4  # lines of output that are kept while nobody asks
SHOWN = 60  # characters of an answer in a message


class Answer(msgspec.Struct):
    """A line of the program."""

    value: float | None = None
    error: str | None = None
    smiles: str | None = None


class Failed(Exception):
    """The program has not answered in time, has ended, or has answered something else."""


@dataclass(frozen=True)
class Command:
    """A command; see this module.

    Attributes:
        words: the program and its arguments.
        retries: further attempts, each with a new program, after a failure of the program.
    """

    words: tuple[str, ...]
    retries: int = 0
    batch: int = 1

    @classmethod
    def read(cls, name: str) -> Command:
        """Read ``command:PROGRAM ARGUMENTS[,retries=N]``.

        Raises:
            MolgenError: if there is no such program.
        """
        body, given = split(name.removeprefix(PREFIX), ["retries"])
        try:
            words = tuple(shlex.split(body))
        except ValueError as error:
            raise MolgenError(f"property {name!r}: {error}") from error
        if not words or "\0" in body:
            raise MolgenError(f"property is {name!r}, expected a program after {PREFIX}")
        if shutil.which(words[0]) is None:
            raise MolgenError(
                f"property {name!r}: there is no program {words[0]!r} that can be run"
            )
        return cls(words, whole("retries", given.get("retries", "0"), 0, MOST_RETRIES))

    def open(self, timeout: float) -> CommandSession:
        """Open a session; its program is started by the first call."""
        return CommandSession(self, timeout)


class CommandSession:
    """A session with a program; see :class:`molgen.scorers.sessions.Session`."""

    def __init__(self, command: Command, timeout: float) -> None:
        self._command, self._timeout = command, timeout
        self._program: Program | None = None
        self._stopped = False

    def score(self, smiles: Sequence[str]) -> Answers:
        """Return the outcome of each molecule."""
        return [self._scored(text) for text in smiles]

    def stop(self) -> None:
        """End the program's input."""
        self._stopped = True
        if self._program is not None:
            self._program.end_input()

    def close(self, seconds: float) -> None:
        """End the program."""
        if self._program is not None:
            self._program.close(seconds)

    def _scored(self, text: str) -> float | str:
        failure = ""
        for _ in range(self._command.retries + 1):
            if self._stopped:
                return "stopped"
            try:
                return self._asked(text)
            except (Failed, OSError) as error:
                failure = str(error)
                self.close(0.0)
                self._program = None
        return failure

    def _asked(self, text: str) -> float | str:
        if self._program is None:
            self._program = Program(self._command.words)
        line = self._program.ask(msgspec.json.encode({"smiles": text}), self._timeout)
        shown = line.decode(errors="replace").strip()[:SHOWN]
        try:
            answer = msgspec.json.decode(line, type=Answer)
        except msgspec.DecodeError as error:
            raise Failed(f'answered {shown!r}, expected {{"value": NUMBER}}') from error
        if answer.smiles is not None and answer.smiles != text:
            raise Failed(f"answered for {answer.smiles[:SHOWN]!r}")
        if answer.error is not None:
            return " ".join(answer.error.split()) or "error"
        return "no value" if answer.value is None else number(answer.value)


class Program:
    """A running program in a process group of its own."""

    def __init__(self, words: Sequence[str]) -> None:
        """Start it.

        Raises:
            OSError: if it cannot be started.
        """
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._lines: queue.Queue[bytes] = queue.Queue(WAITING)
        output = self._process.stdout
        threading.Thread(target=self._read, args=(output,), daemon=True).start()

    def ask(self, line: bytes, timeout: float) -> bytes:
        """Write a line, and return the one that answers it.

        Raises:
            Failed: if there is none in time, or the program has ended or printed without being
                asked.
        """
        with suppress(queue.Empty):
            unasked = self._lines.get_nowait()
            self._check(unasked)
            shown = unasked.decode(errors="replace").strip()[:SHOWN]
            raise Failed(f"printed {shown!r}, expected one line for each molecule")
        source = self._process.stdin
        assert source is not None
        try:
            source.write(line + b"\n")
            source.flush()
        except (OSError, ValueError) as error:  # ValueError: closed by the end of the run
            self._check(b"")
            raise Failed("the command does not read its input") from error
        try:
            found = self._lines.get(timeout=timeout)
        except queue.Empty as error:
            raise Failed(f"no result after {timeout:g} s") from error
        self._check(found)
        return found

    def end_input(self) -> None:
        """Close the program's input, upon which it is to end."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def close(self, seconds: float) -> None:
        """End the program, and all that it has started, at the latest after some seconds."""
        self.end_input()
        end = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        if self._process.returncode is None:
            with suppress(OSError):
                if hasattr(os, "killpg"):
                    os.killpg(self._process.pid, signal.SIGKILL)
                else:
                    self._process.kill()
            self._process.wait()

    def _check(self, line: bytes) -> None:
        """Check that a line was read and not the end of the output.

        Raises:
            Failed: with the exit status, if the program has ended.
        """
        if line:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        status = self._process.returncode
        raise Failed(
            "the command closed its output"
            if status is None
            else f"the command ended with exit status {status}"
        )

    def _read(self, output: IO[bytes]) -> None:
        """Pass on lines, and an empty one at the end."""
        with output:
            while line := output.readline(LINE):
                while self._process.returncode is None:
                    with suppress(queue.Full):
                        self._lines.put(line, timeout=1.0)
                        break
        with suppress(queue.Full):
            self._lines.put(b"", timeout=1.0)

"""Runs that are killed (signal 9) at random moments and resumed, and what they keep.

    python tests/kills.py [KILLS]     # design, search, optimize and sample in turn, on qm9

A killed run must have on disk what it had five seconds before: rows that had ended, and calls of
the user's function that had returned, none of which is repeated. The resumed run must end with the
bytes of a run without an interruption.
"""

from __future__ import annotations

import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

SECONDS = 5.0  # after which a result must be on disk
SCORER = """
import time
from rdkit import Chem

def slow(mol):
    time.sleep(float(open("pause").read()))
    with open("calls.log", "a") as file:
        file.write(f"{time.time()} {Chem.MolToSmiles(mol)}\\n")
    return float(mol.GetNumHeavyAtoms()) + mol.GetNumBonds() / 100
"""
# Runs the command line, and logs when rows have ended.
PROGRAM = """
import sys, time
from molgen.cli import main
from molgen.sampling.recorded import Record
add = Record.add
def logged(record, info):
    add(record, info)
    with open("rows.log", "a") as file:
        file.write(f"{time.time()} {len(info.rows)}\\n")
Record.add = logged
sys.exit(main(sys.argv[1:]))
"""
OWN = "scorers.py:slow"
LEADS = ["CC1=CNC(=O)C1", "OCC1CCCO1"]
COMMANDS: dict[str, Sequence[str]] = {
    "design": ("design", "MODEL", "--n", "20", "--target", f"{OWN}=9.08..", "--max-draws", "300"),
    "search": ("search", "MODEL", "--n", "6", "--nfe", "60", "--target", f"{OWN}=max"),
    "optimize": (
        *("optimize", "MODEL", "leads.smi", "--target", f"{OWN}=max", "--attempts", "16"),
        *("--oracle-calls", "16", "--similarity", "0.1", "--steps", "16"),
    ),
    "sample": (
        *("sample", "MODEL", "--n", "150", "--batch-size", "16", "--steps", "16"),
        *("--property", OWN),
    ),
}


@dataclass(frozen=True)
class Kill:
    """What a killed run had, kept and repeated.

    Attributes:
        after: seconds from the first row to the kill.
        rows: that had ended five seconds before the kill.
        stored: rows in the journal.
        calls: of the user's function that had returned five seconds before the kill.
        repeated: of these, called again by the resumed run.
        same: whether the resumed run ended as the uninterrupted one.
    """

    after: float
    rows: int
    stored: int
    calls: int
    repeated: int
    same: bool

    @property
    def good(self) -> bool:
        """Whether nothing was lost."""
        return self.stored >= self.rows and not self.repeated and self.same


def prepare(folder: Path, pause: float = 0.02) -> None:
    """Write the files that the commands name; a call of the function takes ``pause`` seconds."""
    (folder / "pause").write_text(str(pause))
    (folder / "scorers.py").write_text(SCORER)
    (folder / "leads.smi").write_text("\n".join(LEADS) + "\n")


def start(words: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """Start the command line in a folder."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def whole(words: Sequence[str], folder: Path) -> tuple[float, bytes]:
    """Return the output of a run without an interruption, and its seconds from the first row on.

    Raises:
        ValueError: if it fails.
    """
    process = start([*words, "--out", "whole.csv"], folder)
    _, errors = process.communicate()
    if process.returncode not in (0, 3):
        raise ValueError(errors)
    began = float((folder / "rows.log").read_text().split()[0])
    for name in ("calls.log", "rows.log"):
        (folder / name).unlink()
    return time.time() - began, (folder / "whole.csv").read_bytes()


def killed(words: Sequence[str], folder: Path, after: float, expected: bytes) -> Kill | None:
    """Kill a run some seconds after its first row, and resume it; None if it had ended before.

    Args:
        words: of the command line.
        folder: with the files of :func:`prepare`.
        after: seconds from the first row on.
        expected: output of a run without an interruption.
    """
    asked = [*words, "--out", "out.csv"]
    process = start(asked, folder)
    while process.poll() is None and not (folder / "rows.log").exists():
        time.sleep(0.02)
    time.sleep(after)
    cut = kill(process, folder)
    out, journal = folder / "out.csv", folder / "out.csv.journal"
    if out.exists() and not journal.exists():  # it was complete
        out.unlink()
        return None
    start([*asked, "--resume"], folder).communicate()
    repeated = cut.paid & calls(folder)
    same = out.read_bytes() == expected and not journal.exists()
    for name in ("calls.log", "rows.log", "out.csv"):
        (folder / name).unlink(missing_ok=True)
    return Kill(after, cut.rows, cut.stored, len(cut.paid), len(repeated), same)


@dataclass(frozen=True)
class Cut:
    """What a killed process had.

    Attributes:
        rows: that had ended some seconds before.
        paid: molecules of which calls had returned some seconds before.
        stored: rows in the journal.
    """

    rows: int
    paid: set[str]
    stored: int


def kill(process: subprocess.Popen[str], folder: Path, seconds: float = SECONDS) -> Cut:
    """Kill a process, and remove its logs; it must have written what is older than ``seconds``."""
    process.send_signal(signal.SIGKILL)
    now = time.time()
    process.communicate()
    time.sleep(1)  # in which processes of the function end
    rows = sum(int(count) for count in _before(folder / "rows.log", now - seconds))
    cut = Cut(rows, calls(folder, now - seconds), _stored(folder / "out.csv.journal"))
    for name in ("calls.log", "rows.log"):
        (folder / name).unlink(missing_ok=True)
    return cut


def calls(folder: Path, before: float = math.inf) -> set[str]:
    """Return the molecules of which calls of the function have returned."""
    return set(_before(folder / "calls.log", before))


def _before(log: Path, moment: float) -> list[str]:
    """Return what a log has from before a moment."""
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [words[1] for words in lines if len(words) == 2 and float(words[0]) < moment]


def _stored(journal: Path) -> int:
    """Return the number of rows of samplers in a journal; 0 if it does not exist yet."""
    if not journal.exists():
        return 0
    with closing(sqlite3.connect(journal)) as file:
        if not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'blocks'").fetchone():
            return 0
        (rows,) = file.execute("SELECT total(rows) FROM blocks").fetchone()
    return int(rows)


def main(kills: int, commands: Mapping[str, Sequence[str]] = COMMANDS) -> int:
    """Kill runs of every command in turn; print a line for each, and return the exit status."""
    rng, good = random.Random(19), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        runs = {}
        for command, template in commands.items():
            words = [word.replace("MODEL", "qm9") for word in template]
            runs[command] = words, *whole(words, folder)
            print(f"{command}: {runs[command][1]:.0f} s from the first row on", flush=True)
        for number in range(kills):
            command = list(runs)[number % len(runs)]
            words, seconds, expected = runs[command]
            kill = None
            while kill is None:
                kill = killed(words, folder, rng.uniform(0, 1) * seconds, expected)
            good += kill.good
            print(f"{number + 1:3d} {command:9s} {kill}", flush=True)
    print(f"{good} of {kills} kept what they had, and ended as the uninterrupted run")
    return int(good != kills)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 20))

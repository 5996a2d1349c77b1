"""Running the command line within the test's own process, or stopping one of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    def refused(self) -> str:
        """Check that it ended as bad input does, and return the line that says why."""
        assert self.status == 2, self
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("molgen")
        return self.err


Run = Callable[..., Ran]
"""Takes the words of a command; the fixture ``molgen`` is one."""


def cells(path: Path) -> pd.DataFrame:
    """Read a CSV as the text of its cells."""
    import pandas as pd

    return pd.read_csv(path, keep_default_na=False, dtype=str)


def names(folder: Path) -> set[str]:
    """Return the names of what lies in a folder."""
    return {path.name for path in folder.iterdir()}


def interrupted(molgen: Run, words: Sequence[object], folder: Path, kind: signal.Signals) -> Ran:
    """Run a command in this process, with a signal once a folder holds two finished points."""
    over = threading.Event()

    def watch() -> None:
        while len(list(folder.rglob("*.json"))) < 2:
            if over.wait(0.005):
                return
        os.kill(os.getpid(), kind)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return molgen(*words)
    finally:
        over.set()
        watcher.join()


def stopped(words: Sequence[object], folder: Path, kind: signal.Signals) -> Ran:
    """Run a command in a process that gets a signal once a folder holds two finished points."""
    command = [sys.executable, "-c", "from molgen.cli import main; raise SystemExit(main())"]
    process = subprocess.Popen(
        [*command, *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while len(list(folder.rglob("*.json"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(kind)
    _, errors = process.communicate(timeout=120)
    return Ran(process.returncode, "", errors)

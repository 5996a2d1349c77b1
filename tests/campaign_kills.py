"""A campaign with a scorer that is killed (signal 9) at random moments and resumed each time.

    python tests/campaign_kills.py [KILLS]

Its molecules and every stored score must be those of a campaign without an interruption, and no
molecule whose score was stored may be scored again.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import tiny

SCORER = """
import time
from rdkit import Chem

def slow(mol):
    time.sleep(PAUSE)
    with open("calls.log", "a") as file:
        file.write(Chem.MolToSmiles(mol) + "\\n")
    if mol.GetNumAtoms() == 4:
        raise RuntimeError("four atoms")
    return float(mol.GetNumAtoms()) + mol.GetNumBonds() / 100
"""
PROGRAM = "import sys; from molgen.cli import main; sys.exit(main())"
OWN = "scorers.py:slow"


@dataclass(frozen=True)
class Killed:
    """A campaign that was killed again and again.

    Attributes:
        kills: how often.
        same: whether its molecules and scores are those of an uninterrupted one.
        repeated: molecules that were scored again after their score was stored.
        lost: calls whose score was not stored yet when the process was killed.
    """

    kills: int
    same: bool
    repeated: int
    lost: int

    @property
    def good(self) -> bool:
        """Whether nothing was lost."""
        return self.same and not self.repeated


def prepare(folder: Path, pause: float) -> None:
    """Write a model and a scorer whose calls take ``pause`` seconds."""
    tiny.save(folder / "model")
    (folder / "scorers.py").write_text(SCORER.replace("PAUSE", str(pause)))


def start(folder: Path, name: str, seed: int, n: int, workers: int) -> subprocess.Popen[str]:
    """Begin or resume a campaign."""
    words = f"design model --score {OWN}=6.. --n {n} --seed {seed} --campaign {name}.campaign"
    words += f" --block 16 --workers {workers} --out {name}.csv"
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words.split()],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def scores(folder: Path, name: str) -> dict[str, tuple[float | None, str | None]]:
    """Return the stored scores of a campaign that is not running."""
    path = folder / f"{name}.campaign"
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as file:
        if not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'scores'").fetchone():
            return {}
        rows = file.execute("SELECT molecule, value, message FROM scores")
        return {molecule: (value, message) for molecule, value, message in rows}


def calls(folder: Path) -> list[str]:
    """Return the molecules of which calls of the scorer have returned, and forget them."""
    log = folder / "calls.log"
    found = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return found


def killed(
    folder: Path, seed: int, n: int, kills: int, rng: random.Random, workers: int = 1
) -> Killed:
    """Run a campaign twice: as it is, and killed up to ``kills`` times.

    Args:
        folder: of :func:`prepare`.
        seed: of the campaign.
        n: molecules.
        kills: most kills.
        rng: of their moments.
        workers: of the campaign that is killed.

    Raises:
        ValueError: if a run fails.
    """
    whole, own = f"whole{seed}", f"killed{seed}"
    process = start(folder, whole, seed, n, 1)
    _, errors = process.communicate()
    if process.returncode:
        raise ValueError(errors)
    expected = scores(folder, whole)
    calls(folder)
    count, repeated, lost = 0, 0, 0
    while True:
        before = set(scores(folder, own))
        process = start(folder, own, seed, n, workers)
        while count < kills and process.poll() is None and not (folder / "calls.log").exists():
            time.sleep(0.02)
        if count < kills:
            time.sleep(rng.uniform(0, 2))
        if count < kills and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            time.sleep(1)  # in which its processes end
            count += 1
            found = set(calls(folder))
            repeated += len(found & before)
            lost += len(found - set(scores(folder, own)))
            continue
        _, errors = process.communicate()
        if process.returncode:
            raise ValueError(errors)
        repeated += len(set(calls(folder)) & before)
        found_scores = scores(folder, own)
        # another order of tasks may score a few molecules more, or fewer, behind the last one
        both = set(expected) & set(found_scores)
        same = all(expected[text] == found_scores[text] for text in both)
        tables = [(folder / f"{name}.csv").read_bytes() for name in (whole, own)]
        return Killed(count, same and tables[0] == tables[1], repeated, lost)


def main(kills: int) -> int:
    """Kill campaigns until there were so many kills; print each, and return the exit status."""
    rng, total, good = random.Random(22), 0, True
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), pause=0.05)
        for seed in range(kills):
            found = killed(Path(name), seed, 60, min(12, kills - total), rng, 1 + seed % 2)
            total, good = total + found.kills, good and found.good
            print(f"seed {seed}, {1 + seed % 2} workers: {found}", flush=True)
            if total >= kills:
                break
    print(f"{total} kills: {'nothing was lost' if good else 'SOMETHING WAS LOST'}")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 50))

"""The state of a campaign in numbers: for people, and beside the file for other processes.

While a campaign runs its file is locked, so its client writes the status every few seconds to
``FILE.status``, which is deleted at the end of the run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from molgen.campaigns.store import OK
from molgen.molecules.fate import Fate
from molgen.utils.files import replacing
from molgen.utils.json_files import read_json

END = ".status"
SHOWN = 3  # reasons of a line


@dataclass(frozen=True)
class Status:
    """The state of a campaign.

    Attributes:
        command: design, search or optimize.
        n: molecules to accept, or leads to improve.
        accepted: molecules so far; of leads, attempts that are ``ok``.
        drawn: rows, or attempts, up to the last accepted one.
        fates: counts of these rows by their fate.
        waiting: rows that wait for scores, or for rows before them.
        forwards: of the network, in whole blocks.
        classifier_forwards: of a noisy classifier, likewise.
        scored: molecules by paid property.
        best: molecule with the highest score so far, and the score; none for no molecule.
        reason: of the end; empty before it.
        workers: of the run; 0 while none runs.
        rate: accepted molecules a second in this run.
        done: of ``n``, what is done; for leads not the number of accepted molecules.
    """

    command: str
    n: int
    accepted: int
    drawn: int
    fates: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    forwards: int = 0
    classifier_forwards: int = 0
    scored: Mapping[str, int] = field(default_factory=dict)
    best: tuple[str, float] | None = None
    reason: str = ""
    workers: int = 0
    rate: float = 0.0
    done: int = 0

    @property
    def valid(self) -> float:
        """The share of the rows drawn that are a molecule."""
        invalid = self.fates.get(str(Fate.INVALID), 0)
        return 1 - invalid / self.drawn if self.drawn else 0.0

    @property
    def rejected(self) -> dict[str, int]:
        """Counts of rejected rows by reason, the most frequent one first."""
        found = {fate: count for fate, count in self.fates.items() if fate != OK and count}
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    @property
    def seconds_left(self) -> float | None:
        """The time to the end at the present rate; None if it is unknown."""
        return (self.n - self.done) / self.rate if self.rate > 0 else None

    def line(self) -> str:
        """Return the state as one line."""
        parts = [f"{self.done} of {self.n}"]
        if self.rate > 0:
            parts.append(f"{60 * self.rate:.3g} a minute")
        if not self.reason and (left := self.seconds_left) is not None:
            parts.append(f"{duration(left)} left")
        parts.append(f"{self.drawn} drawn, {100 * self.valid:.0f} % valid")
        if self.waiting:
            parts.append(f"{self.waiting} waiting")
        if self.best:
            parts.append(f"best {self.best[1]:.3g}")
        reasons = list(self.rejected.items())[:SHOWN]
        parts += [", ".join(f"{count} {fate}" for fate, count in reasons)] if reasons else []
        return "; ".join(parts)

    def __str__(self) -> str:
        kind = "leads" if self.command == "optimize" else "molecules"
        lines = [f"{self.command}: {self.done} of {self.n} {kind}: {self.reason or 'not ended'}"]
        costs = f"{self.forwards} forwards"
        if self.classifier_forwards:
            costs += f", {self.classifier_forwards} of the noisy classifier"
        lines.append(f"{self.drawn} drawn, {100 * self.valid:.1f} % valid; {costs}")
        lines += [f"{count:8d} {fate}" for fate, count in self.rejected.items()]
        lines += [f"{name}: {count} molecules scored" for name, count in self.scored.items()]
        if self.waiting:
            lines.append(f"{self.waiting} rows wait for scores, or for rows before them")
        if self.best:
            lines.append(f"best: {self.best[0]} ({self.best[1]:.4g})")
        if self.workers:
            lines.append(f"running: {self.workers} workers; {self.line()}")
        return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return a time in words: seconds, minutes, hours or days."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def status_path(path: str | Path) -> Path:
    """Return the path of the status beside a campaign's file."""
    return Path(f"{path}{END}")


def write_status(status: Status, path: str | Path) -> None:
    """Write the status beside a campaign's file; a full disk is no reason to end a campaign."""
    with suppress(OSError), replacing(status_path(path)) as temporary:
        temporary.write_text(json.dumps(msgspec.to_builtins(status)), encoding="utf-8")


def read_status(path: str | Path) -> Status | None:
    """Return the status beside a campaign's file; None if there is none.

    Raises:
        MolgenError: if it is damaged.
    """
    try:
        return read_json(status_path(path), Status)
    except FileNotFoundError:
        return None


class Rate:
    """Items a second since its creation."""

    def __init__(self, count: int) -> None:
        self._first, self._started = count, time.monotonic()

    def __call__(self, count: int) -> float:
        """Return the rate, given the count of now."""
        seconds = time.monotonic() - self._started
        return (count - self._first) / seconds if seconds > 0 else 0.0

"""Trajectories: the tokens placed and removed in each step, with their probabilities.

A trajectory is a plain table of events. Replaying its events from all masks gives the state of a
molecule after any step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from molgen.data.tokenizer import Tokenizer
from molgen.errors import MolgenError
from molgen.utils.arrays import Floats, Ids

if TYPE_CHECKING:
    import pandas as pd


PLACED, REMOVED = 0, 1
EVENTS = ("molecule", "step", "position", "action", "token", "probability")
"""Columns of the table of a trajectory."""
COLUMNS = 6  # of an event


@dataclass(frozen=True)
class Trajectory:
    """Events in the order they happened within each molecule; columns of one shape (events,).

    Attributes:
        molecule: index of the requested row.
        step: step of the plan.
        position: of the token.
        action: ``PLACED`` or ``REMOVED``.
        token: id of the token placed or removed.
        probability: of the token when it was placed.
        tokenizer: of the tokens, None if unknown.
    """

    molecule: Ids
    step: Ids
    position: Ids
    action: Ids
    token: Ids
    probability: Floats
    tokenizer: Tokenizer | None = None

    def of(self, molecule: int) -> Trajectory:
        """Return the events of one molecule."""
        rows = self.molecule == molecule
        return replace(self, **{name: getattr(self, name)[rows] for name in EVENTS})

    def states(self, molecule: int, length: int, mask_id: int) -> tuple[Ids, Ids]:
        """Replay one molecule.

        Returns:
            The steps after which something changed, shape (changes,), and the tokens after each of
            them, shape (changes, length).
        """
        events = self.of(molecule)
        tokens = np.full(length, mask_id, dtype=np.int64)
        steps = np.unique(events.step)
        states = np.empty((len(steps), length), dtype=np.int64)
        for i, step in enumerate(steps):
            now = events.step == step
            tokens[events.position[now]] = np.where(
                events.action[now] == PLACED, events.token[now], mask_id
            )
            states[i] = tokens
        return steps, states

    def frame(self, tokenizer: Tokenizer | None = None) -> pd.DataFrame:
        """Return the events as a table with the tokens as text.

        ``action`` is ``placed``, ``removed`` or, where the token differs from the one that was
        removed from that position before, ``replaced``. The tokenizer may be left out where the
        trajectory has its own.

        Raises:
            MolgenError: if there is no tokenizer.
        """
        import pandas as pd

        tokenizer = tokenizer or self.tokenizer
        if tokenizer is None:
            raise MolgenError("tokenizer is None, expected that of the model")
        last: dict[tuple[int, int], int] = {}
        words = []
        columns = (self.molecule, self.position, self.action, self.token)
        for molecule, position, action, token in zip(*columns, strict=True):
            before = last.get((molecule, position))
            if action == REMOVED:
                last[molecule, position] = token
            changed = before is not None and before != token
            words.append("removed" if action == REMOVED else "replaced" if changed else "placed")
        return pd.DataFrame(
            {
                "molecule": self.molecule,
                "step": self.step,
                "position": self.position,
                "action": words,
                "token": [tokenizer.vocab[i] for i in self.token],
                "probability": self.probability,
            }
        )

    def text(self, molecule: int, length: int, tokenizer: Tokenizer) -> str:
        """Return one molecule's trajectory as lines: step, then tokens with ``_`` for a mask."""
        steps, states = self.states(molecule, length, tokenizer.mask_id)
        shown = [
            " ".join("_" if i == tokenizer.mask_id else tokenizer.vocab[i] for i in state)
            for state in states
        ]
        return "\n".join(f"{step:5d}  {line}" for step, line in zip(steps, shown, strict=True))


class Recorder:
    """Collects events while a sampler runs."""

    def __init__(self) -> None:
        self._events: list[NDArray[np.float64]] = []

    def place(self, molecule: Ids, step: Ids, position: Ids, token: Ids, p: Floats) -> None:
        """Record tokens placed; arguments have one shape (events,)."""
        self._note(PLACED, molecule, step, position, token, p)

    def remove(self, molecule: Ids, step: Ids, position: Ids, token: Ids, p: Floats) -> None:
        """Record tokens removed; arguments have one shape (events,)."""
        self._note(REMOVED, molecule, step, position, token, p)

    def _note(
        self, action: int, molecule: Ids, step: Ids, position: Ids, token: Ids, p: Floats
    ) -> None:
        actions = np.full(len(molecule), action)
        self._events.append(np.stack([molecule, step, position, actions, token, p], axis=1))

    def of(self, molecules: Ids) -> Floats:
        """Return the events of some molecules, shape (events, columns)."""
        events = [each[np.isin(each[:, 0], molecules)] for each in self._events[:]]
        return np.concatenate([np.empty((0, COLUMNS)), *events])

    def restore(self, events: Floats) -> None:
        """Take events of an earlier run, with the columns of :meth:`of`."""
        self._events.append(events)

    def trajectory(self, first: int = 0) -> Trajectory:
        """Return all events sorted by molecule and step; molecules count from ``first``."""
        events = np.concatenate([np.empty((0, COLUMNS)), *self._events])
        events = events[np.lexsort((events[:, 1], events[:, 0]))]
        molecule, step, position, action, token = events[:, :5].astype(np.int64).T
        return Trajectory(molecule + first, step, position, action, token, events[:, 5])

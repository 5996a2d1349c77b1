"""The failures of one user's function: how many, the messages, and whether they are too many."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from property_models.calls import Outcome

FIRST = 20  # molecules: a run stops if all of them fail
RECENT, MOST = 100, 50  # a run stops if more than ``MOST`` of the last ``RECENT`` molecules fail


@dataclass
class Failures:
    """The failures of one property.

    Attributes:
        scored: molecules that the function was called for.
        messages: of those without a value, by SMILES.
        failed: how many these are.
        recent: whether each of the last molecules failed.
    """

    scored: int = 0
    failed: int = 0
    messages: dict[str, str] = field(default_factory=dict)
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def too_many(self) -> bool:
        """Whether all of the first molecules failed, or most of the last."""
        return self.scored == self.failed == FIRST or sum(self.recent) > MOST

    def add(self, text: str, outcome: Outcome) -> None:
        """Count an outcome."""
        if outcome is None:
            return
        self.scored += 1
        self.recent.append(isinstance(outcome, str))
        if isinstance(outcome, str):
            self.failed += 1
            self.messages[text] = outcome

    def __str__(self) -> str:
        text, first = next(iter(self.messages.items()), ("", ""))
        return f"failed on {self.failed} of {self.scored} molecules; first: {text}: {first}"

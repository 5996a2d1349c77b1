"""The fate of a row: why it is not delivered, in one vocabulary, whoever drew it."""

from __future__ import annotations

from enum import StrEnum


class Fate(StrEnum):
    """What became of a row or an attempt; the first of these that holds."""

    INVALID = "invalid"
    """No molecule; the row's ``status`` says where it stopped being one."""
    UNCHANGED = "unchanged"
    """The lead itself."""
    DUPLICATE = "duplicate"
    """Met before."""
    IN_TRAINING_SET = "in training set"
    CONSTRAINT_LOST = "constraint lost"
    DISSIMILAR = "similarity below"
    """Less like the lead than was asked for."""
    FILTERED = "filter failed"
    UNLIKELY = "unlikely"
    """A noisy classifier finds it improbable that it meets the targets."""
    NOT_SELECTED = "not selected"
    """Not among the best that a surrogate chose; nothing is computed of it."""
    NOT_SCORED = "not scored"
    """The budget of oracle calls had ended, or a property has no value for it."""
    GOAL_MISSED = "goal missed"
    ACCEPTED = "ok"

    def of(self, name: str) -> str:
        """Return the fate with what it is due to: the name of a filter, or of a property."""
        return f"{self}: {name}"

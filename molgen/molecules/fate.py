"""The fate of a row: one vocabulary of reasons for rejection, for all samplers and searches."""

from __future__ import annotations

from enum import StrEnum


class Fate(StrEnum):
    """The outcome of a row or an attempt; the first that applies."""

    INVALID = "invalid"
    """Not a molecule; the row's ``status`` is the step that failed."""
    UNCHANGED = "unchanged"
    """The lead itself."""
    DUPLICATE = "duplicate"
    """Drawn before."""
    IN_TRAINING_SET = "in training set"
    CONSTRAINT_LOST = "constraint lost"
    DISSIMILAR = "similarity below"
    """Similarity to the lead below the requested minimum."""
    FILTERED = "filter failed"
    UNLIKELY = "unlikely"
    """Low target probability under the noisy classifier."""
    NOT_SELECTED = "not selected"
    """Not among the top k of a surrogate; no property is computed."""
    NOT_SCORED = "not scored"
    """The budget of oracle calls was used up, or a property has no value for it."""
    GOAL_MISSED = "goal missed"
    ACCEPTED = "ok"

    def of(self, name: str) -> str:
        """Return the fate with its cause: the name of a filter or of a property."""
        return f"{self}: {name}"

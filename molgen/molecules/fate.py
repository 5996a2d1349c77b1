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
    NO_INCHIKEY = "no InChIKey"
    """InChI has no key for it, and novelty is by InChIKey."""
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
    SCORER_FAILED = "scorer failed"
    """A user's function has no value for it."""
    GOAL_MISSED = "goal missed"
    ACCEPTED = "ok"

    def of(self, name: str) -> str:
        """Return the fate with its cause: the name of a filter or of a property."""
        return f"{self}: {name}"

    @classmethod
    def failed(cls, name: str, message: str) -> str:
        """Return the fate of a molecule on which a user's function failed, with its message."""
        return f"{cls.SCORER_FAILED.of(name)} ({message})"


def counted(fate: str) -> str:
    """Return the fate of a row as it is counted: without the message of a user's function."""
    return fate.partition(" (")[0] if fate.startswith(Fate.SCORER_FAILED) else fate

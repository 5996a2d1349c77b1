"""Running the command line within the test's own process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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

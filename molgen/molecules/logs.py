"""RDKit's log is blocked here, and nowhere else.

    with quiet: ...          or          @quiet

What RDKit writes to standard error about a molecule (a hydrogen without neighbours, a ring that
cannot be kekulised, a valence) is a row's status, so every function that calls RDKit is quiet. The
log is blocked from the first entry to the last exit of all threads; afterwards the user's own
settings are as before.
"""

from __future__ import annotations

import threading
from contextlib import ContextDecorator
from types import TracebackType

from rdkit import rdBase


class _Quiet(ContextDecorator):
    """Blocks RDKit's log in a block or a function; may be nested, in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._block: rdBase.BlockLogs | None = None

    def __enter__(self) -> None:
        """Block the log."""
        with self._lock:
            if not self._depth:
                self._block = rdBase.BlockLogs()
            self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore the log at the last exit."""
        with self._lock:
            self._depth -= 1
            if not self._depth:
                self._block = None  # its end restores the log


quiet = _Quiet()

"""The journal of a run: finished rows and paid scores, on disk while the run goes on.

    with journal("designs.journal", {"model": "qm9", "n": 50, "seed": 1}, resume=True):
        found = design(model, request)

A run is a pure function of its request, so it is resumed by repeating it: expensive results are
taken from the journal as far as they are there, and the result is that of a run without an
interruption. There are two kinds of them:

- *calls*, of a sampler or another expensive function, with blocks of arrays, such as rows that have
  ended. A call is identified by a digest of its input, and by how many calls with this digest came
  before it;
- *scores*: the value, or the message of the failure, of a user's function on a molecule, by the
  names of the property and of the molecule.

A thread writes them every second, so what a run had five seconds before it was killed is on disk.
At the end of the block the file is deleted; it is kept after an exception or
:meth:`Journal.keep`, unless it is empty. The format is that of :mod:`molgen.utils.journal_file`.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from molgen.errors import MolgenError
from molgen.utils.journal_file import Arrays, CallKey, JournalFile, Score

SECONDS = 1.0  # between two writes


Completed = Callable[[Arrays], Arrays]
"""From a block, as it is joined, to the block that is written; called in another thread."""


class Call:
    """A call of an expensive function.

    Attributes:
        key: its digest and number.
        stored: the blocks of an earlier run, in order.
        completed: adds further arrays to a block.
        over: whether nothing more is added.
    """

    def __init__(self, key: CallKey, stored: list[Arrays], completed: Completed | None) -> None:
        self.key, self.stored, self.completed, self.over = key, stored, completed, False
        self._added: list[Arrays] = []

    def add(self, arrays: Arrays) -> None:
        """Add arrays; those added between two writes are joined along their first axis."""
        self._added.append(arrays)

    def block(self) -> Arrays:
        """Return what was added since the last time as one block, empty for nothing."""
        added = self._added[:]  # of a list that grows in another thread
        del self._added[: len(added)]
        names = added[0] if added else ()
        block = {name: np.concatenate([each[name] for each in added]) for name in names}
        return self.completed(block) if block and self.completed else block


class Journal:
    """An open journal; see :func:`journal`.

    Attributes:
        path: of the file.
        scores: by names of property and molecule, those on disk included.
    """

    def __init__(self, file: JournalFile) -> None:
        """Read the scores of an open file, and start to write."""
        self._file, self.path = file, file.path
        self._stored, self.scores = self._file.calls(), self._file.scores()
        self._writing, self._adding = threading.Lock(), threading.Lock()
        self._calls: list[Call] = []
        self._counts: Counter[bytes] = Counter()
        self._blocks: list[tuple[CallKey, Arrays]] = []
        self._new: dict[tuple[str, str], Score] = {}
        self._failure: MolgenError | None = None
        self._kept = False
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._write_regularly, daemon=True)
        self._writer.start()

    def identify(self, request: Mapping[str, Any]) -> None:
        """Store parts of the request, or compare them with the stored ones.

        Args:
            request: values by name, of types that JSON has.

        Raises:
            MolgenError: naming the parts that differ.
        """
        with self._writing:
            self._file.identify(request)

    @contextmanager
    def call(self, digest: bytes, completed: Completed | None = None) -> Iterator[Call]:
        """Record a call within the block.

        Args:
            digest: of its input; see :func:`digest`.
            completed: see :class:`Call`.

        Raises:
            MolgenError: if its stored blocks are damaged, or the journal cannot be written.
        """
        self.check()
        key = digest, self._counts[digest]
        self._counts[digest] += 1
        stored: list[Arrays] = []
        if key in self._stored:
            with self._writing:
                stored = self._file.blocks(self._stored[key])
        call = Call(key, stored, completed)
        with self._adding:
            self._calls.append(call)
        try:
            yield call
        finally:
            call.over = True

    def score(self, name: str, text: str, score: Score) -> None:
        """Add a property's score of a molecule, unless there is one."""
        with self._adding:
            if (name, text) not in self.scores:
                self.scores[name, text] = self._new[name, text] = score

    def forget_failures(self, name: str) -> None:
        """Delete the failures of a property, which a resumed run computes again."""
        with self._writing, self._adding:
            for scores in (self.scores, self._new):
                failed = [key for key, x in scores.items() if key[0] == name and isinstance(x, str)]
                for key in failed:
                    del scores[key]
            self._file.forget_failures(name)

    def keep(self) -> None:
        """Keep the file after the block: the run is not complete."""
        self._kept = True

    def check(self) -> None:
        """Check that results can be written.

        Raises:
            MolgenError: if the last ones could not.
        """
        if self._failure is not None:
            raise self._failure

    def write(self) -> None:
        """Write all results that are new.

        Raises:
            MolgenError: if they cannot be written; they are kept for the next time.
        """
        with self._writing:
            with self._adding:
                over = [call.over for call in self._calls]  # before the last block is taken
                found = [(call.key, call.block()) for call in self._calls]
                self._blocks += [pair for pair in found if pair[1]]
                self._calls = [c for c, ended in zip(self._calls, over, strict=True) if not ended]
                scores = self._new.copy()
            if not self._blocks and not scores:
                return
            self._file.write(self._blocks, scores)
            self._blocks = []
            with self._adding:
                self._new = {k: x for k, x in self._new.items() if k not in scores}

    def close(self) -> bool:
        """End the run; return whether the file is kept.

        Raises:
            MolgenError: if the file is kept, and the last results cannot be written.
        """
        self._closing.set()
        self._writer.join()
        try:
            if self._kept:
                self.write()
                self._kept = not self._file.empty
        finally:
            self._file.close(delete=not self._kept)
        return self._kept

    def _write_regularly(self) -> None:
        while not self._closing.wait(SECONDS):
            try:
                self.write()
                self._failure = None
            except MolgenError as error:  # raised by the next check of the run
                self._failure = error
            except (ValueError, OSError, MemoryError) as error:
                self._failure = MolgenError(f"{self.path} cannot be written: {error}")


_active: ContextVar[Journal | None] = ContextVar("journal", default=None)


def active() -> Journal | None:
    """Return the journal of this run; None if it has none."""
    return _active.get()


def recorded(parts: Sequence[Any], compute: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of an expensive function, from the journal of this run if it has them.

    Args:
        parts: of the function's input; see :func:`digest`.
        compute: the function.

    Raises:
        MolgenError: if they are damaged, or the journal cannot be written.
    """
    own = active()
    if own is None:
        return compute()
    with own.call(digest(*parts)) as call:
        if call.stored:
            return call.stored[0]
        found = compute()
        call.add(found)
    return found


def keep() -> None:
    """Keep the file of the journal of this run, if it has one: the run was interrupted."""
    own = active()
    if own is not None:
        own.keep()


@contextmanager
def journal(
    path: str | Path, request: Mapping[str, Any], resume: bool = False
) -> Iterator[Journal]:
    """Keep a journal of the run in the block.

    Args:
        path: of the file.
        request: all that the result depends on, by name, of types that JSON has.
        resume: whether to continue the run of a journal; without a file, a run begins.

    Raises:
        MolgenError: if there is a file and it is not to be resumed, or it is damaged, in use, or of
            another request; nothing has run, and the file is unchanged.
    """
    with entered(_opened(path, request, resume)) as own:
        yield own


@contextmanager
def entered(own: Journal) -> Iterator[Journal]:
    """Make an open journal that of the run in the block, and close it at the end."""
    token = _active.set(own)
    try:
        yield own
    except BaseException:
        own.keep()
        with suppress(MolgenError):  # the first error is raised
            own.close()
        raise
    else:
        own.close()
    finally:
        _active.reset(token)


def _opened(path: str | Path, request: Mapping[str, Any], resume: bool) -> Journal:
    there = os.path.lexists(path)
    file = JournalFile(path)
    try:
        if there and not resume:
            raise MolgenError(
                f"{path} is of an unfinished run: resume it (--resume), or delete the file"
            )
        file.identify(request)
        return Journal(file)
    except BaseException:
        file.close(delete=not there)
        raise


def digest(*parts: Any) -> bytes:
    """Return a digest of numbers, texts and arrays; None counts as a value."""
    total = blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"{part.dtype.str}{part.shape}".encode())
            total.update(np.ascontiguousarray(part).tobytes())
        else:
            total.update(repr(part).encode())
        total.update(b"\0")
    return total.digest()

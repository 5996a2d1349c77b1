"""Sessions with programs outside of Python, several at once: threads, outcomes in order.

A session is opened and used by one thread; a batch of molecules is one call. What costs time runs
elsewhere, so threads are enough, and a call that hangs is ended by :meth:`Session.close` from the
main thread.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Protocol

from rdkit import Chem

from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse
from molgen.scorers.outcomes import Items, OnOutcome, Outcome

AHEAD = 2  # batches for each thread: one that runs and one that waits
GRACE_SECONDS = 1.0  # for all sessions to end by themselves

Answers = list[float | str]
"""Of each molecule of a batch: a finite number, or the message of a failure."""


class Session(Protocol):
    """A session, which scores batches one after another."""

    def score(self, smiles: Sequence[str]) -> Answers:
        """Return the outcome of each molecule, by canonical SMILES; it raises nothing."""
        ...

    def stop(self) -> None:
        """Ask the other side to end; from another thread."""
        ...

    def close(self, seconds: float) -> None:
        """End the session, a call in progress too, at the latest after some seconds."""
        ...


class Client(Protocol):
    """What sessions are opened with.

    Attributes:
        batch: most molecules of a call.
    """

    @property
    def batch(self) -> int: ...  # noqa: D102 - an attribute

    def open(self, timeout: float) -> Session:
        """Open a session.

        Args:
            timeout: seconds that a call may take.
        """
        ...


class Sessions:
    """Several sessions with one client; see :class:`molgen.scorers.outcomes.Backend`.

    Args:
        client: of all.
        timeout: seconds that a call may take.
        count: of sessions.
    """

    def __init__(self, client: Client, timeout: float, count: int) -> None:
        self.count, self._batch = count, client.batch
        self._calls: SimpleQueue[tuple[Future[Answers], list[str]] | None] = SimpleQueue()
        self._sessions = [client.open(timeout) for _ in range(count)]
        for session in self._sessions:  # no pool: its threads would hold up the program's end
            threading.Thread(target=self._serve, args=(session,), daemon=True).start()

    def outcomes(self, items: Items, on_outcome: OnOutcome | None = None) -> Iterator[Outcome]:
        """Yield the outcome of each molecule, in order; see the protocol."""
        texts = _canonical(items)
        rows = [i for i, text in enumerate(texts) if text]
        size = max(1, min(self._batch, -(-len(rows) // self.count)))
        batches = iter([rows[i : i + size] for i in range(0, len(rows), size)])
        running: deque[tuple[list[int], Future[Answers]]] = deque()
        done = 0
        try:
            while True:
                while len(running) < AHEAD * self.count and (batch := next(batches, None)):
                    future: Future[Answers] = Future()
                    if on_outcome is not None:
                        future.add_done_callback(partial(_pass_on, batch, on_outcome))
                    running.append((batch, future))
                    self._calls.put((future, [texts[i] for i in batch]))
                if not running:
                    break
                batch, future = running.popleft()
                for i, outcome in zip(batch, future.result(), strict=True):
                    yield from [None] * (i - done)
                    yield outcome
                    done = i + 1
            yield from [None] * (len(texts) - done)
        finally:
            for _, future in running:
                future.cancel()

    def close(self) -> None:
        """End all sessions, whatever they do."""
        for session in self._sessions:
            self._calls.put(None)
            session.stop()
        end = time.monotonic() + GRACE_SECONDS
        for session in self._sessions:
            session.close(max(0.0, end - time.monotonic()))

    def _serve(self, session: Session) -> None:
        while call := self._calls.get():
            future, smiles = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(session.score(smiles))
                except BaseException as error:  # noqa: BLE001 - raised by the one who waits
                    future.set_exception(error)


def _canonical(items: Items) -> list[str]:
    """Return canonical SMILES; empty for what is not a molecule."""
    with quiet:
        mols = [parse(item) if isinstance(item, str) else item for item in items]
    return ["" if mol is None else Chem.MolToSmiles(mol) for mol in mols]


def _pass_on(batch: list[int], on_outcome: OnOutcome, future: Future[Answers]) -> None:
    if not future.cancelled() and future.exception() is None:
        for i, outcome in zip(batch, future.result(), strict=True):
            on_outcome(i, outcome)

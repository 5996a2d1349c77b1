"""Worker processes for one user's function, so that a hang or an exit costs one molecule.

Calls run in processes that are started afresh (spawn) with :mod:`pebble`, each with a time limit,
and outcomes come in the order of the molecules. A task is one molecule, which costs about 1 ms more
than a plain call, or a list of them for a vectorised function; a list that fails as a whole is
repeated one molecule at a time, and only those that fail alone have no value. Functions without an
importable name travel by value, with :mod:`cloudpickle`; the program that started the processes is
not run again in them.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any

from pebble import ProcessExpired, ProcessFuture, ProcessPool
from rdkit import Chem

from molgen.scorers.outcomes import Items, OnOutcome, Outcome, message
from molgen.utils.interrupts import blocked, ignore_ctrl_c
from property_models.calls import call
from property_models.user_functions import find

LEFT = 256  # stands for exit status 0, and is none itself

Batch = tuple[int, Items]
"""The number of the first molecule, and the molecules."""
Running = ProcessFuture[Any]

BATCH = 100  # molecules of one call of a vectorised function
AHEAD = 2  # tasks for each process: one that runs and one that waits
START_SECONDS = 300.0  # that a process may take to start, imports of the user's module included


class Processes:
    """The worker processes of one function.

    Args:
        source: the name of the function, or the function itself, pickled.
        batched: whether it takes a list of canonical SMILES.
        timeout: seconds that a call may take.
        count: of processes.
    """

    def __init__(self, source: str | bytes, batched: bool, timeout: float, count: int) -> None:
        self.source, self.batched, self.timeout, self.count = source, batched, timeout, count
        self._dead = ""
        self._pool = self._started()

    def outcomes(self, items: Items, on_outcome: OnOutcome | None = None) -> Iterator[Outcome]:
        """Yield the outcome of each molecule, in order.

        Args:
            items: the molecules.
            on_outcome: called with the number and the outcome of a molecule as soon as it is there,
                in any order and by any thread; for a process that ended, in order.
        """
        size = BATCH if self.batched else 1
        starts = range(0, len(items), size)
        batches = ((start, items[start : start + size]) for start in starts)
        for start, batch, found in self._in_order(batches, on_outcome):
            if not isinstance(found, str):
                yield from found
            elif len(batch) == 1:
                yield found
            else:
                alone = ((start + i, [item]) for i, item in enumerate(batch))
                for *_, one in self._in_order(alone, on_outcome):
                    yield from [one] if isinstance(one, str) else one

    def close(self) -> None:
        """End the processes, whatever they do."""
        self._pool.stop()
        self._pool.join()

    def _in_order(
        self, batches: Iterable[Batch], on_outcome: OnOutcome | None
    ) -> Iterator[tuple[int, Items, list[Outcome] | str]]:
        """Yield batches with their outcomes; a message for one that failed as a whole."""
        batches = iter(batches)
        running: deque[tuple[int, Items, Running]] = deque()
        try:
            while True:
                while len(running) < AHEAD * self.count and (new := next(batches, None)):
                    start, batch = new
                    future = self._submit(batch)
                    if on_outcome is not None:
                        future.add_done_callback(partial(_pass_on, start, on_outcome))
                    running.append((start, batch, future))
                if not running:
                    return
                start, batch, future = running.popleft()
                found = self._result(batch, future)
                if on_outcome is not None and len(batch) == 1 and isinstance(found, str):
                    on_outcome(start, found)
                yield start, batch, found
        finally:
            for *_, future in running:
                future.cancel()

    def _result(self, batch: Items, future: Running) -> list[Outcome] | str:
        if self._dead:
            return self._dead
        try:
            return self._finished(future)
        except BrokenProcessPool:  # a process ended between two tasks
            try:
                return self._finished(self._submit(batch))
            except BrokenProcessPool:
                return "the process ended"

    def _finished(self, future: Running) -> list[Outcome] | str:
        try:
            found: list[Outcome] | str = future.result(START_SECONDS + (AHEAD + 1) * self.timeout)
        except ProcessExpired as error:
            code = 0 if error.exitcode == LEFT else error.exitcode
            return f"the process ended with exit status {code}"  # below 0: minus the signal
        except TimeoutError:
            if not future.done():
                self._dead = "no process has started"
            return self._dead or f"no result after {self.timeout:g} s"
        return found

    def _submit(self, batch: Items) -> Running:
        try:
            return self._pool.schedule(_work, (list(batch),), timeout=self.timeout)
        except RuntimeError:  # it is broken
            self.close()
            self._pool = self._started()
            return self._pool.schedule(_work, (list(batch),), timeout=self.timeout)

    def _started(self) -> ProcessPool:
        return ProcessPool(
            self.count,
            initializer=_start,
            initargs=(self.source, self.batched),
            context=Context(),
        )


class _Process(SpawnProcess):
    """A process that does not run the main program again, as a script without a guard needs.

    pebble takes exit status 0 for the end of a process that nobody waits for, so it never is.
    """

    def start(self) -> None:
        config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
        daemon = config.pop("daemon", None)  # of a worker of a pool, which may start none
        try:
            super().start()
        finally:
            if daemon is not None:
                config["daemon"] = daemon

    @property
    def exitcode(self) -> int | None:
        code = super().exitcode
        return LEFT if code == 0 else code

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            with blocked():
                return SpawnProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = main


class Context(SpawnContext):
    """Starts processes afresh, also from worker processes of a pool."""

    Process = _Process


def _pass_on(start: int, on_outcome: OnOutcome, future: Running) -> None:
    """Report the outcomes of a call as soon as it has returned."""
    if future.cancelled() or future.exception() is not None:
        return
    found = future.result()
    for i, outcome in enumerate(found if isinstance(found, list) else ()):
        on_outcome(start + i, outcome)


def end_with_parent() -> None:
    """End this process when the one that started it has ended, in whatever way."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


_loaded: Callable[[Any], Any] | str = "not loaded"
_batched = False


def _start(source: str | bytes, batched: bool) -> None:
    """Load the function in a new process; what it prints goes to stderr."""
    global _loaded, _batched
    ignore_ctrl_c()  # it ends the run, not a call, whose failure would count
    end_with_parent()
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        if isinstance(source, str):
            _loaded = find(source)
        else:
            import cloudpickle

            _loaded = cloudpickle.loads(source)  # from the process that started this one
    except BaseException as error:  # noqa: BLE001 - importing runs the user's code
        _loaded = message(error)
    _batched = batched


def _work(items: list[str | Chem.Mol]) -> list[Outcome] | str:
    """Call the function in a worker process; see :func:`property_models.calls.call`."""
    if isinstance(_loaded, str):
        return [_loaded] * len(items)
    return call(_loaded, _batched, items)

"""Worker processes for one user's function, so that a hang or an exit costs one molecule.

Calls run in processes that are started afresh (spawn) with :mod:`pebble`, each with a time limit,
and outcomes come in the order of the molecules. A task is one molecule, which costs about 1 ms more
than a plain call, or a list of them for a vectorised function; a list that fails as a whole is
repeated one molecule at a time, and only those that fail alone have no value. Functions without an
importable name travel by value, with :mod:`cloudpickle`; the program that started the processes is
not run again in them.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any

from pebble import ProcessExpired, ProcessFuture, ProcessPool
from rdkit import Chem

from molgen.utils.interrupts import blocked, ignore_ctrl_c
from property_models.calls import Outcome, call, message
from property_models.user_functions import find

LEFT = 256  # stands for exit status 0, and is none itself

Items = Sequence[str | Chem.Mol]
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

    def outcomes(self, items: Items) -> Iterator[Outcome]:
        """Yield the outcome of each molecule, in order."""
        size = BATCH if self.batched else 1
        batches = (items[start : start + size] for start in range(0, len(items), size))
        for batch, found in self._in_order(batches):
            if not isinstance(found, str):
                yield from found
            elif len(batch) == 1:
                yield found
            else:
                for _, alone in self._in_order([item] for item in batch):
                    yield from [alone] if isinstance(alone, str) else alone

    def close(self) -> None:
        """End the processes, whatever they do."""
        self._pool.stop()
        self._pool.join()

    def _in_order(self, batches: Iterable[Items]) -> Iterator[tuple[Items, list[Outcome] | str]]:
        """Yield batches with their outcomes; a message for one that failed as a whole."""
        batches = iter(batches)
        running: deque[tuple[Items, Running]] = deque()
        try:
            while True:
                while len(running) < AHEAD * self.count and (batch := next(batches, None)):
                    running.append((batch, self._submit(batch)))
                if not running:
                    return
                batch, future = running.popleft()
                yield batch, self._result(batch, future)
        finally:
            for _, future in running:
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
            context=_Context(),
        )


class _Process(SpawnProcess):
    """A process that does not run the main program again, as a script without a guard needs.

    pebble takes exit status 0 for the end of a process that nobody waits for, so it never is.
    """

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


class _Context(SpawnContext):
    Process = _Process


_loaded: Callable[[Any], Any] | str = "not loaded"
_batched = False


def _start(source: str | bytes, batched: bool) -> None:
    """Load the function in a new process; what it prints goes to stderr."""
    global _loaded, _batched
    ignore_ctrl_c()
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

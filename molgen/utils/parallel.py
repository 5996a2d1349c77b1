"""A function applied to many molecules, in one process or several, in order.

RDKit keeps the interpreter lock while it parses, so only processes run in parallel. Starting them
takes a few hundredths of a second, so a short list stays in one. Never imports torch.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from molgen.errors import MolgenError
from molgen.utils.interrupts import blocked, ignore_ctrl_c
from molgen.utils.progress import Bar

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 500  # items a task: from 0.05 s (parsing) to 1 s (QED) of work


def cores() -> int:
    """Return the number of cores available to this process."""
    affinity = getattr(os, "sched_getaffinity", None)  # on Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def map_chunks(
    work: Callable[[Sequence[Item]], Result],
    items: Sequence[Item],
    processes: int = 1,
    progress: str = "",
) -> list[Result]:
    """Apply ``work`` to consecutive chunks of ``items``.

    Args:
        work: takes a list of items; with several processes it must be importable by name.
        items: its arguments.
        processes: number of processes that share the chunks; 1 uses the present one.
        progress: label of a progress bar counted in items; empty for none. It is shown only where
            standard error is a terminal.

    Returns:
        One result for each chunk, in order.

    Raises:
        MolgenError: if ``processes`` is below 1.
    """
    if processes < 1:
        raise MolgenError(f"processes is {processes}, expected at least 1")
    chunks = [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]
    results: list[Result] = []
    with Bar(len(items), label=progress, shown=bool(progress)) as bar:
        for chunk, result in zip(chunks, _results(work, chunks, processes), strict=True):
            results.append(result)
            bar.add(len(chunk))
    return results


def _results(
    work: Callable[[Sequence[Item]], Result], chunks: list[Sequence[Item]], processes: int
) -> Iterator[Result]:
    if processes == 1 or len(chunks) < 2:
        yield from map(work, chunks)
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(min(processes, len(chunks)), initializer=_begin) as pool:
        with blocked():  # the processes are started here
            results = pool.map(work, chunks)
        yield from results


def _begin() -> None:
    """Ignore Ctrl-C in a worker process, and end with the process that started it.

    Killed without a signal that can be handled, that one cannot end its workers, which would wait
    for work for ever, and keep what they inherited: the lock of a folder.
    """
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    ignore_ctrl_c()
    parent = parent_process()

    def end() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=end, daemon=True).start()

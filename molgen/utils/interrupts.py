"""Ctrl-C (SIGINT) and SIGTERM: one of them ends a run, at any moment, and breaks nothing.

Both raise ``KeyboardInterrupt`` in the main thread, which Python loses or turns into another error
in three places, and which would leave something half done in a fourth:

- while a module is being imported, which may then be unusable for the rest of the process: it is
  raised after the import;
- in a finaliser or a callback, from which no exception leaves: it is raised again;
- in a library that turns it into an error of its own: :attr:`Interrupts.received` is set;
- between two renames of files that belong together: it is put off (:func:`uninterrupted`).
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = 130  # exit status
SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGAIN_SECONDS = 0.05  # until an interrupt that could not be raised is tried again
_IMPORTS = "<frozen importlib._bootstrap>"


def exit_at_once() -> None:
    """Let signals end the program at once, before and after a run: there is nothing to keep."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        os.write(2, b"molgen: interrupted\n")
        os._exit(INTERRUPTED)

    for number in _heard():
        signal.signal(number, end)


class Interrupts:
    """Signals of a run.

    Attributes:
        received: whether there was one.
    """

    def __init__(self) -> None:
        self.received = False
        self._outside = _imports(sys._getframe())  # of a program that is itself being imported

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Raise signals as ``KeyboardInterrupt`` in a block, never lost."""
        hook = sys.unraisablehook

        def unraisable(found: Any) -> None:
            if issubclass(found.exc_type, KeyboardInterrupt):
                _again()
            else:
                hook(found)

        sys.unraisablehook = unraisable
        try:
            with _handled(self._raise):
                yield
        finally:
            sys.unraisablehook = hook

    def _raise(self, _number: int, frame: FrameType | None) -> None:
        self.received = True
        if _imports(frame) > self._outside:
            _again()
        else:
            raise KeyboardInterrupt


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put off signals to the end of a block, which must be short."""
    pending: list[int] = []
    try:
        with _handled(lambda number, _frame: pending.append(number)):
            yield
    finally:
        if pending:
            signal.raise_signal(pending[0])


@contextmanager
def blocked() -> Iterator[None]:
    """Block Ctrl-C in this thread, and in processes that it starts within the block.

    A terminal sends it to all of them, but only the first one handles it. The others
    call :func:`ignore_ctrl_c`.
    """
    before = _mask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        _mask(signal.SIG_SETMASK, before)


def ignore_ctrl_c() -> None:
    """Ignore Ctrl-C in a worker process; programs that it starts do not inherit this."""
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    _mask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Handle signals in a block; those that were ignored stay so."""
    before = _heard()
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _heard() -> dict[signal.Signals, Any]:
    """Return the handlers of signals that are not ignored; handlers need the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    before = {number: signal.getsignal(number) for number in SIGNALS}
    return {n: old for n, old in before.items() if old not in (signal.SIG_IGN, None)}


def _imports(frame: FrameType | None) -> int:
    """Return the number of steps of imports that a frame is within."""
    count = 0
    while frame is not None:
        count += frame.f_code.co_filename == _IMPORTS
        frame = frame.f_back
    return count


def _again() -> None:
    """Interrupt the main thread a little later."""
    timer = threading.Timer(AGAIN_SECONDS, _thread.interrupt_main)
    timer.daemon = True
    timer.start()


def _mask(how: int, signals: set[Any]) -> set[Any]:
    change = getattr(signal, "pthread_sigmask", None)  # on Unix only
    return change(how, signals) if change else set()

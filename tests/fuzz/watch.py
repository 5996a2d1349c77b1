"""What a hostile input must not do: watched by an audit hook, a memory count and a clock.

    watch = Watch(folder)
    with watch.over() as seen: main(words)
    seen   # ["opened for writing: ...", ...]

Python raises audit events on imports, opened files, started processes and connections (PEP 578); a
hook cannot be removed, so it is switched by an attribute.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

SECONDS = 60  # of a processor: other jobs do not count
STANDSTILL = 300  # seconds by the clock
BYTES = 2 * 2**30
FORBIDDEN = {
    *("socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.Request", "ftplib.connect"),
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile"),
    *("pickle.find_class", "ctypes.dlopen", "webbrowser.open"),
}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "shutil.rmtree", "os.truncate"}


class Hang(BaseException):
    """An input took longer than allowed."""


class Watch:
    """Watches a process that works in one folder.

    Args:
        folder: the only place in which files may be written; nothing in it may be run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = os.path.realpath(folder)
        self.seen: list[str] = []
        self.on = False
        sys.addaudithook(self._hook)

    @contextmanager
    def over(self) -> Iterator[list[str]]:
        """Watch a block; yield the list that its offences are added to.

        Raises:
            Hang: if it takes more than :data:`SECONDS`.
        """
        self.seen = []
        before, started = memory(), time.process_time()
        modules = set(sys.modules)
        old = [signal.signal(kind, _alarm) for kind in (signal.SIGALRM, signal.SIGPROF)]
        signal.alarm(STANDSTILL)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        self.on = True
        try:
            yield self.seen
        finally:
            self.on = False
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            for kind, handler in zip((signal.SIGALRM, signal.SIGPROF), old, strict=True):
                signal.signal(kind, handler)
        if time.process_time() - started > SECONDS:
            self.seen.append(f"took {time.process_time() - started:.0f} s")
        if peak() - before > BYTES:
            self.seen.append(f"took {(peak() - before) / 2**30:.1f} GB")
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file and self._within(file):
                self.seen.append(f"imported {file}")

    def _within(self, path: object) -> bool:
        return os.path.realpath(os.fsdecode(str(path))).startswith(self.folder + os.sep)

    def _allowed(self, place: object) -> bool:
        """Return whether a place may be changed; a descriptor was opened before."""
        return not isinstance(place, str | bytes | Path) or self._within(os.fsdecode(place))

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or threading.current_thread() is not threading.main_thread():
            return
        if event in FORBIDDEN:
            if event == "ctypes.dlopen" and arguments[0] is None:
                return
            self.seen.append(f"{event} {arguments!r:.200}")
        elif event == "exec":
            file = getattr(arguments[0], "co_filename", "")
            if file and not file.startswith("<") and self._within(file):
                self.seen.append(f"ran {file}")
        elif event == "open":
            path, _, flags = arguments
            if isinstance(path, int) or not (flags or 0) & WRITES:
                return
            text = os.fsdecode(path)
            if not (self._within(text) or text.startswith(("/dev/", "/proc/"))):
                self.seen.append(f"opened for writing: {text!r:.200}")
        elif event in CHANGES and not self._allowed(arguments[0]):
            self.seen.append(f"{event} {arguments!r:.200}")


def _alarm(_signal: int, _frame: FrameType | None) -> None:
    raise Hang


def memory() -> int:
    """Return the resident bytes of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Return the most resident bytes of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

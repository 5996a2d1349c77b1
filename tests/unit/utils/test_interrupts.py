from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

from molgen.utils.interrupts import Interrupts, uninterrupted
from molgen.utils.locks import locked

SOON = 10.0  # seconds, of which a busy machine may need some


def wait() -> None:
    """Wait for a signal that is raised again a little later."""
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        time.sleep(0.01)


def test_a_signal_is_raised_once_and_handlers_are_put_back() -> None:
    before = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    for kind in (signal.SIGINT, signal.SIGTERM):
        interrupts = Interrupts()
        with pytest.raises(KeyboardInterrupt), interrupts.raised():
            signal.raise_signal(kind)
        assert interrupts.received
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_in_a_finaliser_is_not_lost() -> None:
    class Thing:
        pass

    interrupts, thing = Interrupts(), Thing()

    with pytest.raises(KeyboardInterrupt), interrupts.raised():  # noqa: PT012
        reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing
        assert reference() is None
        wait()


def test_an_import_is_finished_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import signal\nsignal.raise_signal(signal.SIGINT)\nDONE = True\n"
    (tmp_path / "interrupted_import.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt), Interrupts().raised():  # noqa: PT012
        import interrupted_import  # type: ignore[import-not-found]

        wait()
    assert sys.modules["interrupted_import"].DONE
    assert interrupted_import.DONE


def test_a_block_is_finished_first() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), Interrupts().raised():  # noqa: PT012
        with uninterrupted():
            with uninterrupted():
                signal.raise_signal(signal.SIGTERM)
                done.append("inner")
            done.append("outer")
        done.append("never")
    assert done == ["inner", "outer"]
    with pytest.raises(KeyboardInterrupt), uninterrupted():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        raise OSError("it failed, too")


def test_signals_that_are_ignored_stay_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as under nohup
    try:
        with Interrupts().raised(), uninterrupted():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


WORKERS = """
import os, sys, time
from molgen.utils.locks import locked
from molgen.utils.parallel import map_chunks
def work(items):
    os.write(1, f"{os.getpid()}\\n".encode())
    time.sleep(600 if sys.argv[2] == "hang" else 0.3)
    return 0
with locked(sys.argv[1]):
    map_chunks(work, range(20_000), 2)
"""


def started(folder: Path, how: str) -> tuple[subprocess.Popen[str], set[int]]:
    """A run with two worker processes, in a group of its own, and their ids."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKERS, str(folder), how],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    workers: set[int] = set()
    while len(workers) < 2:
        workers.add(int(process.stdout.readline()))
    return process, workers


def test_workers_end_with_a_killed_run_and_release_its_folder(tmp_path: Path) -> None:
    process, workers = started(tmp_path / "run", "hang")
    with process:
        process.kill()
        process.communicate(timeout=SOON * 3)
    end = time.monotonic() + SOON
    while any(Path(f"/proc/{worker}").exists() for worker in workers) and time.monotonic() < end:
        time.sleep(0.01)
    with locked(tmp_path / "run"):
        pass


def test_ctrl_c_of_a_terminal_reaches_workers_without_a_word(tmp_path: Path) -> None:
    process, _ = started(tmp_path / "run", "short")
    with process:
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=SOON * 6)
    assert err.count("Traceback") == 1, "of the program itself, which has no command line"
    assert "Process" not in err

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from commands import names
from molgen.errors import MolgenError
from molgen.utils.locks import locked

HOLDER = """
import sys, time
from molgen.utils.locks import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """A process that holds the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_second_process_is_refused_until_the_first_one_ends(
    tmp_path: Path, end: signal.Signals
) -> None:
    folder = tmp_path / "run"
    with holder(folder) as process:
        with pytest.raises(MolgenError, match="run") as caught, locked(folder):
            pass
        assert str(folder) in str(caught.value)
        process.send_signal(end)
        process.wait(timeout=30)
    with locked(folder):
        (folder / "result").write_text("")
    assert names(folder) == {"result"}


def test_blocks_of_one_thread_are_one_and_other_threads_are_refused(tmp_path: Path) -> None:
    refused: list[str] = []

    def enter() -> None:
        try:
            with locked(tmp_path):
                refused.append("entered")
        except MolgenError as error:
            refused.append(str(error))

    with locked(tmp_path):
        with locked(Path(os.path.relpath(tmp_path))):
            pass
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert len(refused) == 1
    assert str(tmp_path) in refused[0]
    enter()
    assert refused[1:] == ["entered"]
    assert names(tmp_path) == set()


def test_a_folder_that_stays_empty_is_removed(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b"):
        pass
    assert names(tmp_path) == set()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_locks_there_is_a_warning(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / "run"):
        (tmp_path / "run" / "result").write_text("")
    assert "file system without locks" in capsys.readouterr().err
    assert names(tmp_path / "run") == {"result"}

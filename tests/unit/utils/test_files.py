from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from commands import names
from molgen.errors import MolgenError
from molgen.utils.files import check_folder, check_writable, is_stream, replacing, staged

LONGEST = 255  # bytes of a name
ORDINARY_USER = 65534  # whom permissions hold for; the superuser may do anything


def write(path: Path, text: str = "new") -> None:
    with replacing(path) as part:
        part.write_text(text)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_permissions_are_kept_and_new_ones_follow_the_umask(tmp_path: Path) -> None:
    write(tmp_path / "new")
    assert mode(tmp_path / "new") == 0o640
    (tmp_path / "old").write_text("old")
    (tmp_path / "old").chmod(0o606)
    write(tmp_path / "old")
    assert (mode(tmp_path / "old"), (tmp_path / "old").read_text()) == (0o606, "new")
    with replacing(tmp_path / "tensors") as part:  # safetensors gives it permissions of its own
        save_file({"a": np.zeros(3)}, part)
    assert mode(tmp_path / "tensors") == 0o640


def test_links_stay_and_their_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "target"
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to(Path("there", "target"))
    for text in ("made", "replaced"):
        check_writable(tmp_path / "first")
        write(tmp_path / "first", text)
        assert target.read_text() == text
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "second").is_symlink()
    assert names(tmp_path) == {"there", "first", "second"}
    assert names(tmp_path / "there") == {"target"}
    (tmp_path / "first").unlink()
    (tmp_path / "first").symlink_to(Path("nowhere", "target"))
    with pytest.raises(MolgenError, match="there is no folder"):
        check_writable(tmp_path / "first")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="round"):
        check_writable(tmp_path / "round")


def device(path: Path, minor: int) -> Path:
    """A device of the test's own: the superuser could replace those of the system."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
    except PermissionError:
        pytest.skip("makes a device")
    return path


def test_pipes_are_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    check_writable(pipe)
    write(pipe, "rows")
    reader.join(timeout=30)
    assert found == ["rows"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert names(tmp_path) == {"pipe.csv"}


def test_devices_are_written_to(tmp_path: Path) -> None:
    null = device(tmp_path / "null", 3)
    (tmp_path / "link").symlink_to(null)
    for path in (null, tmp_path / "link"):
        assert is_stream(path)
        check_writable(path)
        write(path)
        assert stat.S_ISCHR(path.lstat().st_mode) is (path == null)
    assert names(tmp_path) == {"null", "link"}
    full = device(tmp_path / "full", 7)
    with pytest.raises(OSError, match="No space") as caught:
        write(full)
    assert caught.value.filename == str(full)


STDOUT = """
import sys
from molgen.utils.files import replacing
print("before")
with replacing(sys.argv[1]) as part:
    part.write_text("content\\n")
print("after")
"""


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="needs /dev/stdout")
@pytest.mark.parametrize("place", ["| cat", "> {0}; cat {0}", ">> {0}; cat {0}"])
def test_standard_output_keeps_its_order(tmp_path: Path, place: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(STDOUT)
    link = tmp_path / "stdout"
    link.symlink_to("/dev/stdout")
    command = f"{sys.executable} {script} {link} {place.format(tmp_path / 'out')}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert ran.stdout == "before\ncontent\nafter\n"


def test_read_only_files_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")
    (tmp_path / "a.csv").chmod(0o444)
    with pytest.raises(MolgenError, match=r"a\.csv.*read-only"):
        check_writable(tmp_path / "a.csv")
    with pytest.raises(MolgenError, match="it is a folder"):
        check_writable(tmp_path)


ORDINARY = f"""
import os
os.setgroups([]); os.setgid({ORDINARY_USER}); os.setuid({ORDINARY_USER})
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    """In a forked process, because a user cannot become the superuser again."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o755)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            exec(ORDINARY, {})
            for check in (check_writable, check_folder):
                try:
                    check(closed / "a")
                except MolgenError as error:
                    status += "no permission" in str(error)
                except PermissionError:  # of a folder above
                    status += 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def test_the_file_that_is_read_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("smiles\nC\n")
    (tmp_path / "b.csv").symlink_to("a.csv")
    for path in ("a.csv", "b.csv"):
        with pytest.raises(MolgenError, match="the file that is read"):
            check_writable(tmp_path / path, tmp_path / "a.csv")
    check_writable(tmp_path / "c.csv", tmp_path / "a.csv")
    check_writable(tmp_path / "a.csv", "C" * 5000)


def test_the_longest_name_and_one_too_long(tmp_path: Path) -> None:
    for name in ("a" * LONGEST, "ä" * (LONGEST // 2)):
        check_writable(tmp_path / name)
        write(tmp_path / name)
        assert (tmp_path / name).read_text() == "new"
    with pytest.raises(OSError, match=r"a{256}") as caught:
        check_writable(tmp_path / ("a" * (LONGEST + 1)))
    assert caught.value.errno == errno.ENAMETOOLONG


@pytest.fixture
def little_space() -> Iterator[None]:
    """A limit on the size of files, which fails a write as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("little_space")
@pytest.mark.parametrize("kind", ["text", "tensors"])
def test_no_space_names_the_file_and_leaves_the_old_one(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(OSError, match="File too large") as caught, replacing(path) as part:  # noqa: PT012
        if kind == "tensors":
            save_file({"a": np.zeros(5000)}, part)
        part.write_text("x" * 5000)
    assert (caught.value.filename, caught.value.errno) == (str(path), errno.EFBIG)
    assert path.read_text() == "old"
    with pytest.raises(OSError, match="File too large") as caught, staged(tmp_path) as aside:  # noqa: PT012
        (aside / "a").write_text("new")
        save_file({"a": np.zeros(5000)}, aside / "b")
    assert caught.value.filename == str(tmp_path)
    assert path.read_text() == "old"
    assert names(tmp_path) == {"a"}


def test_errors_of_other_files_keep_their_names(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a"):
        (tmp_path / "other").read_text()
    assert caught.value.filename == str(tmp_path / "other")


def test_a_signal_waits_for_the_end_of_the_writing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a") as part:  # noqa: PT012
        part.write_text("first ")
        signal.raise_signal(signal.SIGINT)
        with part.open("a") as file:
            file.write("and last")
    assert (tmp_path / "a").read_text() == "first and last"
    with pytest.raises(KeyboardInterrupt), staged(tmp_path / "folder", last="a") as aside:  # noqa: PT012
        (aside / "a").write_text("new")
        signal.raise_signal(signal.SIGINT)
    assert names(tmp_path / "folder") == set()


def test_a_file_is_on_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def renamed(source: Path, target: Path) -> None:
        order.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    write(tmp_path / "a")
    assert order == ["file", "rename", "folder"]


def test_folders_that_can_be_written_to(tmp_path: Path) -> None:
    assert check_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    (tmp_path / "file").write_text("")
    for place in ("file", "file/folder"):
        with pytest.raises(MolgenError, match="file' is a file, not a folder"):
            check_folder(tmp_path / place)
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(MolgenError, match="leads nowhere"):
        check_folder(tmp_path / "link")
    assert names(tmp_path) == {"file", "link"}


def test_streams(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    os.mkfifo(tmp_path / "pipe")
    assert is_stream(tmp_path / "pipe")
    assert not any(map(is_stream, (tmp_path, tmp_path / "a", tmp_path / "none")))

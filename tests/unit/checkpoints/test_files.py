"""Files of a model folder by their names, and by those they had before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import molgen
from molgen.checkpoints.files import CLASSIFIER, FORMER, INDEX, PRIOR, find
from molgen.frontiers.plan import digest
from tiny import save


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A folder as it was written before files were renamed."""
    folder = save(tmp_path / "earlier")
    (folder / INDEX).rename(folder / FORMER[INDEX])
    (folder / FORMER[CLASSIFIER]).mkdir()
    return folder


def test_files_are_found_by_either_name(earlier: Path, tmp_path: Path) -> None:
    now = save(tmp_path / "now")
    assert find(now, INDEX) == now / INDEX
    assert find(now, CLASSIFIER) == now / CLASSIFIER  # there is none
    assert find(earlier, INDEX) == earlier / FORMER[INDEX]
    assert find(earlier, CLASSIFIER) == earlier / FORMER[CLASSIFIER]
    assert find(earlier, PRIOR) == earlier / PRIOR
    (earlier / INDEX).write_bytes(b"")
    assert find(earlier, INDEX) == earlier / INDEX


def test_a_folder_of_before_loads_with_its_training_index(earlier: Path, tmp_path: Path) -> None:
    before, now = molgen.load(earlier), molgen.load(save(tmp_path / "now"))
    assert before.training_index is not None
    assert now.training_index is not None
    assert len(before.training_index) == len(now.training_index)


def test_a_renamed_file_leaves_the_digest_that_stores_hold(earlier: Path, tmp_path: Path) -> None:
    now = tmp_path / "now"
    shutil.copytree(earlier, now)
    (now / FORMER[INDEX]).rename(now / INDEX)
    assert digest(earlier) == digest(now)

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

import molgen
from molgen.checkpoints import hub
from molgen.checkpoints.files import ALL

COMMIT = "0123456789" * 4


class Answers:
    """A hub that has one model; what it was asked is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.fetched = folder, list[Any](), list[Any]()

    def model_info(self, repository: str, revision: str | None, timeout: float) -> Any:
        self.asked.append((repository, revision))
        if repository != "owner/name":
            raise RuntimeError("404\nand more")
        return SimpleNamespace(sha=COMMIT)

    def download(self, repository: str, revision: str, allow_patterns: list[str]) -> str:
        self.fetched.append((repository, revision))
        assert set(allow_patterns) == set(ALL)
        assert not [name for name in ALL if name.endswith((".py", ".bin")) or "*" in name]
        return str(self.folder)


@pytest.fixture
def answers(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Answers:
    found = Answers(tiny_model)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: found)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", found.download)
    return found


def test_a_revision_is_resolved_once_and_recorded(
    answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    model = molgen.load("hf:owner/name@main")
    assert model.name == f"hf:owner/name@{COMMIT}"
    assert answers.asked == [("owner/name", "main")]
    assert set(answers.fetched) == {("owner/name", COMMIT)}
    assert model.name in capsys.readouterr().err
    assert molgen.load(model.name).name == model.name
    assert len(answers.asked) == 1


def test_what_the_hub_does_not_have_is_one_line(answers: Answers) -> None:
    with pytest.raises(ValueError, match=r"the hub gave no model 'hf:owner/other': 404$"):
        molgen.load("hf:owner/other")
    assert answers.fetched == []


@pytest.mark.parametrize(
    "name", ["a/b", "out/mymodel", "hf:a", "hf:../b", "hf:a/b/c", "hf:a/b@", "a"]
)
def test_nothing_else_asks_the_hub(answers: Answers, name: str) -> None:
    with pytest.raises(ValueError, match="hf:"):
        molgen.load(name)
    with pytest.raises(ValueError, match="hf:"):
        hub.check_name(name)
    assert answers.asked == answers.fetched == []

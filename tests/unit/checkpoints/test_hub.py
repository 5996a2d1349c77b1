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


class OneModelHub:
    """A hub that has one model, with a record of the requests."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.requests, self.fetched = folder, list[Any](), list[Any]()

    def model_info(self, repository: str, revision: str | None, timeout: float) -> Any:
        self.requests.append((repository, revision))
        if repository != "owner/name":
            raise RuntimeError("404\nand more")
        return SimpleNamespace(sha=COMMIT)

    def download(self, repository: str, revision: str, allow_patterns: list[str]) -> str:
        self.fetched.append((repository, revision))
        assert set(allow_patterns) == set(ALL)
        assert not [name for name in ALL if name.endswith((".py", ".bin")) or "*" in name]
        return str(self.folder)


@pytest.fixture
def one_model_hub(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> OneModelHub:
    found = OneModelHub(tiny_model)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: found)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", found.download)
    return found


def test_a_revision_is_resolved_once_and_recorded(
    one_model_hub: OneModelHub, capsys: pytest.CaptureFixture[str]
) -> None:
    model = molgen.load("hf:owner/name@main")
    assert model.name == f"hf:owner/name@{COMMIT}"
    assert one_model_hub.requests == [("owner/name", "main")]
    assert set(one_model_hub.fetched) == {("owner/name", COMMIT)}
    assert model.name in capsys.readouterr().err
    assert molgen.load(model.name).name == model.name
    assert len(one_model_hub.requests) == 1


def test_a_model_missing_from_the_hub_is_one_line(one_model_hub: OneModelHub) -> None:
    with pytest.raises(ValueError, match=r"model 'hf:owner/other' cannot be fetched: 404$"):
        molgen.load("hf:owner/other")
    assert one_model_hub.fetched == []


@pytest.mark.parametrize(
    "name", ["a/b", "out/mymodel", "hf:a", "hf:../b", "hf:a/b/c", "hf:a/b@", "a"]
)
def test_other_names_never_contact_the_hub(one_model_hub: OneModelHub, name: str) -> None:
    with pytest.raises(ValueError, match="hf:"):
        molgen.load(name)
    with pytest.raises(ValueError, match="hf:"):
        hub.check_name(name)
    assert one_model_hub.requests == one_model_hub.fetched == []

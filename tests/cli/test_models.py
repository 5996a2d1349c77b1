from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tiny
from commands import Run
from molgen.checkpoints import hub


def test_bundled_models_are_listed(
    molgen: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "BUNDLED", tmp_path)
    assert molgen("models").out == ""
    shutil.copytree(tiny_model, tmp_path / "small")
    ran = molgen("models")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("small ")
    assert "conditioned on qed, ring_count, logp" in ran.out
    assert molgen("models", "small").out == "# Tiny\n\n"


def test_a_card_is_shown_for_folders_too(molgen: Run, tiny_model: Path) -> None:
    assert molgen("models", tiny_model).out == "# Tiny\n\n"


def test_models_that_have_none(molgen: Run, tmp_path: Path) -> None:
    bare = tiny.save(tmp_path / "bare", card="")
    assert f"model '{bare}' has no card" in molgen("models", bare).refused()
    assert "no model 'nosuch': expected a bundled name" in molgen("models", "nosuch").refused()
    assert "is not a molgen model" in molgen("models", tmp_path).refused()


@pytest.mark.skipif("qm9" not in hub.bundled_names(), reason="no bundled model yet")
def test_the_bundled_model_has_a_card(molgen: Run) -> None:
    assert "conditioned on qed, ring_count, logp, tpsa, mw, sa" in molgen("models").out
    assert "QM9" in molgen("models", "qm9").out

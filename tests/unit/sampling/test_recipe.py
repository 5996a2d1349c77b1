"""A draw is resolved once: targets are read once, and so is everything derived from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import molgen
from molgen.checkpoints.checkpoint import Checkpoint
from molgen.constraints import draw as constrained
from molgen.diffusion.plan import Rescale
from molgen.model import Model
from molgen.sampling import recipe


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return molgen.load(tiny_model)


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, *names: str) -> dict[str, int]:
    """Count calls of some functions of a module or a class."""
    calls = dict.fromkeys(names, 0)

    def watch(name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **words: Any) -> Any:
            calls[name] += 1
            return inner(*arguments, **words)

        return call

    for name in names:
        monkeypatch.setattr(owner, name, watch(name, getattr(owner, name)))
    return calls


@pytest.mark.parametrize("how", [{}, {"adapt": "restart:budget=30"}, {"order": "entropy"}])
def test_a_draw_is_resolved_once(
    model: Model, monkeypatch: pytest.MonkeyPatch, how: dict[str, str]
) -> None:
    words = model.preset() | {"steps": 6, "gamma": 2.0} | how
    settings = molgen.sampling.from_words(words)
    once = counted(monkeypatch, molgen.model, "read_targets", "resolve")
    plans = counted(monkeypatch, type(settings.remask), "plan")
    parts = counted(monkeypatch, recipe, "check", "check_targets", "_mixture", "Recipe")
    model.draw(8, {"qed": "max"}, settings=settings)
    assert once == {"read_targets": 1, "resolve": 1}
    assert plans == {"plan": 1 + ("order" in how)}  # an order has a plan of its own
    assert set(parts.values()) == {1}


def test_a_table_is_resolved_once(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    once = counted(monkeypatch, molgen.model, "read_targets", "resolve")
    model.sample(4, {"qed": ".5.."}, steps=4, remask=Rescale(0.2))
    assert once == {"read_targets": 1, "resolve": 1}


def test_rounds_under_a_constraint_share_a_recipe(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = counted(monkeypatch, constrained, "read_targets", "resolve")
    source = constrained.source(model, "*CO", {"qed": "max"}, settings=model.settings(steps=4))
    for first in (0, 3, 6):
        source(3, first)
    assert once == {"read_targets": 1, "resolve": 1}


def test_the_noisy_classifier_is_loaded_twice_at_most(
    qm9: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once to check the targets, and once for guidance and retries."""
    loads = counted(monkeypatch, Checkpoint, "classifier_for")
    settings = molgen.sampling.from_words(
        {"guidance": "cbg", "steps": 4, "adapt": "restart:budget=8,until=valid+likely"}
    )
    qm9.draw(2, {"qed": ".4.."}, settings=settings)
    assert loads == {"classifier_for": 2}

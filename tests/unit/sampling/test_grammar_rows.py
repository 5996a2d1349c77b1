"""Rows drawn under the grammar: all well-formed, and batch-invariant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import molgen
import tiny_joint
from molgen.constraints import draw
from molgen.diffusion import plan
from molgen.diffusion.unmasking_order import Chunks, EntropyBounded
from molgen.guidance.smiles_grammar import SmilesGrammar, ValenceGrammar
from molgen.guidance.spec import ClassifierBased
from molgen.model import Model
from molgen.sampling.retry import Adaptive
from molgen.sampling.settings import METHOD, Settings
from tiny import save

GRAMMAR = SmilesGrammar()
WAYS: dict[str, dict[str, Any]] = {
    "ancestral": {"steps": 6, "remask": plan.Ancestral()},
    "remasking": {"steps": 8, "remask": plan.Rescale(0.3)},
    "many at once": {"steps": 1, "remask": plan.Ancestral()},
    "in an order": {"order": EntropyBounded(2.0)},
}
LEFT: dict[str, Any] = {
    "order": Chunks(forwards=3), "grammar": ValenceGrammar(), "temperature": 4.0,
}  # fmt: skip


def balanced(text: str) -> bool:
    depth = 0
    for i, c in enumerate(text):
        depth += {"(": 1, ")": -1}.get(c, 0)
        if depth < 0 or text[i : i + 2] in ("()", "=)", "==", "(("):
            return False
    return depth == 0 and text[0] not in "=(" and text[-1] not in "=()"


@pytest.mark.parametrize("way", WAYS)
def test_every_row_is_well_formed(model: Model, way: str) -> None:
    free = model.sample(60, seed=4, **WAYS[way]).table
    assert not free["raw"].map(balanced).all(), "without it, some are not"
    table = model.sample(60, seed=4, grammar=GRAMMAR, **WAYS[way]).table
    assert table["raw"].map(balanced).all()
    assert table["raw"].str.contains("[(=]").any(), "atoms are not all there is"
    assert (table["raw"].str.len() == free["raw"].str.len()).all(), "lengths do not change"


@pytest.mark.parametrize("way", WAYS)
def test_rows_are_batch_invariant(model: Model, way: str) -> None:
    ways = {**WAYS[way], "grammar": GRAMMAR}
    whole = model.sample(40, {"qed": "max"}, seed=2, gamma=2.0, **ways).table
    parts = [
        model.sample(
            n, {"qed": "max"}, seed=2, first=first, gamma=2.0, batch_size=size, **ways
        ).table
        for first, n, size in ((0, 7, 3), (7, 33, 64))
    ]
    pd.testing.assert_frame_equal(
        pd.concat(parts, ignore_index=True)[["raw", "nfe"]], whole[["raw", "nfe"]]
    )


def test_one_forward_places_matching_tokens(model: Model) -> None:
    table = model.sample(100, seed=1, grammar=GRAMMAR, **WAYS["many at once"]).table
    assert (table["nfe"] == 1).all()
    assert table["raw"].map(balanced).all()


def test_retried_rows_stay_well_formed(model: Model) -> None:
    adapt = Adaptive(("valid",), budget=40)
    table = model.sample(40, seed=3, grammar=GRAMMAR, adapt=adapt, **WAYS["in an order"]).table
    assert table["raw"].map(balanced).all()


def test_under_a_scaffold_the_row_is_well_formed() -> None:
    qm9 = molgen.load("qm9")
    settings = qm9.settings(grammar=GRAMMAR, order=EntropyBounded(0.1), temperature=2.0)
    table = draw.draw(qm9, "*c1cn[nH]c1", 16, seed=1, settings=settings)
    assert table["raw"].map(balanced).all()


def test_it_is_not_a_method(tmp_path: Path) -> None:
    assert "grammar" not in METHOD, "a preset is used with any grammar"
    other = molgen.load(save(tmp_path / "m", sampling={"grammar": "smiles:labels=3", "steps": 9}))
    assert other.settings().grammar == SmilesGrammar(labels=3)
    assert other.settings(grammar=None).grammar is None


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"noise": "uniform"}, "grammar is smiles, expected none"),
    ({"representation": "selfies"}, "grammar is smiles, expected none: model .* has selfies"),
]


@pytest.mark.parametrize(("kind", "reason"), REFUSED)
def test_models_without_masks_or_smiles_are_refused(
    tmp_path: Path, kind: dict[str, Any], reason: str
) -> None:
    other = molgen.load(save(tmp_path / "m", **kind))
    with pytest.raises(ValueError, match=reason):
        other.sample(1, grammar=GRAMMAR)


def test_guidance_of_the_mask_entry_is_refused(model: Model) -> None:
    settings: Settings = model.settings(grammar=GRAMMAR, guidance=ClassifierBased(tilt_mask=True))
    with (
        pytest.raises(ValueError, match="grammar is smiles, expected none"),
        model.sampler(settings, {}),
    ):
        pass


@pytest.mark.parametrize("joint", ["none", "block"])
def test_valences_are_kept_in_draws_from_the_left(tmp_path: Path, joint: str) -> None:
    model = molgen.load(tiny_joint.save(tmp_path))
    plain = {**LEFT, "grammar": GRAMMAR}
    before, now = (model.sample(60, seed=4, joint=joint, **way).table for way in (plain, LEFT))
    invalid = (before["status"] != "ok").mean()
    assert invalid > 0.05, "without it, some rows are no molecules"
    assert (now["status"] == "ok").all()
    assert now["raw"].map(balanced).all()


@pytest.mark.parametrize("joint", ["none", "block"])
def test_checked_rows_do_not_depend_on_their_batch(tmp_path: Path, joint: str) -> None:
    model = molgen.load(tiny_joint.save(tmp_path))
    whole = model.sample(30, seed=2, joint=joint, **LEFT).table
    few = model.sample(30, seed=2, joint=joint, batch_size=4, **LEFT).table
    pd.testing.assert_frame_equal(whole, few)

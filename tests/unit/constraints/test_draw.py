"""Rows under a constraint: fixed tokens are clamped, rows are verified, the rest is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

import molgen
from molgen.constraints import draw
from molgen.constraints.open_rows import ConstrainedRows, OpenRows
from molgen.constraints.parts import parts
from molgen.constraints.scaffolds import Constraint, read, read_lead
from molgen.constraints.template import templates
from molgen.constraints.verify import Verifier
from molgen.diffusion import plan
from molgen.errors import MolgenError
from molgen.guidance.spec import ClassifierBased
from molgen.model import Model
from molgen.sampling.recipe import Recipe, resolve
from molgen.sampling.retry import Adaptive
from molgen.targets import read_targets
from tiny import save

SCAFFOLDS = ["*c1ccco1", "[*:1]C1CC1.N#C[*:2]", "[1*]C(=O)N[2*]"]
QUICK: dict[str, Any] = {"remask": plan.Ancestral(), "remask_weights": None, "steps": 40}
N = 36
PARTS = ["part_1", "linker", "R1", "R2"]


@pytest.fixture(scope="module")
def table(qm9: Model) -> pd.DataFrame:
    settings = qm9.settings(**QUICK)
    return draw.draw(qm9, SCAFFOLDS, N, seed=5, settings=settings, properties=["qed"])


def recipe_of(model: Model, targets: Mapping[str, str] | None = None) -> Recipe:
    return resolve(model, model.settings(), read_targets(targets or {}))


def rows(
    model: Model,
    constraints: list[Constraint],
    n: int,
    first: int = 0,
    targets: Mapping[str, str] | None = None,
) -> ConstrainedRows:
    recipe = recipe_of(model, targets)
    return OpenRows(recipe, constraints, recipe.draw_prior(512, 2), 2)(n, first)


def test_every_row_has_the_result_of_its_verification(table: pd.DataFrame) -> None:
    assert table["scaffold"].tolist() == SCAFFOLDS * (N // 3)
    assert list(table.columns[-7:]) == ["qed", "scaffold", "constraint", *PARTS]
    cores = {text: Chem.MolFromSmiles(text) for text in ("c1ccco1", "C(=O)N")}
    for row in table.itertuples():
        verifier = Verifier(read(row.scaffold))
        assert row.constraint == verifier(row.smiles)
        own = parts(verifier, row.smiles) if row.constraint == "ok" else {}
        assert [getattr(row, name) for name in PARTS] == [own.get(name, "") for name in PARTS]
        assert (row.constraint == "no molecule") == (row.status != "ok")
        if row.constraint != "ok":
            continue
        mol = Chem.MolFromSmiles(row.smiles)
        for text, core in cores.items():
            assert text not in row.scaffold or mol.HasSubstructMatch(core)
        if "." in row.scaffold:
            assert mol.HasSubstructMatch(Chem.MolFromSmiles("C1CC1"))
            assert mol.HasSubstructMatch(Chem.MolFromSmiles("C#N"))


def test_rows_are_drawn_by_their_indices(qm9: Model, table: pd.DataFrame) -> None:
    settings = qm9.settings(**QUICK)
    source = draw.source(qm9, SCAFFOLDS, seed=5, settings=settings, properties=["qed"])
    index = np.array([1, 4, 5, 32])
    found = source.at(index)
    pd.testing.assert_frame_equal(
        found.drop(columns="unique"),
        table.iloc[index].reset_index(drop=True).drop(columns="unique"),
    )


def test_a_property_with_the_name_of_a_part_is_refused(qm9: Model) -> None:
    def linker(mol: Chem.Mol) -> float:
        return 0.0

    with pytest.raises(MolgenError, match="linker"):
        molgen.design(qm9, n=1, scaffold="*C1CC1.*C#N", properties=linker)


def test_most_rows_keep_the_constraint_and_they_differ(table: pd.DataFrame) -> None:
    ok = table[table["constraint"] == "ok"]
    assert len(ok) >= 0.7 * N  # 0.87 to 0.95 on average
    assert (table["constraint"].isin(["ok", "no molecule"])).mean() >= 0.9
    assert ok["smiles"].nunique() >= 0.7 * len(ok)
    assert table["raw"].str.len().nunique() > 4, "lengths are drawn"
    assert (table["nfe"] >= 1).all()
    assert 1 <= table.attrs["shared_nfe"] <= 32, "one forward for each length at most"


def test_fewer_rows_are_a_prefix_in_any_batch(qm9: Model, table: pd.DataFrame) -> None:
    settings = qm9.settings(**QUICK, batch_size=5)
    head = draw.draw(qm9, SCAFFOLDS, 7, seed=5, settings=settings)
    tail = draw.draw(qm9, SCAFFOLDS, 4, seed=5, first=7, settings=settings)
    both = pd.concat([head, tail], ignore_index=True)
    columns = ["index", "raw", "smiles", "status", "nfe", "scaffold", "constraint"]
    pd.testing.assert_frame_equal(both[columns], table[columns].head(11))


def test_a_source_draws_rows_from_any_sample_index(tiny: Model) -> None:
    options: dict[str, Any] = {"seed": 4, "settings": tiny.settings(steps=8), "properties": ["mw"]}
    scaffolds = ["*CO", "*OC*", "*N.*O"]
    source = draw.source(tiny, scaffolds, {"qed": "max"}, **options)
    whole = source(30)
    assert list(whole.columns[-7:-3]) == ["qed", "mw", "scaffold", "constraint"]
    assert whole["index"].tolist() == list(range(30))
    assert (whole["constraint"] == "ok").any()
    assert whole.attrs["shared_nfe"] >= 1
    tail, nothing, head = (source(n, first) for n, first in ((9, 21), (0, 21), (21, 0)))
    assert len(nothing) == tail.attrs["shared_nfe"] == 0, "no new length"
    again = pd.concat([head, tail], ignore_index=True)
    columns = [
        name for name in whole.columns if name not in ("unique", "novel")
    ]  # defined within a table
    pd.testing.assert_frame_equal(again[columns], whole[columns])
    drawn = draw.draw(tiny, scaffolds, 5, {"qed": "max"}, first=25, **options)
    pd.testing.assert_frame_equal(drawn[columns], whole[columns].tail(5).reset_index(drop=True))


@pytest.mark.usefixtures("small_shards")
def test_guidance_and_constraint_act_together(qm9: Model) -> None:
    settings = qm9.settings(**QUICK)
    high, low = (
        draw.draw(qm9, "*C(=O)N*", 12, {"logp": value}, seed=1, settings=settings)
        for value in (1.0, -1.5)
    )
    kept = [part[part["constraint"] == "ok"] for part in (high, low)]
    assert min(map(len, kept)) >= 5
    assert kept[0]["logp"].mean() > kept[1]["logp"].mean() + 0.5
    assert (high["nfe"] % 2 == 0).all(), "both predictions are counted"


def test_fixed_tokens_are_those_of_the_template(qm9: Model) -> None:
    constraints = [read(text) for text in SCAFFOLDS]
    found = rows(qm9, constraints, 30)
    fixed, tokens = found.given.fixed, found.given.tokens
    assert fixed is not None
    mask, pad = qm9.denoiser.mask_id, qm9.denoiser.pad_id
    np.testing.assert_array_equal(fixed, (tokens != mask) & (tokens != pad))
    np.testing.assert_array_equal((tokens != pad).sum(1), found.lengths)
    np.testing.assert_array_equal(found.which, np.arange(30) % 3)
    assert found.condition is None
    for which, row in zip(found.which, tokens, strict=True):
        written = [qm9.tokenizer.vocab[i] for i in row if i not in (mask, pad)]
        atoms = sorted(token for token in written if token.isalpha())
        assert atoms == [list("cccco"), list("CCCCN"), list("CNO")][which]


def test_lengths_come_from_the_prior_where_it_fits(qm9: Model, tiny: Model) -> None:
    low = min(item.shortest for item in templates(read("*C1CC1"), qm9.tokenizer, 32))
    prior = recipe_of(qm9).draw_prior(4096, 2)
    found = rows(qm9, [read("*C1CC1")], 200)
    assert found.lengths.min() >= low
    room = prior.lengths[prior.lengths >= low]
    assert abs(found.lengths.mean() - room.mean()) < 3
    # tiny's prior ends at 9 tokens, and its network at 12
    long = rows(tiny, [read("*CCCCCCCCN")], 20)
    assert set(long.lengths) <= {10, 11, 12}
    assert len(set(long.lengths)) > 1, "those of completions with common groups"
    with pytest.raises(ValueError, match=r"at least 13 tokens .* at most 12"):
        rows(tiny, [read("*CCCCCCCCCCCN")], 1)


def test_a_condition_belongs_to_the_row_of_the_prior_that_gave_the_length(qm9: Model) -> None:
    found = rows(qm9, [read("*C(=O)N*")], 20, targets={"logp": "max"})
    prior = recipe_of(qm9, {"logp": "max"}).draw_prior(512, 2)
    assert found.condition is not None
    assert prior.condition is not None
    pairs = set(zip(prior.lengths.tolist(), prior.condition[:, 2].tolist(), strict=True))
    for length, condition in zip(found.lengths, found.condition, strict=True):
        assert (int(length), float(condition[2])) in pairs


@pytest.mark.usefixtures("small_shards")
def test_free_atoms_of_a_lead_change_and_its_size_is_kept(qm9: Model) -> None:
    lead = read_lead("CC(=O)NCC1CO1", change=[0])
    found = rows(qm9, [lead], 30)
    assert set(found.lengths) <= set(range(11, 16))  # 13 of the lead, 2 more or fewer
    ring = rows(qm9, [read_lead("Nc1ccncc1", change=[3])], 30)
    assert (ring.lengths == len("Nc1ccncc1")).mean() > 0.6, "rings are of one size mostly"
    table = draw.draw(qm9, lead, 12, seed=3, settings=qm9.settings(**QUICK))
    ok = table[table["constraint"] == "ok"]
    assert len(ok) >= 6
    assert ok["smiles"].nunique() >= 3
    core = Chem.MolFromSmiles("C(=O)NCC1CO1")
    assert all(Chem.MolFromSmiles(smiles).HasSubstructMatch(core) for smiles in ok["smiles"])


@pytest.mark.usefixtures("small_shards")
def test_superstructures_and_molecule_objects(qm9: Model) -> None:
    core = read("c1ccoc1", "superstructure")
    settings = qm9.settings(**QUICK)
    table = draw.draw(qm9, [core, Chem.MolFromSmiles("*C1CC1")], 16, settings=settings)
    assert table["scaffold"].tolist() == ["c1ccoc1", "[1*]C1CC1"] * 8
    for text, part in table.groupby("scaffold"):
        assert (part["constraint"] == "ok").sum() >= 3, text


REJECTED = [
    ("*c1ccco", {}, {}, "is not readable SMILES: kekulisation|not readable SMILES: ring_closure"),
    ("c1ccoc1", {}, {}, "has no attachment point"),
    ("*c1ccsc1", {}, {}, r"elements S, expected elements of the model's vocabulary: C, F, N, O"),
    ("*[C@H](C)N", {}, {}, r"has token '\[C@@?H\]', expected .*: remove its stereo"),
    ("*CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC", {}, {}, "has at least 33 tokens"),
    ([], {}, {}, "scaffolds is empty, expected at least one"),
    ("*C", {"nothing": "max"}, {}, "nothing"),
    ("*C", {"qed": "max"}, {"guidance": ClassifierBased(tilt_mask=True)}, "keep the reveal rate"),
]


@pytest.mark.parametrize(("scaffolds", "targets", "changes", "reason"), REJECTED)
def test_bad_input_is_rejected_before_drawing(
    qm9: Model,
    scaffolds: str | list[str],
    targets: dict[str, str],
    changes: dict[str, Any],
    reason: str,
) -> None:
    settings = qm9.settings(**{**QUICK, **changes})
    with pytest.raises(ValueError, match=reason) as caught:
        draw.source(qm9, scaffolds, targets, settings=settings)
    assert "\n" not in str(caught.value)


def test_models_without_masks_are_rejected(tmp_path: Path) -> None:
    uniform = molgen.load(save(tmp_path / "uniform", noise="uniform"))
    for baseline in (molgen.load("qm9-ar"), uniform):
        with pytest.raises(ValueError, match=r"model '.*' is not a masked diffusion model"):
            draw.draw(baseline, "*C", 4)


def test_selfies_are_rejected(tiny_selfies: Path) -> None:
    with pytest.raises(ValueError, match="representation of the model is selfies"):
        draw.draw(molgen.load(tiny_selfies), "*C", 4)


@pytest.mark.usefixtures("small_shards")
def test_failed_rows_are_remasked_under_adapt(qm9: Model) -> None:
    settings = qm9.settings(**{**QUICK, "steps": 6}, adapt=Adaptive(("valid",), budget=60))
    table = draw.draw(qm9, "*C(=O)N*", 12, seed=1, settings=settings)
    assert (table["status"] == "ok").sum() >= 11
    assert (table["constraint"] == "ok").sum() >= 9
    assert table["nfe"].max() > 6, "some failed at first"


def test_rows_that_violate_their_constraint_are_remasked(qm9: Model) -> None:
    lead = read_lead("O=c1[nH]cc(F)c(=O)[nH]1", change=[2, 3, 4])  # a ring of six must come out
    quick = {**QUICK, "steps": 4, "temperature": 2.0}
    once = draw.draw(qm9, lead, 24, seed=1, settings=qm9.settings(**quick))
    broken = (once["status"] == "ok") & (once["constraint"] != "ok")
    assert broken.any(), "the test needs a violation"
    settings = qm9.settings(**quick, adapt=Adaptive(("valid",), budget=60))
    table = draw.draw(qm9, lead, 24, seed=1, settings=settings)
    kept = (once["constraint"] == "ok").to_numpy()
    assert (table["constraint"] == "ok").sum() > kept.sum()
    same = ["raw", "constraint", "nfe"]
    assert table[same][kept].equals(once[same][kept]), "accepted rows are unchanged"
    assert (table["nfe"] > once["nfe"])[broken].all()


def test_no_rows(qm9: Model) -> None:
    table = draw.draw(qm9, "*C", 0)
    assert len(table) == 0
    assert {"scaffold", "constraint"} <= set(table.columns)

"""Several goals and hard filters: counts, guiding targets, and targets that only filter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import molgen
from asking import request
from molgen.discovery.counts import ALL, DesignCounts, Met
from molgen.discovery.design import design, survey
from molgen.discovery.goals import guided_targets, read_goals
from molgen.discovery.novelty import tautomers
from molgen.errors import MolgenError
from molgen.guidance.spec import ClassifierBased
from molgen.model import Model
from molgen.molecules.filters import Filters
from molgen.molecules.parsing import canonical
from molgen.molecules.training_index import TrainingIndex
from molgen.sampling.result import Result
from molgen.sampling.settings import Settings
from molgen.targets import Range
from property_models import compute
from tiny_classifier import classifier

NO_NITRO = Filters.read(["smarts:N=O", "need:O"])
FEW: dict[str, Any] = {"steps": 6, "gamma": 2.0}
WORDS = ["qed=0.36..", "logp=..0.6", "hbd=..1"]
"""The last is not a condition of the tiny model."""


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return molgen.load(tiny_model)


@pytest.fixture(scope="module")
def settings(model: Model) -> Settings:
    return model.settings(**FEW)


def rows_of(smiles: list[str], **columns: list[Any]) -> pd.DataFrame:
    """A table as of a model; texts that start with an exclamation mark are invalid."""
    texts = ["" if text.startswith("!") else text for text in smiles]
    return pd.DataFrame(
        {
            "index": range(len(texts)),
            "raw": smiles,
            "smiles": texts,
            "status": ["ok" if text else "parse" for text in texts],
            "unique": False,
            "novel": [text not in ("", "CC") for text in texts],
            "nfe": 10,
            "classifier_nfe": 0,
            **compute(["qed", "hbd"], texts),
            **columns,
        }
    )


class FixedSource:
    """Rows of one table, repeated."""

    def __init__(self, table: pd.DataFrame, shared: int = 0) -> None:
        self.rows, self.shared = table, shared
        self.calls: list[tuple[int, int]] = []

    def __call__(self, rows: int, first: int) -> pd.DataFrame:
        self.calls.append((rows, first))
        found = self.rows.iloc[(first + np.arange(rows)) % len(self.rows)].reset_index(drop=True)
        found = found.assign(index=first + np.arange(rows))
        found.attrs["shared_nfe"] = self.shared
        return found


SMILES = ["!C(", "CCO", "CC", "CCO", "OCO", "CN=O", "CCCC", "OCCO", "CCCO", "NCCO"]
ROWS = rows_of(SMILES, constraint=["no molecule", *["ok"] * 7, "missing", "ok"])


def run(model: Model, n: int, **changes: Any) -> Result[DesignCounts]:
    own = {
        name: changes.pop(name) for name in ("on_found", "on_round", "source") if name in changes
    }
    return design(model, request(["hbd=..1", "qed=max"], n, filters=NO_NITRO, **changes), **own)


def test_rejections_are_counted_by_the_first_reason(model: Model) -> None:
    source = FixedSource(ROWS, shared=7)
    designs = run(model, 9, source=source, draws=10)
    counts = designs.counts
    assert source.calls == [(8, 0), (2, 8)]
    assert list(counts.rejected.items()) == [
        ("invalid", 1),
        ("duplicate", 1),
        ("in training set", 1),
        ("constraint lost", 1),  # CCCO
        ("filter failed: radicals", 0),
        ("filter failed: smarts:N=O", 1),  # CN=O
        ("filter failed: need:O", 1),  # CCCC
        ("goal missed: hbd", 3),  # OCO, OCCO, NCCO
        ("goal missed: qed", 0),
    ]
    assert designs.table["smiles"].tolist() == ["CCO"]
    assert designs.reason == "the budget of 10 draws ended"
    assert (counts.drawn, counts.distinct, counts.accepted) == (10, 8, 1)
    assert counts.forwards == 10 * 10 + 2 * 7
    assert str(counts).startswith(
        "10 drawn: 1 kept, 1 invalid, 1 duplicate, 1 in training set, 1 constraint lost, "
        "1 filter failed: smarts:N=O, 1 filter failed: need:O, 3 goal missed: hbd; 114.0 forwards"
    )


def test_goals_and_filters_are_counted_independently(model: Model) -> None:
    counts = run(model, 9, source=FixedSource(ROWS), draws=10).counts
    assert counts.met == {
        "constraint": Met(8, 7),
        "filter: smarts:N=O": Met(8, 7),
        "filter: need:O": Met(7, 6),
        "hbd=..1": Met(6, 5),  # CCO twice, CC, CN=O, CCCC, CCCO
        ALL: Met(2, 1),
    }


def test_rows_after_the_last_one_delivered_are_not_counted(model: Model) -> None:
    counts = run(model, 1, source=FixedSource(ROWS)).counts
    assert (counts.drawn, counts.distinct, counts.accepted) == (2, 1, 1)
    assert counts.met["hbd=..1"] == counts.met[ALL] == Met(1, 1)


def test_a_survey_delivers_every_row_with_its_reason_of_rejection(model: Model) -> None:
    goals = read_goals(["hbd=..1", "qed=max"])
    found = survey(model, request(goals, 10, filters=NO_NITRO), source=FixedSource(ROWS))
    assert found.reason == "complete"
    assert found.table["index"].tolist() == list(range(10))
    assert found.table["lost"].tolist() == [
        "invalid", "", "in training set", "duplicate", "goal missed: hbd",
        "filter failed: smarts:N=O", "filter failed: need:O", "goal missed: hbd",
        "constraint lost", "goal missed: hbd",
    ]  # fmt: skip
    assert np.isnan(found.table["score"][0])
    assert not np.isnan(found.table["score"][1:]).any()
    assert found.counts == run(model, 9, source=FixedSource(ROWS), draws=10).counts


def test_a_survey_is_a_sample_counted(model: Model, settings: Settings) -> None:
    goals = read_goals(WORDS)
    found = survey(model, request(goals, 300, 3, settings=settings))
    guided_by = {"qed": Range(0.36, np.inf), "logp": Range(-np.inf, 0.6)}
    table = model.sample(300, guided_by, 3, properties=["hbd"], **FEW).table
    columns = list(table)
    pd.testing.assert_frame_equal(found.table[columns], table)
    meets = (table["qed"] >= 0.36) & (table["logp"] <= 0.6) & (table["hbd"] <= 1)
    assert 0 < meets.sum() < 300
    assert found.counts.met[ALL] == Met(int(meets.sum()), int((meets & table["unique"]).sum()))
    assert (found.table["lost"] == "").sum() == (meets & table["novel"]).sum()
    assert found.counts.distinct == table["unique"].sum()


def test_targets_that_are_no_condition_only_filter(model: Model, settings: Settings) -> None:
    goals = read_goals(WORDS)
    assert list(guided_targets(model, goals, settings)) == ["qed", "logp"]
    designs = design(model, request(goals, 6, 3, settings=settings))
    assert len(designs.table) == 6
    assert designs.table["hbd"].max() <= 1
    assert designs.counts.rejected["goal missed: hbd"] > 0
    drawn = survey(model, request(goals, designs.counts.drawn, 3, settings=settings)).table
    kept = drawn[drawn["lost"] == ""].drop(columns="lost").reset_index(drop=True)
    pd.testing.assert_frame_equal(designs.table, kept)
    alone = design(model, request({"hbd": "..1"}, 3, settings=settings, draws=300))
    unguided = model.sample(alone.counts.drawn, **FEW).table
    assert alone.counts.forwards == unguided["nfe"].sum(), "without guidance: one forward a step"


def test_a_noisy_classifier_guides_its_properties(model: Model, tmp_path: Path) -> None:
    classifier().save_pretrained(tmp_path)
    goals = read_goals(["qed=0.36..", "logp=..0.6", "ring_count=0", "hbd=..1"])
    for cfg, expected in ((0.0, ["qed", "ring_count"]), (1.0, ["qed", "ring_count"])):
        how = model.settings(**FEW, guidance=ClassifierBased(classifier=str(tmp_path), cfg=cfg))
        assert list(guided_targets(model, goals, how)) == expected
    found = design(model, request(goals, 3, 0, settings=how, draws=200))
    assert found.counts.rejected["goal missed: logp"] > 0
    assert found.table["classifier_nfe"].gt(0).all()
    with pytest.raises(ValueError, match=r"target logp: .* so max has no effect"):
        design(model, request({"logp": "max"}, 3, 0, settings=how))
    alone = model.settings(**FEW, guidance=ClassifierBased())
    with pytest.raises(ValueError, match="has no classifier for qed"):
        design(model, request({"qed": "max"}, 3, 0, settings=alone))


def test_every_delivered_molecule_passes_the_filters(model: Model, settings: Settings) -> None:
    filters = Filters.read(["smarts:O", "need:N"])
    designs = design(model, request({"qed": "max"}, 8, 1, settings=settings, filters=filters))
    assert len(designs.table) == 8
    assert not designs.table["smiles"].str.contains("O").any()
    assert designs.table["smiles"].str.contains("N").all()
    assert designs.counts.rejected["filter failed: smarts:O"] > 0


def test_weights_rank_by_the_score(model: Model, settings: Settings) -> None:
    scores = []
    for weight in (1.0, 8.0):
        goals = read_goals(["qed=max", "logp=max"], {"logp": weight})
        table = design(model, request(goals, 12, 2, settings=settings)).table
        mean, std = model.prior.mean, model.prior.std
        truth = (table["qed"] - mean["qed"]) / std["qed"]
        truth += weight * (table["logp"] - mean["logp"]) / std["logp"]
        np.testing.assert_allclose(table["score"], truth)
        scores.append(table.sort_values("score")["smiles"].tolist())
    assert set(scores[0]) != set(scores[1]), "weights affect the draws too"


def test_without_goals_every_new_molecule_is_accepted(model: Model, settings: Settings) -> None:
    designs = design(model, request({}, 7, 5, settings=settings))
    plain = model.sample(designs.counts.drawn, seed=5, **FEW).table
    assert designs.table["smiles"].tolist() == plain.loc[plain["novel"], "smiles"].tolist()
    assert list(designs.counts.met) == [ALL]


def test_targets_without_effect_are_rejected(model: Model) -> None:
    for run_ in (design, survey):
        with pytest.raises(ValueError, match=r"target sa: the model is not conditioned on it, so "):
            run_(model, request({"sa": "min"}, 2))
    with pytest.raises(ValueError, match="property 'nothing' is unknown"):
        design(model, request({"nothing": "max"}, 2))
    with pytest.raises(ValueError, match=r"target tpsa=2\.5: the standard deviation of tpsa"):
        design(model, request({"tpsa": 2.5}, 2))


def test_radicals_are_rejected_unless_they_are_allowed(model: Model) -> None:
    rows = rows_of(["C[CH2]", "CCO", "CC[O]", "OCO"])
    found = design(model, request({}, 2), source=FixedSource(rows))
    assert found.table["smiles"].tolist() == ["CCO", "OCO"]
    assert found.counts.rejected["filter failed: radicals"] == 2
    free = design(model, request({}, 3, allow_radicals=True), source=FixedSource(rows))
    assert free.table["smiles"].tolist() == ["C[CH2]", "CCO", "CC[O]"]
    assert not free.counts.rejected.get("filter failed: radicals")


def test_tautomers_of_known_and_of_drawn_molecules_are_new_only_by_smiles(model: Model) -> None:
    # two forms of a triazole, acetamide as its imidic acid, too large for InChI, formamide
    texts = ["CCC(C)c1nnc[nH]1", "CCC(C)c1n[nH]cn1", "CC(=N)O", "C" * 1100, "NC=O"]
    known = replace(model, training_index=TrainingIndex.from_smiles(["CC(N)=O"]))
    rows = rows_of([canonical(text) for text in texts])
    strict = design(known, request({}, 5), source=FixedSource(rows))
    assert strict.table["smiles"].tolist() == rows["smiles"].tolist()
    assert strict.table["novel_inchikey"].tolist() == [True, True, False, False, True]
    line = tautomers(strict.table)
    assert line.startswith("1 of 5 have the InChIKey of a training molecule")
    assert line.endswith("1 no InChIKey")
    by_key = design(known, request({}, 5, novelty="inchikey", draws=5), source=FixedSource(rows))
    assert by_key.table["smiles"].tolist() == [rows["smiles"][0], rows["smiles"][4]]
    fates = {fate: n for fate, n in by_key.counts.rejected.items() if n}
    assert fates == {"duplicate": 1, "in training set": 1, "no InChIKey": 1}
    assert tautomers(by_key.table).startswith("0 of 2")


def test_novelty_is_checked(model: Model) -> None:
    with pytest.raises(MolgenError, match="novelty is 'loose'"):
        request({}, 1, novelty="loose")
    assert model.training_index is not None
    old = replace(model, training_index=replace(model.training_index, inchi_keys=None))
    with pytest.raises(MolgenError, match="no InChIKeys"):
        design(old, request({}, 1, novelty="inchikey"))
    assert "novel_inchikey" not in design(old, request({}, 1)).table

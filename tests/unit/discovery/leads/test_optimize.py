"""Lead optimisation: outcomes of attempts, with and without an oracle, and errors."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

import molgen
from asking import request
from molgen.constraints.likeness import Likeness
from molgen.constraints.scaffolds import read as read_scaffold
from molgen.data.tokenizer import padded
from molgen.diffusion import plan
from molgen.discovery.leads import optimize as lead_optimization
from molgen.discovery.leads.counts import LeadCounts
from molgen.discovery.leads.lead import Lead, Refused, read
from molgen.discovery.leads.optimize import optimize
from molgen.discovery.leads.report import Attempt, outcomes
from molgen.discovery.leads.search import LeadSearch
from molgen.guidance.target_probability import TargetProbability
from molgen.model import Model
from molgen.molecules.environments import fingerprint, tanimoto
from molgen.molecules.fate import Fate
from molgen.molecules.filters import Filters
from molgen.molecules.parsing import interpret
from molgen.sampling.recipe import resolve
from molgen.sampling.result import Result
from molgen.sampling.retry import Adaptive
from property_models import compute
from tiny import KNOWN

LEADS = ["CCO", "NCC=O", "CCOC=O", "OCCN", "CCCC", "NCCCO"]
COLUMNS = [
    *("index", "lead_index", "lead", "try", "raw", "smiles", "status", "part", "similarity"),
    *("qed", "gain", "outcome", "nfe", "shared_nfe", "classifier_nfe", "oracle_calls", "tier"),
    "lead_qed",
]
QED = {"qed": "max"}


def mol(smiles: str) -> Chem.Mol:
    return Chem.MolFromSmiles(smiles)


def arguments(targets: Any, words: dict[str, Any]) -> tuple[Any, ...]:
    """A request, and the callbacks."""
    callbacks = [words.pop(name, None) for name in ("on_attempts", "on_leads")]
    return request(targets, words.pop("top_k", None), **words), *callbacks


def run(model: Model, leads: list[str] | None = None, **options: Any) -> Result[LeadCounts]:
    words: dict[str, Any] = {"similarity": 0.3, "attempts": 6, "seed": 1, **options}
    words.setdefault("settings", model.settings(steps=12, gamma=2.0))
    return optimize(model, leads or LEADS, *arguments(words.pop("targets", QED), words))


@pytest.fixture(scope="module")
def plain(tiny: Model) -> Result[LeadCounts]:
    return run(tiny)


@pytest.fixture(scope="module")
def searched(tiny: Model) -> Result[LeadCounts]:
    return run(tiny, attempts=15, oracle_calls=7)


def checked(found: Result[LeadCounts], targets_met: Any = None) -> None:
    """Check every row of a table against RDKit and the definitions of the outcomes."""
    for _, rows in found.table.groupby("lead_index"):
        lead, seen = mol(rows["lead"].iloc[0]), set()
        base = compute(["qed"], [Chem.MolToSmiles(lead)])["qed"][0]
        for row in rows.itertuples():
            assert row.status == str(interpret(row.raw).status)
            assert row.smiles == interpret(row.raw).smiles
            assert row.lead_qed == base
            if not row.smiles:
                assert row.outcome == Fate.INVALID
                assert np.isnan(row.similarity)
                continue
            value = compute(["qed"], [row.smiles])["qed"][0]
            if row.tier == "no oracle" or row.outcome in ("ok", "goal missed"):
                assert row.qed == value
            elif row.outcome in ("in training set", "similarity below", "not scored"):
                assert np.isnan(row.qed), "it would have taken a call"
            like = tanimoto(fingerprint(lead), fingerprint(mol(row.smiles)))
            assert row.similarity == pytest.approx(like)
            words = {
                "unchanged": row.smiles == Chem.MolToSmiles(lead),
                "duplicate": row.smiles in seen,
                "in training set": row.smiles in KNOWN,
                "similarity below": like < 0.3,
                "not scored": row.tier != "no oracle" and np.isnan(row.qed),
                "goal missed": not value > base,
                "ok": True,
            }
            assert row.outcome == next(word for word, holds in words.items() if holds)
            seen.add(row.smiles)


def test_every_attempt_is_a_row_with_its_outcome(plain: Result[LeadCounts]) -> None:
    assert list(plain.table) == COLUMNS
    assert plain.table["index"].tolist() == list(range(36))
    assert plain.table["try"].tolist() == [1, 2, 3, 4, 5, 6] * 6
    checked(plain)
    assert plain.table["outcome"].nunique() >= 4, "the test needs several outcomes"
    gain = (plain.table["qed"] - plain.table["lead_qed"]).dropna()
    ratio = (plain.table["gain"].dropna() / gain)[gain.abs() > 1e-9]
    assert ratio.std() == pytest.approx(0, abs=1e-9)
    assert ratio.mean() > 0
    assert (plain.table["tier"] == "no oracle").all()
    assert (plain.table["oracle_calls"] == 0).all()
    assert (plain.table["nfe"] > 0).all()
    first = plain.table["try"] == 1
    assert (plain.table.loc[first, "shared_nfe"] > 0).all()
    assert (plain.table.loc[~first, "shared_nfe"] == 0).all()


def test_failed_attempts_are_retried(tiny: Model, plain: Result[LeadCounts]) -> None:
    adapt = Adaptive(("valid",), budget=200)
    settings = tiny.settings(steps=12, gamma=2.0, adapt=adapt)
    found = run(tiny, settings=settings)
    checked(found)
    first, then = (each.table["outcome"] for each in (plain, found))
    failed = first.isin(["invalid", "unchanged", "similarity below"])
    assert failed.sum() > 8 > then.isin(["invalid", "unchanged", "similarity below"]).sum()
    same = plain.table["raw"] == found.table["raw"]
    assert same[~failed].all(), "accepted attempts are unchanged"
    assert (found.table["nfe"] > plain.table["nfe"])[failed].all()
    pd.testing.assert_frame_equal(run(tiny, LEADS[:2], settings=settings).table, found.table[:12])


def test_the_counts_are_those_of_the_table(plain: Result[LeadCounts]) -> None:
    table, counts = plain.table, plain.counts
    improved = table[table["outcome"] == "ok"]["lead_index"].nunique()
    assert (counts.leads, counts.refused, counts.improved) == (6, 0, improved)
    assert counts.forwards == table["nfe"].sum() + table["shared_nfe"].sum()
    assert dict(counts.fates) == table["outcome"].value_counts().to_dict()
    near = table[table["outcome"].isin(["ok", "goal missed"])]
    best = near.groupby("lead_index")["gain"].max().clip(lower=0)
    assert sum(counts.gains) == pytest.approx(best.sum())
    assert len(counts.gains) == 6
    assert f"{improved} of 6 leads improved" in str(counts)
    assert "tier: no oracle (nothing computed while drawing)" in str(counts)
    assert plain.counts.every_lead == (improved == 6)


def test_fewer_attempts_and_leads_are_a_prefix(
    tiny: Model, plain: Result[LeadCounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = run(tiny, attempts=3).table.drop(columns="index")
    part = plain.table[plain.table["try"] <= 3].drop(columns="index").reset_index(drop=True)
    pd.testing.assert_frame_equal(few, part)
    pd.testing.assert_frame_equal(run(tiny, LEADS[:2]).table, plain.table.head(12))
    monkeypatch.setattr(lead_optimization, "AT_ONCE", 2)
    settings = tiny.settings(steps=12, gamma=2.0, batch_size=5)
    finished: list[pd.DataFrame] = []
    again = run(tiny, settings=settings, on_leads=finished.append)
    pd.testing.assert_frame_equal(again.table, plain.table)
    assert [len(part) for part in finished] == [12, 12, 12]
    assert run(tiny, seed=2).table["raw"].tolist() != plain.table["raw"].tolist()


def test_without_an_oracle_nothing_is_computed_while_drawing(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    when: list[int] = []

    def watched(names: Any, smiles: Any, *rest: Any) -> Any:
        when.append(sum(ended))
        return compute(names, smiles, *rest)

    monkeypatch.setattr("molgen.discovery.oracle.compute", watched)
    run(tiny, on_attempts=ended.append)
    assert sum(ended) == 36
    assert set(when) == {36}
    when.clear()
    ended.clear()
    run(tiny, attempts=8, oracle_calls=5, on_attempts=ended.append)
    assert {0, 24, 48} <= set(when)


def test_oracle_calls_are_a_budget(searched: Result[LeadCounts]) -> None:
    checked(searched)
    assert (searched.table["tier"] == "oracle: 7").all()
    for _, rows in searched.table.groupby("lead_index"):
        calls = rows["oracle_calls"]
        assert calls.is_monotonic_increasing
        assert 1 <= calls.iloc[0] <= 5, "the lead and four attempts at most"
        assert calls.max() <= 7
        fitting = rows[(rows["similarity"] >= 0.3) & (rows["smiles"] != "")]
        fitting = fitting[~fitting["smiles"].isin(KNOWN)]
        distinct = {Chem.CanonSmiles(rows["lead"].iloc[0]), *fitting["smiles"]}
        assert calls.max() == min(7, len(distinct))
    assert searched.table["oracle_calls"].max() == 7
    per_lead = searched.table.groupby("lead_index")["oracle_calls"].max()
    assert searched.counts.oracle_calls == per_lead.sum()
    assert "tier: oracle: 7 (at most 7 calls a lead while drawing)" in str(searched.counts)


def test_a_call_is_for_a_new_similar_molecule_alone(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []

    def watched(names: Any, smiles: Any, *rest: Any) -> Any:
        scored.extend(smiles)
        return compute(names, smiles, *rest)

    monkeypatch.setattr("molgen.discovery.oracle.compute", watched)
    found = run(tiny, attempts=12, oracle_calls=30)
    table = found.table
    for lead in LEADS:
        own = table[table["lead"] == lead]
        failed = own["similarity"].lt(0.3) | own["smiles"].isin(KNOWN)
        other = table.loc[(table["lead"] != lead) & table["qed"].notna(), "smiles"]
        paid = set(scored) - set(other) - {Chem.CanonSmiles(lead) for lead in LEADS}
        assert failed.any()
        assert not paid & set(own.loc[failed, "smiles"])
        assert own.loc[failed, "qed"].isna().all()
    assert len(scored) == found.counts.oracle_calls, "the table computes nothing further"


def begins_alike(stopped: pd.DataFrame, every: pd.DataFrame) -> None:
    """Check that the attempts at a lead that was stopped are the first of all attempts at it."""
    # what waits when a lead is stopped is scored later in the other run
    same = ["try", "raw", "similarity", "nfe", "shared_nfe"]
    pd.testing.assert_frame_equal(
        stopped[same].reset_index(drop=True), every.head(len(stopped))[same].reset_index(drop=True)
    )


def test_a_lead_gets_no_attempts_beyond_stop_after(tiny: Model) -> None:
    ended: list[int] = []
    every = run(tiny, attempts=15, oracle_calls=9).table
    found = run(tiny, attempts=15, oracle_calls=9, stop_after=2, on_attempts=ended.append)
    checked(found)
    assert sum(ended) == 90
    stopped = 0
    for lead, rows in found.table.groupby("lead_index"):
        begins_alike(rows, every[every["lead_index"] == lead])
        if len(rows) < 15:
            stopped += 1
            assert len(rows) % 4 == 0
            assert (rows["outcome"] == Fate.ACCEPTED).sum() >= 2
    assert 0 < stopped < len(LEADS)


def test_search_continues_from_improved_molecules(
    tiny: Model, searched: Result[LeadCounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    free, led = (
        run(tiny, attempts=24, oracle_calls=calls, targets={"mw": "max"}, guided_by={})
        for calls in (0, 24)
    )
    assert np.mean(led.counts.gains) > 1.2 * np.mean(free.counts.gains)
    monkeypatch.setattr(lead_optimization, "AT_ONCE", 4)
    pd.testing.assert_frame_equal(run(tiny, attempts=15, oracle_calls=7).table, searched.table)


def guided(model: Model, rings: str = "2", **options: Any) -> Result[LeadCounts]:
    """Optimise the ring count with a noisy classifier, from leads with one ring and none."""
    settings = model.settings(steps=8, remask=plan.Ancestral(), remask_weights=None, gamma=1.0)
    leads = ["CC1CC(C#N)O1", "N#CCC1CCO1", "CC1CC1CO", "CCC(C)CO"]
    words: dict[str, Any] = {"attempts": 18, "settings": settings, "similarity": 0.1, **options}
    return optimize(model, leads, *arguments({"ring_count": rings}, words))


def test_a_selection_stops_after_molecules_that_are_likely_enough(qm9: Model) -> None:
    every, found = (guided(qm9, top_k=2, attempts=24, stop_after=n).table for n in (None, 2))
    probability = resolve(qm9, qm9.settings(), {"ring_count": 2.0}).target_probability()
    stopped = 0
    for lead, rows in found.groupby("lead_index"):
        begins_alike(rows, every[every["lead_index"] == lead])
        if len(rows) < 24:
            stopped += 1
            chosen = rows.loc[
                rows["outcome"].isin([Fate.ACCEPTED, Fate.GOAL_MISSED]), "smiles"
            ].unique()
            ids = padded([qm9.tokenizer.encode(text) for text in chosen], qm9.tokenizer.pad_id)
            assert len(chosen) == 2
            assert (probability(ids) >= np.log(0.5)).all()
    assert stopped > 0


def test_a_noisy_classifier_selects_the_top_k(qm9: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []

    def watched(names: Any, smiles: Any, *rest: Any) -> Any:
        computed.extend(smiles)
        return compute(names, smiles, *rest)

    forwards: list[int] = []

    def counted(self: TargetProbability, tokens: Any) -> Any:
        forwards.append(len(tokens))
        return probability(self, tokens)

    probability = TargetProbability.__call__
    monkeypatch.setattr(TargetProbability, "__call__", counted)
    monkeypatch.setattr("molgen.discovery.oracle.compute", watched)
    found = guided(qm9, top_k=3, attempts=24)
    monkeypatch.undo()
    table = found.table
    words = [Fate.ACCEPTED, Fate.GOAL_MISSED, Fate.NOT_SELECTED]
    fitting = table[table["outcome"].isin(words)]
    selected = fitting[fitting["outcome"] != Fate.NOT_SELECTED]
    not_selected = fitting[fitting["outcome"] == Fate.NOT_SELECTED]
    assert len(selected) == 12
    assert len(not_selected) > 12
    assert set(computed) == set(selected["smiles"]) | set(table["lead"])
    assert selected["ring_count"].notna().all()
    assert not_selected[["ring_count", "gain"]].isna().all(None)
    target_probability = resolve(qm9, qm9.settings(), {"ring_count": 2.0}).target_probability()
    for lead, rows in selected.groupby("lead_index"):
        others = not_selected.loc[not_selected["lead_index"] == lead, "smiles"]
        best, rest = (
            target_probability(padded(tokens, qm9.tokenizer.pad_id))
            for tokens in (
                [qm9.tokenizer.encode(text) for text in several]
                for several in (rows["smiles"], others)
            )
        )
        assert best.min() >= rest.max() - 1e-5
    hits = compute(["ring_count"], list(fitting["smiles"]))["ring_count"] == 2
    assert (selected["ring_count"] == 2).mean() > hits.mean()
    counts = found.counts
    assert counts.classifier_forwards == table["classifier_nfe"].sum() == sum(forwards)
    assert counts.improved == selected.loc[selected["outcome"] == "ok", "lead_index"].nunique()
    assert "tier: no oracle (nothing computed while drawing)" in str(counts)
    assert "3.0 selected a lead, at most 3, by the noisy classifier" in str(counts)


@pytest.mark.slow
def test_search_continues_from_the_surrogates_best_molecules(
    qm9: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nearly all small molecules with three rings are in QM9
    ask = partial(guided, qm9, "3..", allow_training_molecules=True)
    led, every = ask(), ask(top_k=18)
    drawn = ["raw", "outcome", "nfe", "shared_nfe", "classifier_nfe"]
    pd.testing.assert_frame_equal(led.table[drawn], every.table[drawn])
    few = ask(attempts=9).table.drop(columns="index")
    part = led.table[led.table["try"] <= 9].drop(columns="index").reset_index(drop=True)
    pd.testing.assert_frame_equal(few, part)
    monkeypatch.setattr(LeadSearch, "_surrogate", lambda search: None)
    free = ask()
    hits = [(each.table["outcome"] == Fate.ACCEPTED).mean() for each in (led, free)]
    assert hits[0] > hits[1] + 0.1
    assert led.table["raw"].head(4).tolist() == free.table["raw"].head(4).tolist()


def test_rejected_leads_are_rows(tiny: Model) -> None:
    leads = ["CC(", "", "CC.O", "CC*", "C", "CSC", "C" * 13, "CCO"]
    found = run(tiny, leads, attempts=2)
    reasons = found.table.loc[found.table["try"] == 0, "outcome"].tolist()
    assert reasons == [
        "lead not read: parse",
        "lead not read: empty",
        "lead not read: fragments",
        "lead not read: dummy_atom",
        "lead too small: 1 atom, expected at least 2",
        "lead holds 'S', unknown to the model",
        "lead too long: 13 tokens, expected at most 12",
    ]
    assert found.table["lead"].tolist() == [*leads, "CCO"]
    assert (found.counts.leads, found.counts.refused, found.asked) == (8, 7, 8)
    assert not found.counts.every_lead
    pd.testing.assert_series_equal(
        found.table["raw"].tail(2).reset_index(drop=True),
        run(tiny, ["CC("] * 7 + ["CCO"], attempts=2).table["raw"].tail(2).reset_index(drop=True),
    )
    only = run(tiny, ["CC("], attempts=2)
    assert only.table["outcome"].tolist() == ["lead not read: parse"]
    assert "0 of 1 leads improved (0.0 %), 1 of them rejected" in str(only.counts)


def test_kept_atoms_are_kept(qm9: Model) -> None:
    settings = qm9.settings(steps=8, remask=plan.Ancestral(), remask_weights=None, gamma=1.0)
    leads = ["CC1CC(C#N)O1", "N#CCC1CCO1", "CCCO"]
    words: dict[str, Any] = {"similarity": 0.2, "settings": settings}
    words["allow_training_molecules"] = True
    five = request({"logp": "max"}, attempts=5, oracle_calls=4, keep="C#N", **words)
    found = optimize(qm9, leads, five)
    done = found.table[found.table["try"] > 0]
    for row in done[done["smiles"] != ""].itertuples():
        kept = mol(row.smiles).HasSubstructMatch(Chem.MolFromSmarts("[CX2]#N"))
        if row.outcome == Fate.ACCEPTED:
            assert kept
        assert kept or row.outcome in (Fate.CONSTRAINT_LOST, Fate.DUPLICATE)
        assert "#" not in row.part
    assert (done["outcome"] == "ok").sum() >= 2
    refused = found.table[found.table["try"] == 0]
    assert refused["lead"].tolist() == ["CCCO"]
    assert "matches nothing in the lead" in refused["outcome"].iloc[0]
    changed = optimize(qm9, ["OCC1CC1"], request(QED, attempts=3, change=[0], **words))
    assert set(changed.table["part"]) == {"O"}


def test_outcomes_by_hand() -> None:
    lead = Lead(0, "CCO", "CCO", mol("CCO"), fingerprint(mol("CCO")))

    def one(
        smiles: str, similarity: float = 0.5, keeps: bool = True, passes: bool = True
    ) -> Attempt:
        return Attempt(1, smiles, smiles, "ok", "", similarity, keeps, passes, 1, 0, 0)

    drawn = [
        one("", np.nan),
        one("CCO", 1.0),
        one("CCN"),
        one("CCN"),
        one("CCC", keeps=False),
        one("CCS", 0.39),
        one("CCF", passes=False),
        one("CCCl"),
        one("CCBr"),
        replace(one("CCI"), selected=False),
        one("", np.nan),
    ]
    met = np.array([True, True, True, True, True, True, True, False, True, True, True])
    words = "invalid/unchanged/ok/duplicate/constraint lost/similarity below/filter failed"
    expected = [*words.split("/"), "goal missed", "ok", "not selected", "invalid"]
    assert [str(outcome) for outcome in outcomes(lead, drawn, met, 0.4)] == expected


def test_filters_and_ranges(tiny: Model) -> None:
    filters = Filters.read(["smarts:N"])
    found = run(tiny, targets={"mw": "40..80"}, filters=filters, guided_by={}).table
    failed = found[found["outcome"] == "filter failed"]
    assert len(failed)
    assert failed["smiles"].str.contains("N").all()
    ok = found[found["outcome"] == "ok"]
    assert len(ok)
    assert ok["mw"].between(40, 80).all()
    assert not ok["smiles"].str.contains("N").any()


def test_atom_map_numbers_are_ignored(tiny: Model) -> None:
    lead = read(0, "[CH3:1][CH2:2][OH:3]", tiny, Likeness())
    assert isinstance(lead, Lead)
    assert lead.smiles == "CCO"
    kept = read(0, "OCC", tiny, Likeness(keep=[0]))
    assert isinstance(kept, Lead)
    assert kept.free(kept.mol) == {1, 2}
    assert kept.free(mol("CCCO")) == {0, 1, 2}
    assert not kept.free(mol("CCC"))
    assert isinstance(read(0, "OCC", tiny, Likeness(keep=[3])), Refused)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"leads": []}, "leads is empty"),
        ({"targets": {}}, "targets is empty"),
        ({"targets": {"qde": "max"}}, "qde"),
        ({"targets": {"sa": "max"}}, "the model is not conditioned on it"),
        ({"similarity": 1.2}, r"similarity is 1.2, expected a number in \[0, 1\]"),
        ({"attempts": 0}, "attempts is 0"),
        ({"oracle_calls": -1}, "oracle_calls is -1"),
        ({"stop_after": 1}, "stop_after is 1 without oracle calls"),
        ({"stop_after": 0, "oracle_calls": 9}, "stop_after is 0"),
        ({"top_k": 0}, "n is 0, expected at least 1"),
        ({"top_k": 2, "oracle_calls": 3}, "top_k is 2 with oracle calls, expected oracle_calls 0"),
        ({"top_k": 2}, "top_k is 2, but model .* has no noisy classifier"),
        (
            {"constraint": (read_scaffold("*CO"),)},
            "constraint is one of scaffolds, expected a Likeness",
        ),
        ({"keep": "C", "change": "N"}, "keep and change are both given"),
        ({"weights": {"sa": 1.0}}, "weight of sa"),
    ],
)
def test_bad_input(tiny: Model, options: dict[str, Any], message: str) -> None:
    words: dict[str, Any] = {"leads": LEADS, "targets": QED, **options}
    with pytest.raises(ValueError, match=message):
        optimize(tiny, words.pop("leads"), *arguments(words.pop("targets"), words))


def test_models_without_masks_or_smiles_are_rejected(tiny_selfies: Path) -> None:
    with pytest.raises(ValueError, match="model 'qm9-ar' is not a masked diffusion model"):
        optimize(molgen.load("qm9-ar"), LEADS, request(QED))
    with pytest.raises(ValueError, match="representation of the model is selfies, expected smiles"):
        optimize(molgen.load(tiny_selfies), LEADS, request(QED))


def test_an_interrupt_keeps_finished_leads(
    tiny: Model, plain: Result[LeadCounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lead_optimization, "AT_ONCE", 2)
    finished: list[int] = []

    def stop(rows: pd.DataFrame) -> None:
        finished.append(len(rows))
        if len(finished) == 2:
            raise KeyboardInterrupt

    found = run(tiny, on_leads=stop)
    assert found.reason == "interrupted"
    pd.testing.assert_frame_equal(found.table, plain.table.head(24))
    assert (found.counts.leads, found.asked, found.counts.every_lead) == (4, 6, False)

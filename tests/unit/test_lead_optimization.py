"""Leads: what may be expected of a part, what the network says of it, and what becomes of tries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

import molgen
from molgen import lead_optimization, lead_rows, plan, randomness
from molgen.fragments import Task
from molgen.lead import Lead, Outcome, Refused, environments, fingerprint, read, tanimoto
from molgen.lead_optimization import optimize
from molgen.lead_parts import FEWEST, Part, parts
from molgen.lead_prospects import prospects
from molgen.lead_report import Optimized, Try, outcomes
from molgen.lead_rows import OpenPart
from molgen.model import Model
from molgen.molecules import interpret
from molgen.screens import Screens
from molgen.targets import read_targets
from molgen.template import cut
from molgen.threads import workers
from property_models import compute

LEADS = ["CCO", "NCC=O", "CCOC=O", "OCCN", "CCCC", "NCCCO"]
COLUMNS = [
    *("index", "lead_index", "lead", "try", "raw", "smiles", "status", "part", "similarity"),
    *("qed", "gain", "outcome", "nfe", "shared_nfe", "classifier_nfe", "oracle_calls", "tier"),
    "lead_qed",
]
QED = {"qed": "max"}


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Model:
    return molgen.load(tiny_model)


@pytest.fixture(scope="module")
def qm9() -> Model:
    return molgen.load("qm9")


def mol(smiles: str) -> Chem.Mol:
    return Chem.MolFromSmiles(smiles)


def run(model: Model, leads: list[str] | None = None, **options: Any) -> Optimized:
    words: dict[str, Any] = {"similarity": 0.3, "tries": 6, "seed": 1, **options}
    words.setdefault("settings", model.settings(steps=12, gamma=2.0))
    return optimize(model, leads or LEADS, words.pop("targets", QED), **words)


@pytest.fixture(scope="module")
def plain(tiny: Model) -> Optimized:
    return run(tiny)


@pytest.fixture(scope="module")
def searched(tiny: Model) -> Optimized:
    return run(tiny, tries=11, oracle_calls=7)


def test_similarity_is_rdkits() -> None:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    pairs = [("CCOc1ccccc1", "CCNc1ccccc1"), ("C[C@H](N)O", "C[C@@H](N)O"), ("C", "N")]
    for a, b in pairs:
        expected = DataStructs.TanimotoSimilarity(*map(generator.GetFingerprint, (mol(a), mol(b))))
        assert tanimoto(fingerprint(mol(a)), fingerprint(mol(b))) == pytest.approx(expected)
    assert set(environments(mol("CCOc1ccccc1"))) == fingerprint(mol("CCOc1ccccc1"))


@pytest.mark.parametrize(
    ("lead", "part", "other"),
    [("Oc1ccccc1CC", [0], "Nc1ccccc1CC"), ("CCC1CC1", [0, 1], "OCC1CC1"), ("CCO", [2], "CCN")],
)
def test_what_stays_keeps_its_bits(lead: str, part: list[int], other: str) -> None:
    surroundings, free = environments(mol(lead)), frozenset(part)
    rest = frozenset(range(mol(lead).GetNumAtoms())) - free
    kept = {bit for bit, places in surroundings.items() if any(place <= rest for place in places)}
    assert kept, "the test would notice nothing otherwise"
    assert kept <= fingerprint(mol(other))
    u = randomness.uniform(0, 3, np.arange(200)[:, None], np.arange(mol(lead).GetNumAtoms() + 2))
    found = {p.atoms: p for p in parts(mol(lead), free, fingerprint(mol(lead)), 0.0, u)}
    common = len(kept)
    expected = common / (2 * len(surroundings) - common)
    assert found[free].similarity == pytest.approx(expected)
    assert found[free].similarity <= tanimoto(fingerprint(mol(lead)), fingerprint(mol(other)))


def test_parts_are_connected_and_free_and_leave_what_is_asked() -> None:
    whole, bits = mol("CC(=O)NCCc1ccccc1Cl"), fingerprint(mol("CC(=O)NCCc1ccccc1Cl"))
    u = randomness.uniform(0, 3, np.arange(90)[:, None], np.arange(whole.GetNumAtoms() + 2))
    ring = frozenset(range(6, 12))
    for free in (frozenset(range(13)), ring):
        found = parts(whole, free, bits, 0.2, u)
        assert len({part.atoms for part in found}) == len(found) >= 3
        for part in found:
            assert part.atoms <= free
            assert len(part.atoms) < 13
            assert "." not in Chem.MolFragmentToSmiles(whole, sorted(part.atoms))
    every = parts(whole, frozenset(range(13)), bits, 0.0, u)
    near = parts(whole, frozenset(range(13)), bits, 0.5, u)
    assert min(part.similarity for part in near) >= 0.5 > min(part.similarity for part in every)
    assert any(ring <= part.atoms for part in every), "rings are taken whole, too"
    best = parts(whole, frozenset(range(13)), bits, 2.0, u)
    assert len(best) == FEWEST
    assert min(part.similarity for part in best) >= sorted(p.similarity for p in every)[-FEWEST]


def opened(model: Model, smiles: str, atoms: list[int]) -> OpenPart:
    whole = mol(smiles)
    template = cut(whole, frozenset(atoms), model.tokenizer, Task.LEAD)
    text = Chem.MolToSmiles(whole)
    return OpenPart(Part(frozenset(atoms), 0.5), template, model.tokenizer.encode(text))


def said(model: Model, targets: dict[str, str], several: list[OpenPart], **how: Any) -> Any:
    settings, wanted = model.settings(dtype="fp32", **how), read_targets(targets)
    request = model.request(512, wanted, 0, 0, settings)
    with workers() as pool:
        asked = prospects(model, settings, wanted, request, pool)
        return asked, asked(several)


def test_prospects_by_hand(tiny: Model) -> None:
    items = [opened(tiny, "CCO", [2]), opened(tiny, "CCC=O", [1, 3]), opened(tiny, "CCO", [0, 1])]
    asked, found = said(tiny, {"qed": "0.7", "logp": "1"}, items)
    assert (asked.forwards, asked.classifier_forwards) == (2, 0)
    condition = torch.tensor([[0.7, torch.nan, 1.0]])
    for item, value in zip(items, found, strict=True):
        tokens, at = torch.tensor([item.tokens]), torch.from_numpy(item.masked)
        masked = tokens.masked_fill(at, tiny.denoiser.mask_id)
        with torch.no_grad():
            answers = [
                tiny.denoiser.logits(masked, y)[0].log_softmax(-1)[at, tokens[0][at]]
                for y in (condition, torch.full_like(condition, torch.nan))
            ]
        assert value == pytest.approx(-float((answers[0] - answers[1]).sum()), abs=1e-4)
    assert len(set(found.round(6))) == 3


def test_prospects_find_what_holds_a_goal_back(qm9: Model) -> None:
    smiles = "CCCOC1CC1"
    chain, ring = opened(qm9, smiles, [0, 1, 2]), opened(qm9, smiles, [4, 5, 6])
    _, no_rings = said(qm9, {"ring_count": "0"}, [chain, ring])
    assert no_rings[1] > no_rings[0] + 1
    _, rings = said(qm9, {"ring_count": "2"}, [chain, ring])
    assert rings[0] > rings[1]
    from molgen.steering import ClassifierBased

    asked, judged = said(qm9, {"ring_count": "0"}, [chain, ring], steering=ClassifierBased()
    )  # fmt: skip
    assert (asked.forwards, asked.classifier_forwards) == (0, 1)
    assert judged[1] > judged[0] + 1
    asked, alike = said(qm9, {}, [chain, ring])
    assert asked.forwards == 0
    assert alike.tolist() == [0, 0]


def test_rows_hold_what_stays(tiny: Model) -> None:
    settings = tiny.settings()
    request = tiny.request(512, {}, 0, 0, settings)
    items = [opened(tiny, "CCC=O", [1, 3]), opened(tiny, "CCCCCCCO", [5, 6, 7])] * 30
    u = randomness.uniform(0, 1, np.arange(60)[:, None], np.arange(13))
    ready = lead_rows.rows(tiny, request, items, 7 + np.arange(60), u)
    assert ready.given.rows is not None
    assert ready.given.fixed is not None
    assert ready.given.rows.tolist() == [*range(7, 67)]
    masks = ready.given.tokens == tiny.denoiser.mask_id
    real = ready.given.tokens != tiny.denoiser.pad_id
    assert (ready.given.fixed == (real & ~masks)).all()
    assert (real.sum(1) == ready.lengths).all()
    for i, item in enumerate(items):
        stays = np.array(item.tokens)[~item.masked].tolist()
        assert ready.given.tokens[i][ready.given.fixed[i]].tolist() == stays
    change = ready.lengths[1::2] - 8
    assert {0} < set(change.tolist()), "lengths are drawn"
    assert abs(change).max() <= lead_rows.LEAST_CHANGE
    again = lead_rows.rows(tiny, request, items[:2], np.arange(2), u[:2])
    assert again.lengths.tolist() == ready.lengths[:2].tolist()


def test_one_token_becomes_another(tiny: Model) -> None:
    request = tiny.request(512, {}, 0, 0, tiny.settings())
    items = [opened(tiny, "CCO", [1]), opened(tiny, "CC=O", [1, 2])] * 20
    u = randomness.uniform(0, 1, np.arange(40)[:, None], np.arange(13))
    ready = lead_rows.rows(tiny, request, items, np.arange(40), u)
    own = tiny.tokenizer.encode("C")[0]
    for i, item in enumerate(items):
        same = len(item.part.atoms) == 1 and ready.lengths[i] == 3
        assert ready.rules.barred[i, 1, own] == same
        assert ready.rules.barred[i].sum() == same
    assert (ready.lengths[::2] == 3).any()
    changed = run(tiny, ["CO", "NCO"], tries=16).table
    kept = changed[(changed["outcome"] == "unchanged") & (changed["part"].str.len() == 1)]
    assert not len(kept[kept["raw"].str.len() == kept["lead"].str.len()])


def checked(found: Optimized, targets_met: Any = None) -> None:
    """Check every row of a table against RDKit and the words of the outcomes."""
    for _, rows in found.table.groupby("lead_index"):
        lead, seen = mol(rows["lead"].iloc[0]), set()
        base = compute(["qed"], [Chem.MolToSmiles(lead)])["qed"][0]
        for row in rows.itertuples():
            assert row.status == str(interpret(row.raw).status)
            assert row.smiles == interpret(row.raw).smiles
            assert row.lead_qed == base
            if not row.smiles:
                assert row.outcome == Outcome.INVALID
                assert np.isnan(row.similarity)
                continue
            value = compute(["qed"], [row.smiles])["qed"][0]
            assert row.qed == value
            like = tanimoto(fingerprint(lead), fingerprint(mol(row.smiles)))
            assert row.similarity == pytest.approx(like)
            words = {
                "unchanged": row.smiles == Chem.MolToSmiles(lead),
                "duplicate": row.smiles in seen,
                "similarity below": like < 0.3,
                "target missed": not value > base,
                "ok": True,
            }
            assert row.outcome == next(word for word, holds in words.items() if holds)
            seen.add(row.smiles)


def test_every_try_is_a_row_with_its_outcome(plain: Optimized) -> None:
    assert list(plain.table) == COLUMNS
    assert plain.table["index"].tolist() == list(range(36))
    assert plain.table["try"].tolist() == [1, 2, 3, 4, 5, 6] * 6
    checked(plain)
    assert plain.table["outcome"].nunique() >= 4, "the test would notice nothing otherwise"
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


def test_the_counts_are_those_of_the_table(plain: Optimized) -> None:
    table, tally = plain.table, plain.tally
    improved = table[table["outcome"] == "ok"]["lead_index"].nunique()
    assert (tally.leads, tally.refused, tally.improved) == (6, 0, improved)
    assert tally.forwards == table["nfe"].sum() + table["shared_nfe"].sum()
    assert dict(tally.outcomes) == table["outcome"].value_counts().to_dict()
    near = table[table["outcome"].isin(["ok", "target missed"])]
    best = near.groupby("lead_index")["gain"].max().clip(lower=0)
    assert sum(tally.gains) == pytest.approx(best.sum())
    assert len(tally.gains) == 6
    assert f"{improved} of 6 leads improved" in str(tally)
    assert "tier: no oracle (nothing computed while drawing)" in str(tally)
    assert plain.every_lead == (improved == 6)


def test_fewer_tries_and_leads_are_a_prefix(
    tiny: Model, plain: Optimized, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = run(tiny, tries=3).table.drop(columns="index")
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
    asked: list[int] = []

    def watched(names: Any, smiles: Any, *rest: Any) -> Any:
        asked.append(sum(ended))
        return compute(names, smiles, *rest)

    monkeypatch.setattr("molgen.oracle.compute", watched)
    run(tiny, on_tries=ended.append)
    assert sum(ended) == 36
    assert set(asked) == {36}
    asked.clear()
    ended.clear()
    run(tiny, tries=8, oracle_calls=5, on_tries=ended.append)
    assert {0, 24, 48} <= set(asked)


def test_oracle_calls_are_a_budget(searched: Optimized) -> None:
    checked(searched)
    assert (searched.table["tier"] == "oracle: 7").all()
    for _, rows in searched.table.groupby("lead_index"):
        calls = rows["oracle_calls"]
        assert calls.is_monotonic_increasing
        assert 1 <= calls.iloc[0] <= 5, "the lead and four tries at most"
        assert calls.max() <= 7
        fitting = rows[(rows["similarity"] >= 0.3) & (rows["smiles"] != "")]
        distinct = {Chem.CanonSmiles(rows["lead"].iloc[0]), *fitting["smiles"]}
        assert calls.max() == min(7, len(distinct))
    assert searched.table["oracle_calls"].max() == 7
    per_lead = searched.table.groupby("lead_index")["oracle_calls"].max()
    assert searched.tally.calls == per_lead.sum()
    assert "tier: oracle: 7 (at most 7 calls a lead while drawing)" in str(searched.tally)


def test_search_goes_on_from_what_is_better(
    tiny: Model, searched: Optimized, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, led = (
        run(tiny, tries=24, oracle_calls=calls, targets={"mw": "max"}, guided=False)
        for calls in (0, 24)
    )
    assert np.mean(led.tally.gains) > 1.2 * np.mean(free.tally.gains)
    monkeypatch.setattr(lead_optimization, "AT_ONCE", 4)
    pd.testing.assert_frame_equal(run(tiny, tries=11, oracle_calls=7).table, searched.table)


def test_leads_that_cannot_be_worked_on_are_rows(tiny: Model) -> None:
    leads = ["CC(", "", "CC.O", "CC*", "C", "CSC", "C" * 13, "CCO"]
    found = run(tiny, leads, tries=2)
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
    assert (found.tally.leads, found.tally.refused, found.asked) == (8, 7, 8)
    assert not found.every_lead
    pd.testing.assert_series_equal(
        found.table["raw"].tail(2).reset_index(drop=True),
        run(tiny, ["CC("] * 7 + ["CCO"], tries=2).table["raw"].tail(2).reset_index(drop=True),
    )
    only = run(tiny, ["CC("], tries=2)
    assert only.table["outcome"].tolist() == ["lead not read: parse"]
    assert "0 of 1 leads improved (0.0 %), 1 of them not worked on" in str(only.tally)


def test_what_must_stay_stays(qm9: Model) -> None:
    settings = qm9.settings(steps=8, strategy=plan.Ancestral(), weights=None, gamma=1.0)
    leads = ["CC1CC(C#N)O1", "N#CCC1CCO1", "CCCO"]
    found = optimize(
        qm9, leads, {"logp": "max"}, 0.2, 5, 4, settings=settings, keep="C#N"
    )  # fmt: skip
    done = found.table[found.table["try"] > 0]
    for row in done[done["smiles"] != ""].itertuples():
        kept = mol(row.smiles).HasSubstructMatch(Chem.MolFromSmarts("[CX2]#N"))
        if row.outcome == Outcome.OK:
            assert kept
        assert kept or row.outcome in (Outcome.CONSTRAINT, Outcome.DUPLICATE)
        assert "#" not in row.part
    assert (done["outcome"] == "ok").sum() >= 2
    refused = found.table[found.table["try"] == 0]
    assert refused["lead"].tolist() == ["CCCO"]
    assert "matches nothing in the lead" in refused["outcome"].iloc[0]
    changed = optimize(qm9, ["OCC1CC1"], QED, 0.2, 3, settings=settings, change=[0])
    assert set(changed.table["part"]) == {"O"}


def test_outcomes_by_hand() -> None:
    lead = Lead(0, "CCO", "CCO", mol("CCO"), fingerprint(mol("CCO")))

    def one(smiles: str, similarity: float = 0.5, keeps: bool = True, passes: bool = True) -> Try:
        return Try(1, smiles, smiles, "ok", "", similarity, keeps, passes, 1, 0, 0)

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
        one("", np.nan),
    ]
    met = np.array([True, True, True, True, True, True, True, False, True, True])
    words = "invalid/unchanged/ok/duplicate/constraint lost/similarity below/filter failed"
    expected = [*words.split("/"), "target missed", "ok", "invalid"]
    assert [str(outcome) for outcome in outcomes(lead, drawn, met, 0.4)] == expected


def test_filters_and_ranges(tiny: Model) -> None:
    screens = Screens.read(["smarts:N"])
    found = run(tiny, targets={"mw": "40..80"}, screens=screens, guided=False).table
    failed = found[found["outcome"] == "filter failed"]
    assert len(failed)
    assert failed["smiles"].str.contains("N").all()
    ok = found[found["outcome"] == "ok"]
    assert len(ok)
    assert ok["mw"].between(40, 80).all()
    assert not ok["smiles"].str.contains("N").any()


def test_labels_of_atoms_are_no_chemistry(tiny: Model) -> None:
    lead = read(0, "[CH3:1][CH2:2][OH:3]", tiny.tokenizer, 12)
    assert isinstance(lead, Lead)
    assert lead.smiles == "CCO"
    kept = read(0, "OCC", tiny.tokenizer, 12, keep=[0])
    assert isinstance(kept, Lead)
    assert kept.free(kept.mol) == {1, 2}
    assert kept.free(mol("CCCO")) == {0, 1, 2}
    assert not kept.free(mol("CCC"))
    assert isinstance(read(0, "OCC", tiny.tokenizer, 12, keep=[3]), Refused)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"leads": []}, "leads is empty"),
        ({"targets": {}}, "targets is empty"),
        ({"targets": {"qde": "max"}}, "qde"),
        ({"targets": {"sa": "max"}}, "the model is not conditioned on it"),
        ({"similarity": 1.2}, r"similarity is 1.2, expected a number in \[0, 1\]"),
        ({"tries": 0}, "tries is 0, expected at least 1"),
        ({"oracle_calls": -1}, "oracle_calls is -1, expected at least 0"),
        ({"keep": "C", "change": "N"}, "keep and change are both given"),
        ({"weights": {"sa": 1.0}}, "weight of sa"),
    ],
)
def test_bad_input(tiny: Model, options: dict[str, Any], message: str) -> None:
    words: dict[str, Any] = {"leads": LEADS, "targets": QED, **options}
    with pytest.raises(ValueError, match=message):
        optimize(tiny, **words)


def test_models_that_fill_no_masks_and_those_that_write_no_smiles(tiny_selfies: Path) -> None:
    with pytest.raises(ValueError, match="model 'qm9-ar' does not write by taking masks off"):
        optimize(molgen.load("qm9-ar"), LEADS, QED)
    with pytest.raises(ValueError, match="the model writes selfies, expected smiles"):
        optimize(molgen.load(tiny_selfies), LEADS, QED)


def test_an_interrupt_keeps_the_leads_that_are_finished(
    tiny: Model, plain: Optimized, monkeypatch: pytest.MonkeyPatch
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
    assert (found.tally.leads, found.asked, found.every_lead) == (4, 6, False)

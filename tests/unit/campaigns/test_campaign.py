"""Campaigns: the same molecules whoever draws them, in whatever order, however often cut off."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import molgen
from engines import shuffled
from molgen.api.campaign import Campaign
from molgen.data.tables import read_table
from molgen.errors import MolgenError

GOALS = {"qed": ".4.."}
SCORERS = """
from rdkit import Chem

def size(mol):
    smiles = Chem.MolToSmiles(mol)
    with open("calls.log", "a") as file:
        file.write(smiles + "\\n")
    if mol.GetNumAtoms() == 4:
        raise RuntimeError(f"no size of {smiles}")
    return float(mol.GetNumAtoms())

def broken(mol):
    raise OSError("no license")
"""
SIZE = "scorers.py:size"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "scorers.py").write_text(SCORERS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begin(name: str, model: Path, goals: Any = GOALS, n: int = 20, **words: Any) -> Campaign:
    words = {"block": 16, **words}
    return Campaign(f"{name}.campaign", "design", model, goals, n, **words)


def calls() -> Counter[str]:
    return Counter(Path("calls.log").read_text().split())


def ran(campaign: Campaign, **how: Any) -> pd.DataFrame:
    with campaign:
        assert campaign.run(shuffled(**how)).reason == "complete"
        return campaign.table


@pytest.mark.parametrize("novelty", ["strict", pytest.param("inchikey", marks=pytest.mark.slow)])
def test_the_molecules_of_a_campaign_are_those_of_design(tiny_model: Path, novelty: str) -> None:
    words: dict[str, Any] = {"novelty": novelty, "filters": ["smarts:OO"], "seed": 3}
    found = ran(begin("a", tiny_model, **words))
    designed = molgen.design(tiny_model, GOALS, 20, **words)
    pd.testing.assert_frame_equal(found, designed.table)
    with Campaign("a.campaign") as campaign:
        status = campaign.status()
        every = pd.concat(campaign.tables(every=True))
    assert status.fates == {k: n for k, n in designed.counts.fates.items() if n}
    assert status.drawn == designed.counts.drawn == len(every)
    assert (every["lost"] == "").sum() == status.accepted == 20


@pytest.mark.parametrize(
    "how",
    [
        {"workers": 3, "seed": 2, "lost": 0.3},
        pytest.param({"workers": 1}, marks=pytest.mark.slow),
        pytest.param({"workers": 7, "seed": 1}, marks=pytest.mark.slow),
    ],
)
def test_molecules_and_scores_do_not_depend_on_workers(
    tiny_model: Path, how: dict[str, Any]
) -> None:
    goals = {SIZE: "6..", "qed": ".3.."}
    found = ran(begin("a", tiny_model, goals), **how)
    expected = ran(begin("b", tiny_model, goals), seed=9)
    pd.testing.assert_frame_equal(found, expected)
    assert (found[SIZE] >= 6).all()
    assert (found["qed"] >= 0.3).all()
    if not how.get("lost"):
        assert max(calls().values()) <= 2  # once in each campaign


def test_a_campaign_goes_on_where_it_was_cut_off(tiny_model: Path) -> None:
    goals = {SIZE: "6.."}
    expected = ran(begin("whole", tiny_model, goals))
    Path("calls.log").unlink()
    for seed in range(40):
        with begin("a", tiny_model, goals) as campaign, suppress(OSError):
            campaign.run(shuffled(3, seed, last=2))
            break
    with Campaign("a.campaign") as campaign:
        pd.testing.assert_frame_equal(campaign.table, expected)
        status = campaign.status()
    assert 2 < seed < 39
    assert status.reason == "complete"
    assert status.scored[SIZE] == len(calls())
    assert set(calls().values()) == {1}


def test_failures_are_stored_with_their_message(tiny_model: Path) -> None:
    with begin("a", tiny_model, {SIZE: "3.."}) as campaign:
        status = campaign.run(shuffled())
        every = pd.concat(campaign.tables(every=True))
    lost = [text for text in every["lost"] if text.startswith("scorer failed")]
    assert len(lost) == status.fates[f"scorer failed: {SIZE}"] > 0
    assert all("no size of" in text for text in lost)


def test_a_function_that_always_fails_stops_the_campaign(tiny_model: Path) -> None:
    with begin("a", tiny_model, {"scorers.py:broken": "6.."}, progress=False) as campaign:
        with pytest.warns(UserWarning, match="no license"):
            status = campaign.run(shuffled())
        assert (status.accepted, status.reason) == (0, "a scorer failed too often")
        assert status.scored == {}
    Path("scorers.py").write_text(SCORERS.replace('raise OSError("no license")', "return 7.0"))
    with pytest.raises(MolgenError, match=r"content of scorers\.py"):
        begin("a", tiny_model, {"scorers.py:broken": "6.."})


def test_a_shortfall_is_stated(tiny_model: Path) -> None:
    with begin("a", tiny_model, {"qed": ".6.."}, max_draws=40) as campaign:
        status = campaign.run(shuffled())
    assert status.done < 20
    assert "40 draws" in status.reason
    assert status.drawn == sum(status.fates.values())


def test_an_extended_campaign_is_the_longer_one(tiny_model: Path) -> None:
    expected = ran(begin("b", tiny_model, {SIZE: "6.."}, 30))
    Path("calls.log").unlink()
    with begin("a", tiny_model, {SIZE: "6.."}, 12) as campaign:
        campaign.run(shuffled())
        assert len(campaign.table) == 12
        campaign.extend(30)
        assert campaign.status().reason == ""
        with pytest.raises(MolgenError, match="n is 29"):
            campaign.extend(29)
        campaign.run(shuffled())
        pd.testing.assert_frame_equal(campaign.table, expected)
    assert set(calls().values()) == {1}
    with pytest.raises(MolgenError, match="n was 30 and is 12"):
        begin("a", tiny_model, {SIZE: "6.."}, 12)
    begin("a", tiny_model, {SIZE: "6.."}, 30).close()


def test_functions_of_a_program_are_scorers(tiny_model: Path) -> None:
    def atoms(mol: Any) -> float:
        return float(mol.GetNumAtoms())

    found = ran(begin("a", tiny_model, {atoms: "6.."}))
    assert (found["atoms"] >= 6).all()
    with begin("a", tiny_model, {atoms: "6.."}):
        pass
    same, atoms.__code__ = atoms.__code__, (lambda mol: 1.0).__code__
    with pytest.raises(MolgenError, match="content of atoms"):
        begin("a", tiny_model, {atoms: "6.."})
    atoms.__code__ = same
    found = ran(begin("b", tiny_model, GOALS, properties=[atoms]))
    assert found["atoms"].notna().all()
    pd.testing.assert_frame_equal(
        found.drop(columns="atoms"),
        ran(begin("c", tiny_model)).drop(columns="atoms", errors="ignore"),
    )


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 5}, "seed was 0 and is 5"),
        ({"filters": ["pains"]}, "filters was"),
        ({"gamma": 1.5}, 'gamma was "recommended" and is 1.5'),
        ({"goals": {"qed": ".5.."}}, "goals was"),
        ({"n": 21}, "n was 20 and is 21"),
    ],
)
def test_another_request_is_refused(tiny_model: Path, changed: dict[str, Any], named: str) -> None:
    begin("a", tiny_model).close()
    before = Path("a.campaign").read_bytes()
    with pytest.raises(MolgenError, match=named):
        begin("a", tiny_model, **changed)
    assert Path("a.campaign").read_bytes() == before
    begin("a", tiny_model, batch_size=7).close()  # without an effect on the rows


def test_bad_input_leaves_no_file(tiny_model: Path, folder: Path) -> None:
    before = set(folder.iterdir())
    for words in ({"goals": {"qed": "best"}}, {"n": 0}, {"seed": -1}, {"block": 0}):
        with pytest.raises(MolgenError):
            begin("a", tiny_model, **words)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="filter"):
        begin("a", tiny_model, filter=["pains"])
    with pytest.raises(MolgenError, match="path is"):
        Campaign("none.campaign")
    assert set(folder.iterdir()) == before


def test_a_worker_with_other_last_bits_is_refused(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from molgen.campaigns.worker import Worker

    with begin("a", tiny_model, n=60) as campaign, pytest.raises(OSError, match="power cut"):
        campaign.run(shuffled(last=2))
    monkeypatch.setattr(Worker, "probe", lambda _: "other rows")
    with begin("a", tiny_model, n=60) as campaign, pytest.raises(MolgenError, match="dtype fp32"):
        campaign.run(workers_alone)


def workers_alone(plan: Any) -> Any:
    engine = shuffled(1)(plan)

    def refuse(worker: str) -> None:
        raise MolgenError(f"worker {worker} draws other rows")

    engine.refuse = refuse  # type: ignore[method-assign]
    return engine


def test_parts_are_exported_as_one_table(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran(begin("a", tiny_model))
    with Campaign("a.campaign") as campaign:
        for suffix in ("csv", "csv.gz", "tsv", "smi", "sdf", "parquet", "xlsx"):
            with monkeypatch.context() as patch:
                assert campaign.export(f"whole.{suffix}") == 20
                patch.setattr("molgen.campaigns.store.CHUNK", 7)
                assert [len(part) for part in campaign.tables()] == [7, 7, 6]
                campaign.export(f"parts.{suffix}")
            parts = read_table(f"parts.{suffix}")
            pd.testing.assert_frame_equal(parts, read_table(f"whole.{suffix}"))


def test_leads_of_a_campaign_are_those_of_optimize(tiny_model: Path) -> None:
    leads = ["CCOC", "NCC=O", "CCCO", "OCCN", "C", "CCNC"]
    words: dict[str, Any] = {"attempts": 6, "similarity": 0.2, "oracle_calls": 6}
    words["donors"] = ["CCNCC=O", "OCCC=O", "NCC(C)=O"]
    with Campaign(
        "a.campaign", "optimize", tiny_model, {"qed": "max"}, leads=leads, block=2, **words
    ) as campaign:
        with suppress(OSError):
            campaign.run(shuffled(last=1))
        assert campaign.status().reason == ""
    with Campaign("a.campaign") as campaign:
        status = campaign.run(shuffled(seed=1))
        found = campaign.table
        with pytest.raises(MolgenError, match="extend"):
            campaign.extend(9)
    expected = molgen.optimize(tiny_model, leads, {"qed": "max"}, **words)
    pd.testing.assert_frame_equal(found, expected.table)
    assert (status.reason, status.done, status.n) == ("complete", 6, 6)


@pytest.mark.parametrize("engine", [None, pytest.param("shuffled", marks=pytest.mark.slow)])
def test_molecules_of_a_search_are_those_of_search(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, engine: str | None
) -> None:
    how: dict[str, Any] = {"workers": 1} if engine is None else {"engine": shuffled(2)}
    goals = {SIZE: "max"}
    asked: dict[str, Any] = {"n": 4, "nfe": 60, "method": "metropolis"}
    expected = molgen.search(tiny_model, goals, **asked)
    Path("calls.log").unlink()

    def begun() -> Campaign:
        return Campaign("a.campaign", "search", tiny_model, goals, **asked)

    from molgen.discovery.search_state import Search

    scored, rounds = Search.score_rows, list[int]()

    def cut(search: Search, *arguments: Any) -> Any:
        if len(rounds) == 2:
            raise OSError("power cut")
        rounds.append(1)
        return scored(search, *arguments)

    monkeypatch.setattr(Search, "score_rows", cut)
    with begun() as campaign, pytest.raises(OSError, match="power cut"):
        campaign.run(**how)
    monkeypatch.setattr(Search, "score_rows", scored)
    assert len(calls()) > 0
    with begun() as campaign:
        assert campaign.run(**how).reason == "complete"
        pd.testing.assert_frame_equal(campaign.table, expected.table)
        assert campaign.run(**how).done == 4  # nothing runs again
    assert set(calls().values()) == {1}

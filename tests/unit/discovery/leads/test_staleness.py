"""Staleness: the schedule, and what a stale search does differently."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from asking import request
from molgen.constraints.likeness import Likeness
from molgen.discovery.leads import staleness
from molgen.discovery.leads.lead import Lead, read
from molgen.discovery.leads.optimize import optimize
from molgen.discovery.leads.staleness import Exploration
from molgen.discovery.leads.starts import Starts
from molgen.model import Model
from molgen.sampling import factory
from molgen.sampling.recipe import Recipe
from property_models import compute


def test_the_schedule_widens_with_staleness() -> None:
    found = [Exploration.after(attempts) for attempts in range(400)]
    assert {each.level for each in found[: staleness.PATIENCE + 1]} == {0}
    levels = [each.level for each in found]
    assert levels == sorted(levels)
    assert set(levels) == set(range(staleness.LEVELS + 1))
    first, last = found[0], found[-1]
    assert (first.temperature, first.low, first.attempts) == (1.0, staleness.LOW, 4)
    assert (last.temperature, last.attempts) == (staleness.HOTTEST, staleness.WIDE_ROUND)
    assert last.low == pytest.approx(staleness.LOWEST)
    assert levels[staleness.PATIENCE + staleness.SPAN] == staleness.LEVELS


def test_regions_stay_small_while_most_attempts_are_dissimilar() -> None:
    for dissimilar in (0.0, staleness.DISSIMILAR, 0.9):
        found = [Exploration.after(attempts, dissimilar) for attempts in range(400)]
        plain = [Exploration.after(attempts) for attempts in range(400)]
        assert [each.temperature for each in found] == [each.temperature for each in plain]
        small = dissimilar > staleness.DISSIMILAR
        assert {each.narrow for each in found if each.level} == {small}
        assert found[0] == Exploration()
        assert (found[-1].low == staleness.LOW) == small


def test_a_stale_search_starts_from_the_lead_in_turn(tiny: Model) -> None:
    lead = read(0, "OCCN", tiny, Likeness(0.4))
    assert isinstance(lead, Lead)
    starts = Starts(lead, price=0.1)
    for score, smiles in enumerate(["CCC", "CCN", "CCO", "NCCN", "OCCO"]):
        starts.add(smiles, float(score))
    turns = []
    for _ in range(8):
        start = starts.next(stale=True)
        start.rounds += 1
        turns.append(start.smiles)
    assert set(turns) == {lead.smiles, "CCO", "NCCN", "OCCO"}
    assert all(turns.count(each) == 2 for each in set(turns))
    assert starts.next(stale=False).smiles == "OCCO"


def test_a_stale_search_is_hotter_and_masks_more(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    temperatures: list[float] = []
    sampler = factory.sampler

    def watched(recipe: Recipe) -> Any:
        temperatures.append(recipe.settings.shaping.temperature)
        return sampler(recipe)

    monkeypatch.setattr(factory, "sampler", watched)

    def run() -> pd.DataFrame:
        settings = tiny.settings(steps=12, gamma=2.0, temperature=0.8)
        words: dict[str, Any] = {
            "similarity": 0.5,
            "attempts": 32,
            "oracle_calls": 24,
            "settings": settings,
        }
        return optimize(tiny, ["OCCN", "NCCCO"], request({"qed": "max"}, **words)).table

    calm = run()
    assert temperatures == [0.8]
    monkeypatch.setattr(staleness, "PATIENCE", 4)
    monkeypatch.setattr(staleness, "SPAN", 2)
    stale = run()
    assert max(temperatures) == pytest.approx(1.2)
    for table in (calm, stale):
        early = table[table["try"] <= 8]
        assert len(early) == 16
    pd.testing.assert_frame_equal(
        calm[calm["try"] <= 8].reset_index(drop=True),
        stale[stale["try"] <= 8].reset_index(drop=True),
    )
    sizes = [
        compute(["heavy_atoms"], table.loc[table["try"] > 20, "part"].tolist())["heavy_atoms"]
        for table in (calm, stale)
    ]
    assert np.nanmean(sizes[1]) > np.nanmean(sizes[0])

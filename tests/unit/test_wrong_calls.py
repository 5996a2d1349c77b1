"""Wrong calls of the library: one line that names the argument, never an error from the depths."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import molgen
from asking import request
from molgen.constraints.likeness import Likeness
from molgen.constraints.scaffolds import read as read_scaffold
from molgen.data.reading import read_table
from molgen.discovery.best_of import BestOf
from molgen.discovery.design import design, survey
from molgen.discovery.goals import read_goals
from molgen.discovery.leads.optimize import optimize
from molgen.discovery.metropolis import Metropolis
from molgen.discovery.request import Budget, Request
from molgen.discovery.search import search
from molgen.discovery.smc import SequentialMonteCarlo
from molgen.errors import ModelError, MolgenError
from molgen.frontiers.method import Method
from molgen.frontiers.plan import objective_for
from molgen.model import Model
from molgen.molecules.drawing import svg
from molgen.molecules.filters import Filters
from molgen.molecules.fingerprints import fingerprints
from molgen.molecules.smarts import read_smarts
from molgen.sampling.preset_file import read_preset
from molgen.sampling.retry import Adaptive, Remask
from molgen.sampling.settings import Settings, from_words
from molgen.targets import Range, parse_target, read_targets
from molgen.training.recipe import TrainConfig
from property_models import compute, get
from property_models.scorers import Scoring

GOALS = {"qed": "max"}
KINDS: tuple[Any, ...] = (None, -1, 2.5, math.nan, "nope", b"a", [], {}, object(), [None], {5: 5})
SETTINGS = (
    *("steps", "gamma", "temperature", "top_p", "min_p", "remask", "remask_weights", "guidance"),
    *("context", "corrector", "order", "grammar", "adapt", "conditions", "batch_size", "device"),
    *("dtype", "goal_weights"),
)
FITS: dict[str, tuple[Any, ...]] = {  # of KINDS
    "steps": (), "gamma": (-1, 2.5), "temperature": (2.5,), "top_p": (), "min_p": (),
    "remask": (None,), "remask_weights": (None,), "guidance": (), "context": (None,),
    "corrector": (None,), "order": (None,), "grammar": (None,), "adapt": (None,),
    "conditions": (), "batch_size": (), "device": (), "dtype": (), "goal_weights": ({},),
}  # fmt: skip


def refused(
    name: str,
    call: Callable[[Any], object],
    value: Any = None,
    kind: type[Exception] = MolgenError,
) -> None:
    """Check that a call with a value raises one line with a name, which is a pattern."""
    with pytest.raises(kind) as caught:
        call(value)
    text = str(caught.value)
    assert re.search(name, text), text
    assert "\n" not in text
    assert len(text) < 400


def unfit(fitting: tuple[Any, ...]) -> list[Any]:
    """Return the values of :data:`KINDS` that are wrong."""
    return [v for v in KINDS if not any(v is each or v == each for each in fitting)]


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(tiny: Model, name: str) -> None:
    for value in unfit(FITS[name]):
        refused(name.split("_")[-1], lambda value: tiny.sample(1, **{name: value}), value)
    for value in FITS[name]:
        assert len(tiny.sample(1, **{name: value})) == 1
    with pytest.raises(TypeError, match="nope"):
        tiny.sample(1, nope=1)  # type: ignore[call-arg]


def test_settings_are_read_in_the_words_of_the_command_line(tiny: Model) -> None:
    words: dict[str, Any] = {
        "remask": "rescale:eta=.1",
        "steps": 9,
        "gamma": 2.0,
        "temperature": 0.9,
    }
    found = tiny.settings(**words)
    own = from_words({**tiny.preset(), **words})
    assert found == own
    assert tiny.settings(adapt="none").adapt is None
    assert tiny.settings(gamma="1..3") == tiny.settings().changed(
        gamma=from_words({"gamma": "1..3"}).gamma
    )
    refused("rescal", lambda _: tiny.settings(remask="rescal"))


def test_sample(tiny: Model) -> None:
    sample: Callable[..., pd.DataFrame] = tiny.sample
    for value in unfit(()):
        refused("n is", lambda value: sample(value), value)
    for value in unfit((None, {})):
        refused("targets|property", lambda value: sample(1, value), value)
    for value in unfit((-1, 2.5)):
        refused("qed", lambda value: sample(1, {"qed": value}), value)
    for value in unfit((-1,)):
        refused("seed", lambda value: sample(1, seed=value), value)
    for value in unfit(()):
        refused("first", lambda value: sample(1, first=value), value)
    for value in unfit(([],)):
        refused("propert", lambda value: sample(1, properties=value), value)
    for big in (2**63, 2**70):
        refused("n is", lambda big: sample(big), big)
        refused("first", lambda big: sample(1, first=big), big)
    refused("nope", lambda _: sample(1, {"nope": 1}))
    refused("no_module", lambda _: sample(1, properties=["no_module:f"]))
    refused("nowhere", lambda _: sample(1, properties=["model:nowhere"]))
    assert len(sample(np.int64(2), {"qed": np.float32(0.5)}, seed=2**70)) == 2
    assert "qed" in sample(1, properties=pd.Series(["qed"]))


@pytest.mark.parametrize("value", [*KINDS, "", "a\0b", "a" * 5000, 5, Path("nowhere")])
def test_models_that_cannot_be_loaded(value: Any) -> None:
    refused("", lambda _: molgen.load(value), None, ModelError)


@pytest.mark.parametrize("kind", ["request", "goals", "n", "filters", "constraint", "budget",
                                  "seed", "settings", "guided_by"])  # fmt: skip
def test_requests(tiny: Model, kind: str) -> None:
    good = Request(read_goals(GOALS), 1)
    known: dict[str, tuple[Any, ...]] = {
        "n": (None,), "seed": (-1,), "settings": (None,), "guided_by": (None, {}),
    }  # fmt: skip
    for value in unfit(known.get(kind, ())):
        if kind == "request":
            refused(kind, lambda value: design(tiny, value), value)
            refused(kind, lambda value: survey(tiny, value), value)
            refused(kind, lambda value: search(tiny, value, BestOf()), value)
            refused(kind, lambda value: optimize(tiny, ["CCO"], value), value)
        else:
            refused(kind, lambda value: Request(**{**vars(good), kind: value}), value)
    for run in (design, survey):
        refused("model", lambda each: each("qm9", good), run)
    refused("n is", lambda _: design(tiny, request(GOALS)))


def test_search_and_optimize(tiny: Model) -> None:
    for value in KINDS:
        refused("method", lambda value: search(tiny, request(GOALS, 1), value), value)
        refused("leads", lambda value: optimize(tiny, value, request(GOALS)), value)
    refused("pareto", lambda pareto: search(tiny, request(GOALS, 1), BestOf(), pareto), "yes")


@pytest.mark.parametrize(
    ("name", "call", "fitting"),
    [
        ("words", read_goals, ([], {})),
        ("weights", lambda v: read_goals(GOALS, v), (None, {})),
        ("tolerance", lambda v: read_goals(GOALS, tolerance=v), (2.5,)),
        ("words", Filters.read, ([],)),
        ("targets", read_targets, ({},)),
        ("value", parse_target, ()),
        ("bound", lambda v: Range(v, 3), (-1, 2.5)),
        ("smarts", lambda v: read_smarts(v, "smarts"), ()),
        ("scaffold", read_scaffold, ()),
        ("name|property", get, ()),
        ("names", lambda v: compute(v, ["C"]), ([],)),
        ("smiles", lambda v: compute(["qed"], v), ([],)),
        ("smiles", svg, ()),
        ("smiles", fingerprints, ([],)),
        ("written", from_words, ({},)),
        ("draws", lambda v: Budget(draws=v), (None,)),
        ("nfe", lambda v: Budget(nfe=v), ()),
        ("similarity", Likeness, ()),
        ("epochs", lambda v: TrainConfig(epochs=v), (2.5,)),
        ("seed", lambda v: TrainConfig(seed=v), ()),
        ("beta", Metropolis, (2.5,)),
        ("particles", SequentialMonteCarlo, ()),
        ("share", Remask, ()),
        ("budget", lambda v: Adaptive(budget=v), ()),
        ("timeout", Scoring, (2.5,)),
        ("text", lambda v: Method.parse(v, "qm9"), ("nope",)),
        ("steps", lambda v: Settings(**{**vars(from_words({})), "steps": v}), ()),
    ],
)  # fmt: skip
def test_functions_and_records(
    name: str, call: Callable[[Any], object], fitting: tuple[Any, ...]
) -> None:
    for value in unfit(fitting):
        refused(name, call, value)
    for value in fitting:
        call(value)


def test_files(tmp_path: Path) -> None:
    for read in (read_table, read_preset):
        for value in (None, 5, [], {}, object()):
            refused("path", read, value)
        with pytest.raises(OSError, match="nowhere"):
            read(tmp_path / "nowhere.csv")


def test_objectives(tiny: Model) -> None:
    for value in KINDS:
        refused("", lambda value: objective_for(tiny, value, "max", 5), value)

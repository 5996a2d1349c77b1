"""Every word of the command line is accepted from Python, and gives the same settings."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import molgen
from molgen.api.sweeps import methods_of
from molgen.cli import options
from molgen.diffusion.plan import Cap, Rescale
from molgen.errors import MolgenError
from molgen.frontiers.plan import settings_for
from molgen.guidance.kernels import Linear
from molgen.model import Model
from molgen.sampling.keywords import HELP, SettingWords
from molgen.sampling.result import Result
from molgen.sampling.settings import BY_NAME, OPTIONS, Settings

WORDS: dict[str, Any] = {
    "remask": "loop:t_on=.55,t_off=.05,eta=.1",
    "steps": 11,
    "weights": "sharpened:tau=.5",
    "gamma": "1..3",
    "guidance": "cfg:mix=posterior",
    "context": "hide:share=.3,strength=2",
    "corrector": "likeliest:every=3",
    "order": "entropy-bounded:gamma=.5",
    "grammar": "smiles",
    "joint": "block",
    "adapt": "remask:share=.4,budget=40,until=valid+unique",
    "conditions": "profile",
    "time": "continuous",
    "blocks": 4,
    "batch_size": 8,
    "device": "cpu",
    "dtype": "fp64",
    "temperature": 0.9,
    "top_p": 0.95,
    "min_p": 0.01,
}
"""A word for each setting, other than its default."""
FACE = ["design", "search", "optimize"]
GOALS = {"qed": "max"}
TOGETHER: dict[str, dict[str, Any]] = {
    "a strategy": {
        **{"remask": "rescale:eta=.2", "remask_weights": "sharpened", "gamma": "1..2"},
        **{"temperature": 0.9, "top_p": 0.9, "min_p": 0.01, "steps": 6, "batch_size": 8},
        **{"device": "cpu", "dtype": "fp32", "context": "hide:share=.3"},
    },
    "an order": {"order": "entropy", "grammar": "smiles", "conditions": "profile", "steps": 6},
    "retries": {"adapt": "restart:budget=16", "steps": 6},
    "eta": {"remask": "cap", "eta": 0.1, "steps": 6},
}


def on_the_command_line(model: Model, *words: object) -> Settings:
    parser = argparse.ArgumentParser()
    options.add_sampling(parser)
    return options.settings(parser.parse_args([str(word) for word in words]), model)


def test_the_list_for_editors_is_the_table_of_settings() -> None:
    listed = set(SettingWords.__annotations__)
    assert listed == {*BY_NAME, "goal_weights", "eta", "preset"} == set(HELP)
    assert set(WORDS) == set(OPTIONS)


@pytest.mark.parametrize("key", OPTIONS)
def test_a_word_an_object_and_an_option_are_one(model: Model, key: str) -> None:
    option, word = OPTIONS[key], WORDS[key]
    further: dict[str, Any] = {"remask": "cap"} if key == "weights" else {}
    given = [f"--{name}={value}" for name, value in further.items()]
    expected = on_the_command_line(model, *given, f"--{key.replace('_', '-')}={word}")
    if key != "device":  # there is no other one everywhere
        assert expected != on_the_command_line(model, *given)
    assert model.settings(**{option.name: word}, **further) == expected
    assert model.settings(**{option.name: option.read(word)}, **further) == expected
    assert model.settings(**further).changed(**{option.name: word}) == expected


@pytest.mark.parametrize("words", TOGETHER.values(), ids=TOGETHER)
@pytest.mark.usefixtures("small_shards")
def test_every_verb_takes_them(
    model: Model, words: dict[str, Any], molgen_verbs: dict[str, Any]
) -> None:
    for name, (purpose, verb) in molgen_verbs.items():
        found: Result[Any] = verb(**words)
        given = {"gamma": 1.0, **words} if name == "search" else words
        assert found.request.settings == model.settings(purpose, **given), name


@pytest.fixture(scope="module")
def molgen_verbs(model: Model) -> dict[str, tuple[str, Callable[..., Result[Any]]]]:
    few: dict[str, Any] = {"allow_training_molecules": True}
    return {
        "sample": ("sampling", lambda **w: model.sample(2, GOALS, **w)),
        "design": ("design", lambda **w: molgen.design(model, GOALS, 1, max_draws=8, **few, **w)),
        "search": ("design", lambda **w: molgen.search(model, GOALS, 1, method="best-of-n",
                                                        nfe=20, **few, **w)),
        "optimize": ("sampling", lambda **w: molgen.optimize(model, "OCCO", GOALS, attempts=1,
                                                             **w)),
    }  # fmt: skip


@pytest.mark.parametrize("verb", [getattr(molgen, name) for name in FACE], ids=FACE)
def test_signatures_name_every_setting(verb: Callable[..., Any]) -> None:
    names = inspect.signature(verb).parameters
    for name in HELP:
        assert names[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert f"{name}: " in str(verb.__doc__)
    assert not [p for p in names.values() if p.kind is p.VAR_KEYWORD]


@pytest.mark.parametrize("key", [key for key, option in OPTIONS.items() if option.method])
def test_methods_of_a_comparison_take_them(model: Model, key: str) -> None:
    option, word = OPTIONS[key], WORDS[key]
    further: dict[str, Any] = {"remask": "cap"} if key == "weights" else {}
    words = "".join(f"; {name}={value}" for name, value in {**further, key: word}.items())
    (written,) = methods_of(f"X{words}", "tiny")
    for value in (word, option.read(word)):
        (given,) = methods_of({"X": {**further, option.name: value}}, "tiny")
        assert settings_for(model, given, 2.0, 9) == settings_for(model, written, 2.0, 9)
    with pytest.raises(MolgenError, match="method X: 'colour' is unknown, expected one of remask"):
        methods_of({"X": {"colour": 1}}, "tiny")


def test_a_strategy_alone_has_uniform_weights(model: Model) -> None:
    own = model.settings(remask="cap", remask_weights="sharpened")
    assert model.settings_of({"remask": Rescale(0.2)}, base=own).remask_weights is None
    assert model.settings_of({"temperature": 0.5}, base=own).remask_weights is not None
    assert model.settings_of({"eta": 0.3}, base=own).remask == Cap(0.3)
    assert Settings(remask="cap", gamma="1..2").gamma == Linear(1.0, 2.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "gpu"}, r"device 'gpu' cannot be used, expected cpu"),
        ({"steps": True}, "steps is True, expected a whole number from 1"),
        ({"steps": "10"}, "steps is '10', expected a whole number from 1"),
        ({"temperature": "warm"}, "temperature is 'warm', expected a number"),
        ({"temperature": None}, "temperature is None, expected a number"),
        ({"gamma": [1]}, r"gamma is \[1\], expected a number"),
        ({"remask": 5}, "remask is 5, expected words"),
        ({"remask": Rescale(0.1), "eta": 0.2}, "eta is 0.2, expected remask in words"),
        ({"preset": {"sampling": {"steps": "x"}}}, "sampling steps is 'x', expected a number"),
    ],
)
def test_other_values_are_refused(model: Model, given: dict[str, Any], message: str) -> None:
    with pytest.raises(MolgenError, match=message):
        model.settings(**given)

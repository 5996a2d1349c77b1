from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from molgen.diffusion import plan
from molgen.diffusion.token_weights import Confidence, Sharpened
from molgen.diffusion.unmasking_order import EntropyBounded, LargestMargin, Stable
from molgen.guidance.kernels import Linear
from molgen.guidance.spec import ClassifierBased, ClassifierFree
from molgen.sampling import words
from molgen.sampling.corrector import Corrector
from molgen.sampling.retry import Adaptive, Remask, Restart
from molgen.sampling.settings import OPTIONS, Settings, from_words, to_words
from molgen.sampling.words import strategy, token_weights


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ancestral", plan.Ancestral()),
        ("cap", plan.Cap()),
        ("cap:eta=0.3", plan.Cap(0.3)),
        ("rescale:eta=.2,cap=.5", plan.Rescale(0.2, 0.5)),
        ("rescale: cap = .5 , eta = 1e-2", plan.Rescale(0.01, 0.5)),
        ("loop:t_on=.55,t_off=.05", plan.Loop(0.55, 0.05)),
        ("loop:alpha_on=.8,eta=.04", plan.Loop(eta=0.04, alpha_on=0.8)),
        ("forward-backward", plan.ForwardBackward()),
        ("dfm:beta=2.5", plan.DiscreteFlow(2.5)),
        ("psi:kappa=.9", plan.Psi(0.9)),
        ("switch", plan.Switch()),
        ("switch:t_switch=.3", plan.Switch(0.3)),
        ("switch:then=cap,eta=.1", plan.Switch(0.5, plan.Cap(0.1))),
        ("switch:t_switch=.2,then=psi,kappa=.7", plan.Switch(0.2, plan.Psi(0.7))),
        ("switch:then=forward-backward", plan.Switch(0.5, plan.ForwardBackward())),
        ("loop:", plan.Loop()),
    ],
)
def test_words_become_strategies(text: str, expected: plan.Strategy) -> None:
    assert strategy(text) == expected


def test_eta_beside_the_words() -> None:
    assert strategy("cap", 0.4) == plan.Cap(0.4)
    assert strategy("cap:eta=.1", 0.4) == plan.Cap(0.1), "the text has priority"
    assert strategy("loop:t_on=.6", 0.4) == plan.Loop(t_on=0.6, eta=0.4)
    assert strategy("switch:then=cap", 0.4) == plan.Switch(0.5, plan.Cap(0.4))
    assert strategy("rescale", 0.0) == plan.Rescale(0.0)


@pytest.mark.parametrize(
    ("text", "eta", "message"),
    [
        (
            "rescal",
            None,
            "strategy is 'rescal', expected one of ancestral, cap.*; did you mean rescale",
        ),
        ("", None, "strategy is '', expected one of ancestral"),
        ("xyz:eta=1", None, "strategy is 'xyz', expected one of"),
        ("cap:et=1", None, "cap has no parameter 'et=1', expected eta as key=value"),
        ("cap:eta", None, "cap has no parameter 'eta', expected eta as key=value"),
        ("ancestral:eta=.1", None, "ancestral has no parameter 'eta=.1', expected none"),
        ("cap:eta=high", None, "eta is 'high', expected a number"),
        ("cap:eta=1.1", None, r"eta is 1.1, expected a number in \[0, 1\]"),
        ("cap:eta=nan", None, r"eta is nan, expected a number in \[0, 1\]"),
        ("dfm:beta=-1", None, r"beta is -1, expected a number in \[0, inf\]"),
        ("loop:t_on=2", None, "t_on is 2, expected"),
        ("switch:t_switch=3", None, "t_switch is 3, expected"),
        ("switch:then=loop", None, "switch cannot switch to loop"),
        ("switch:then=switch", None, "switch cannot switch to switch"),
        ("switch:then=nothing", None, "strategy is 'nothing'"),
        ("switch:colour=1", None, "rescale has no parameter 'colour=1"),
        ("rescale", 2.0, r"eta is 2.0, expected a number in \[0, 1\]"),
        ("rescale", float("nan"), "eta is nan"),
        ("ancestral", 0.1, "ancestral takes no eta"),
        ("psi", 0.1, "psi takes no eta"),
    ],
)
def test_other_words_are_refused(text: str, eta: float | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        strategy(text, eta)


def test_weights() -> None:
    assert token_weights("uniform") is None
    assert token_weights("confidence") == Confidence()
    assert token_weights("confidence:normalise=mean") == Confidence("mean")
    assert token_weights("sharpened") == Sharpened()
    assert token_weights("sharpened:tau=2.5") == Sharpened(2.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("best", "weights is 'best', expected one of uniform, confidence, sharpened"),
        ("uniform:tau=1", "uniform has no parameter 'tau=1', expected none"),
        ("sharpened:t=1", "sharpened has no parameter 't=1', expected tau, normalise"),
        ("sharpened:tau=0", "tau is 0.0, expected more than 0"),
        ("sharpened:tau=-1", "tau is -1, expected"),
        ("sharpened:tau=nan", "tau is nan, expected"),
        ("confidence:normalise=max", "normalise must be 'sum' or 'mean', got 'max'"),
    ],
)
def test_other_weights_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        token_weights(text)


def test_recommended_settings() -> None:
    assert from_words({}).remask == plan.Ancestral()
    chosen = from_words({"remask": "cap:eta=.2", "weights": "sharpened", "steps": 64, "gamma": 2})
    assert chosen.remask == plan.Cap(0.2)
    assert chosen.remask_weights == Sharpened()
    assert (chosen.steps, chosen.gamma, chosen.shaping.temperature) == (64, 2, 1.0)


def test_guidance_in_words() -> None:
    assert words.guidance("cfg") == ClassifierFree()
    assert words.guidance("cfg:mix=posterior") == ClassifierFree("posterior")
    exact = words.guidance("cbg:scores=exact,tilt_mask=1,guide=out/guide")
    assert exact == ClassifierBased("exact", "out/guide", tilt_mask=True)
    assert words.guidance("fudge:cfg=2") == ClassifierBased(cfg=2.0)
    with pytest.raises(ValueError, match="guidance is 'dps'"):
        words.guidance("dps")
    with pytest.raises(ValueError, match="no parameter 'scores=exact'"):
        words.guidance("cfg:scores=exact")
    with pytest.raises(ValueError, match="scores is 'guess'"):
        words.guidance("cbg:scores=guess")
    with pytest.raises(ValueError, match="mix is 'half'"):
        words.guidance("cfg:mix=half")


def test_strength_in_words() -> None:
    assert words.gamma("2.5") == 2.5
    assert words.gamma("1..5") == Linear(1.0, 5.0)
    for wrong in ("", "..", "1..x", "inf", "0..nan"):
        with pytest.raises(ValueError, match="gamma is"):
            words.gamma(wrong)


def test_orders_and_retries_in_words() -> None:
    assert words.order("none") is None
    assert words.order("entropy-bounded:gamma=.2") == EntropyBounded(0.2)
    assert words.order("klass:forwards=3,confidence=.8") == Stable(0.8, forwards=3)
    assert words.adapt("none") is None
    assert words.adapt("restart:budget=64") == Adaptive(budget=64, retry=Restart())
    found = words.adapt("remask:share=.3,by=psi,rising=1,until=valid+novel")
    assert found == Adaptive(("valid", "novel"), retry=Remask(0.3, "psi", rising=True))
    made = from_words({"adapt": "restart:budget=9", "order": "margin", "corrector": "likeliest"})
    assert (made.adapt, made.order) == (Adaptive(budget=9), LargestMargin())
    assert made.corrector == Corrector()


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (words.order, "best", "order is 'best', expected one of none, random"),
        (words.order, "klass:gamma=1", "klass has no parameter 'gamma=1'"),
        (words.adapt, "again", "adapt is 'again', expected one of none, restart, remask"),
        (words.adapt, "restart:share=.3", "restart has no parameter 'share=.3'"),
        (words.adapt, "restart:budget=0", "budget is 0, expected a whole number"),
        (words.adapt, "restart:budget=1.5", r"budget is 1\.5, expected a whole number"),
        (words.adapt, "restart:until=good", "until is .*'good'"),
        (words.adapt, "remask:by=luck", "by is 'luck'"),
    ],
)
def test_invalid_orders_and_retries_are_refused(
    read: Callable[[str], object], text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(text)


def test_an_order_replaces_a_recommended_plan() -> None:
    own = from_words({"remask": "rescale:eta=0.1", "weights": "sharpened", "steps": 9})
    found = own.changed(order=words.order("entropy"), gamma=2.0)
    assert (found.remask, found.remask_weights) == (plan.Ancestral(), None)
    assert (found.steps, found.gamma, found.order) == (9, 2.0, words.order("entropy"))
    asked = own.changed(order=words.order("entropy"), remask=own.remask)
    assert asked.remask == own.remask  # and is refused when it is resolved
    assert own.changed(order=None).remask == own.remask
    again = found.changed(remask=own.remask)
    assert (again.remask, again.order) == (own.remask, None)
    with pytest.raises(ValueError, match=r"settings: .*'stepps'"):
        own.changed(stepps=3)


WRITTEN: list[dict[str, Any]] = [
    {},
    {"remask": "rescale:eta=0.1", "weights": "sharpened:tau=0.75", "steps": 64, "gamma": "1..3"},
    {"remask": "switch:t_switch=0.3,then=cap,eta=0.02", "temperature": 0.9, "top_p": 0.95},
    {"remask": "loop:t_on=0.6,t_off=0.1,eta=0.03", "weights": "quality:gamma=2.0", "gamma": 2.0},
    {"guidance": "cbg:scores=exact,tilt_mask=1,clamp=3.0", "context": "hide:share=0.4"},
    {"order": "klass:forwards=3,confidence=0.8", "grammar": "smiles:depth=4", "dtype": "fp64"},
    {"adapt": "remask:share=0.3,rising=1,until=valid+novel,budget=64", "conditions": "profile"},
    {"adapt": "restart:budget=9", "corrector": "likeliest:every=4", "batch_size": 7},
    {"remask": "forward-backward", "time": "continuous", "blocks": 4},
]


@pytest.mark.parametrize("written", WRITTEN)
def test_settings_are_read_back(written: dict[str, Any]) -> None:
    settings = from_words(written)
    again = to_words(settings)
    assert from_words(again) == settings
    assert list(again) == list(OPTIONS)
    assert {key for key in again if again[key] != OPTIONS[key].default} == set(written)


def test_every_setting_is_in_the_table() -> None:
    unwritten = {"shaping", "goal_weights"}  # its fields are settings; weights belong to goals
    names = {f.name for f in dataclasses.fields(Settings)} - unwritten
    assert {option.name for option in OPTIONS.values()} >= names
    with pytest.raises(ValueError, match="'heat' is unknown"):
        from_words({"heat": 1})
    with pytest.raises(ValueError, match=r"gamma is .*lambda"):
        to_words(from_words({}).changed(gamma=lambda alpha: alpha))


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"temperature": -1}, "temperature is -1"),
        ({"remask_weights": token_weights("sharpened")}, "weights is sharpened"),
        ({"remask": strategy("loop"), "steps": 2}, "loop needs at least 3 steps"),
        ({"dtype": "fp8"}, "dtype is 'fp8'"),
    ],
)
def test_incompatible_settings_are_refused_at_once(changes: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        from_words({}).changed(**changes)

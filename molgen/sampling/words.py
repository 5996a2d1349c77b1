"""Words <-> objects: how strategies, weights, orders and the like are written.

A strategy is written as on the command line, ``rescale`` or ``loop:t_on=.55,t_off=.05``.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from molgen.diffusion.plan import STRATEGIES, Strategy, Switch
from molgen.diffusion.token_weights import WEIGHTS, TokenWeights
from molgen.diffusion.unmasking_order import ORDERS, Order
from molgen.guidance.context_contrast import CONTEXTS, Context
from molgen.guidance.kernels import Linear, Strength
from molgen.guidance.smiles_grammar import GRAMMARS, SmilesGrammar
from molgen.guidance.spec import ClassifierBased, ClassifierFree, GuidanceSpec
from molgen.sampling.corrector import CORRECTORS, Corrector
from molgen.sampling.retry import Adaptive, Remask, Restart, Retry

# parameters that are words; the others are numbers
WORDS = ("then", "normalise", "mix", "scores", "classifier", "by", "until")
SWITCHES = ("tilt_mask", "guided_remasking", "rising")  # 0 or 1
COUNTS = ("every", "rounds", "at_once", "forwards", "budget", "depth", "labels")  # whole numbers
# numbers that may exceed 1
UNBOUNDED = ("beta", "tau", "clamp", "cfg", "gamma", "kl", "strength", *COUNTS)
SHARED = ("budget", "until", "probability")
"""Parameters that every retry has."""
FORMER = {"guide": "classifier", "odds": "probability"}
"""Parameters by the names they had, which are still read."""
RETRIES: dict[str, type[Retry]] = {"restart": Restart, "remask": Remask}
OPTIONAL_ORDERS: dict[str, type[Order] | None] = {"none": None, **ORDERS}
GUIDANCE: dict[str, type[ClassifierFree | ClassifierBased]] = {
    "cfg": ClassifierFree,
    "cbg": ClassifierBased,
    "fudge": ClassifierBased,  # its name where tokens are written from left to right
}


def strategy(text: str, eta: float | None = None) -> Strategy:
    """Read ``NAME`` or ``NAME:key=value,...``.

    Args:
        text: the strategy; ``switch`` takes the strategy it switches to as ``then=NAME``.
        eta: its ``eta``, unless the text gives one.

    Raises:
        ValueError: naming what came and what is allowed.
    """
    name, _, rest = text.partition(":")
    if name not in STRATEGIES:
        close = difflib.get_close_matches(name, STRATEGIES, 1)
        hint = f"did you mean {close[0]}? Allowed: " if close else "expected one of "
        raise ValueError(f"remask strategy is {name!r}; {hint}{', '.join(STRATEGIES)}")
    kind: Any = STRATEGIES[name]
    allowed = [f.name for f in dataclasses.fields(kind)]
    # what a switch does not know itself belongs to the strategy it switches to
    values = _parameters(name, rest, allowed if kind is not Switch else None)
    if eta is not None and not 0 <= eta <= 1:
        raise ValueError(f"eta is {eta}, expected a number in [0, 1]")
    if kind is Switch:
        return _switch(values, eta)
    if eta is not None and "eta" in allowed:
        values.setdefault("eta", eta)
    elif eta is not None:
        raise ValueError(f"{name} takes no eta")
    return kind(**values)  # type: ignore[no-any-return]


def _switch(values: dict[str, Any], eta: float | None) -> Switch:
    """Read a switch: what is not its own belongs to the strategy it switches to."""
    t_switch = values.pop("t_switch", 0.5)
    then = values.pop("then", "rescale")
    rest = ",".join(f"{key}={value}" for key, value in values.items())
    inner: Any = strategy(f"{then}:{rest}", eta)
    if then in ("switch", "loop"):
        raise ValueError(f"switch cannot switch to {then}")
    return Switch(t_switch, inner)


def _parameters(name: str, text: str, allowed: list[str] | None) -> dict[str, Any]:
    """Read ``key=value,...``; any key will do where ``allowed`` is None."""
    values: dict[str, Any] = {}
    for pair in filter(None, text.split(",")):
        key, equals, value = (part.strip() for part in pair.partition("="))
        key = FORMER.get(key, key)
        if not equals or (allowed is not None and key not in allowed):
            raise ValueError(
                f"{name} has no parameter {pair!r}, expected {', '.join(allowed or []) or 'none'}"
                " as key=value"
            )
        values[key] = value if key in WORDS else _number(key, value)
        if key in SWITCHES:
            values[key] = bool(values[key])
        if key in COUNTS and values[key] == int(values[key]):
            values[key] = int(values[key])
    return values


def _number(key: str, text: str) -> float:
    """Read a number in [0, 1], or of at least 0 where the parameter has no upper end."""
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"{key} is {text!r}, expected a number") from error
    limit = float("inf") if key in UNBOUNDED else 1.0
    if not 0 <= value <= limit:
        raise ValueError(f"{key} is {text}, expected a number in [0, {limit:g}]")
    return value


def token_weights(text: str) -> TokenWeights | None:
    """Read ``uniform``, ``confidence`` or ``sharpened``, or ``NAME:key=value,...``.

    Raises:
        ValueError: naming what came and what is allowed.
    """
    return _optional("weights", text, WEIGHTS)  # type: ignore[no-any-return]


def context(text: str) -> Context | None:
    """Read ``none`` or ``hide:share=.3,strength=2``.

    Raises:
        ValueError: naming what came and what is allowed.
    """
    return _optional("context", text, CONTEXTS)  # type: ignore[no-any-return]


def corrector(text: str) -> Corrector | None:
    """Read ``none`` or ``likeliest``, or ``likeliest:every=8,rounds=1``.

    Raises:
        ValueError: naming what came and what is allowed.
    """
    return _optional("corrector", text, CORRECTORS)  # type: ignore[no-any-return]


def order(text: str) -> Order | None:
    """Read ``none`` or an order such as ``entropy-bounded:gamma=.1``.

    Raises:
        ValueError: naming what came and what is allowed.
    """
    return _optional("order", text, OPTIONAL_ORDERS)  # type: ignore[no-any-return]


def grammar(text: str) -> SmilesGrammar | None:
    """Read ``none``, ``smiles`` or ``smiles:depth=5,labels=5``.

    Raises:
        ValueError: naming what came and what is allowed.
    """
    return _optional("grammar", text, GRAMMARS)  # type: ignore[no-any-return]


def adapt(text: str) -> Adaptive | None:
    """Read ``none`` or ``RETRY:key=value,...``, such as ``remask:share=.4,budget=128``.

    Keys are the retry's own, ``budget``, ``odds``, and ``until`` with what a row has to be,
    joined by ``+``.

    Raises:
        ValueError: naming what came and what is allowed.
    """
    name, _, rest = text.partition(":")
    if name == "none" and not rest:
        return None
    if name not in RETRIES:
        raise ValueError(f"adapt is {name!r}, expected one of none, {', '.join(RETRIES)}")
    kind: Any = RETRIES[name]
    own = [f.name for f in dataclasses.fields(kind)]
    values = _parameters(name, rest, [*own, *SHARED])
    shared: dict[str, Any] = {key: values.pop(key) for key in SHARED if key in values}
    if "until" in shared:
        shared["until"] = tuple(word.strip() for word in shared["until"].split("+"))
    return Adaptive(retry=kind(**values), **shared)


def _optional(what: str, text: str, kinds: Mapping[str, Any]) -> Any:
    """Read ``NAME:key=value,...`` where a name may stand for nothing."""
    name, _, rest = text.partition(":")
    if name not in kinds:
        raise ValueError(f"{what} is {name!r}, expected one of {', '.join(kinds)}")
    kind = kinds[name]
    allowed = [f.name for f in dataclasses.fields(kind)] if kind else []
    values = _parameters(name, rest, allowed)
    return kind(**values) if kind else None


def guidance(text: str) -> GuidanceSpec:
    """Read ``cfg``, ``cbg`` or ``fudge``, or ``NAME:key=value,...``.

    Raises:
        ValueError: naming what came and what is allowed.
    """
    name, _, rest = text.partition(":")
    if name not in GUIDANCE:
        raise ValueError(f"guidance is {name!r}, expected one of {', '.join(GUIDANCE)}")
    kind = GUIDANCE[name]
    return kind(**_parameters(name, rest, [f.name for f in dataclasses.fields(kind)]))


def gamma(text: str) -> Strength:
    """Read a strength: a number, or ``START..END``, a line from all noise to none.

    Raises:
        ValueError: naming what came and what is allowed.
    """
    start, dots, end = text.partition("..")
    try:
        found = [float(number) for number in ((start, end) if dots else (text,))]
    except ValueError as error:
        raise ValueError(f"gamma is {text!r}, expected a number or START..END") from error
    if not all(map(math.isfinite, found)):
        raise ValueError(f"gamma is {text!r}, expected finite numbers")
    return Linear(*found) if dots else found[0]


def write_parameters(name: str, value: Any, apart: Sequence[str] = ()) -> str:
    """Return ``NAME:key=value,...`` with the parameters of an object that are not usual."""
    usual = {f.name: f for f in dataclasses.fields(value)}
    parts = [
        f"{key}={_written(found)}"
        for key, f in usual.items()
        if key not in apart and (found := getattr(value, key)) != f.default
    ]
    return f"{name}:{','.join(parts)}" if parts else name


def write(value: Any, kinds: Mapping[str, Any]) -> str:
    """Return the words that an object is read from.

    Args:
        value: the object, or None.
        kinds: classes by name, None for the name that stands for nothing.
    """
    kind = None if value is None else type(value)
    name = next(name for name, known in kinds.items() if known is kind)
    return name if value is None else write_parameters(name, value)


def write_strategy(value: Strategy) -> str:
    """Return the words that :func:`strategy` reads."""
    if not isinstance(value, Switch):
        return write(value, STRATEGIES)
    then, _, rest = write(value.then, STRATEGIES).partition(":")
    own = f"switch:t_switch={value.t_switch!r},then={then}"
    return f"{own},{rest}" if rest else own


def write_adapt(value: Adaptive | None) -> str:
    """Return the words that :func:`adapt` reads."""
    if value is None:
        return "none"
    text = write(value.retry, RETRIES)
    shared = write_parameters("", value, ("retry",)).removeprefix(":")
    return f"{text}{',' if ':' in text else ':'}{shared}" if shared else text


def write_gamma(value: Strength) -> float | str:
    """Return what :func:`gamma` reads.

    Raises:
        ValueError: if the strength is a function that cannot be written.
    """
    if isinstance(value, Linear):
        return f"{value.start!r}..{value.end!r}"
    if callable(value):
        raise ValueError(f"gamma is {value!r}, expected a number or a line, which can be written")
    return value


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return repr(value) if isinstance(value, float) else str(value)

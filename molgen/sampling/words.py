"""Text forms of settings: readers and writers of strategies, weights, orders and the like.

The form is that of the command line, ``rescale`` or ``loop:t_on=.55,t_off=.05``. Its parameters are
the fields of a class, and the type of a field is that of its parameter: ``bool`` (0 or 1), ``int``,
``float`` (in [0, 1], or without an upper limit by its metadata) or, for any other type, a word.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from molgen.diffusion.plan import STRATEGIES, Strategy, Switch
from molgen.diffusion.token_weights import WEIGHTS, TokenWeights
from molgen.diffusion.unmasking_order import ORDERS, Order
from molgen.errors import MolgenError
from molgen.guidance.context_contrast import CONTEXTS, Context
from molgen.guidance.kernels import Linear, Strength
from molgen.guidance.smiles_grammar import GRAMMARS, SmilesGrammar
from molgen.guidance.spec import ClassifierBased, ClassifierFree, GuidanceSpec
from molgen.sampling.corrector import CORRECTORS, Corrector
from molgen.sampling.retry import Adaptive, Remask, Restart, Retry
from molgen.utils.hints import hint, one_of

DIGITS = 9  # of a whole number
SHARED = [f for f in dataclasses.fields(Adaptive) if f.name != "retry"]
"""Parameters of every retry."""
FORMER = {"guide": "classifier", "odds": "probability"}
"""Former names of parameters, which are still read."""
RETRIES: dict[str, type[Retry]] = {"restart": Restart, "remask": Remask}
OPTIONAL_ORDERS: dict[str, type[Order] | None] = {"none": None, **ORDERS}
GUIDANCE: dict[str, type[ClassifierFree | ClassifierBased]] = {
    "cfg": ClassifierFree,
    "cbg": ClassifierBased,
    "fudge": ClassifierBased,  # the name for autoregressive networks
}


def strategy(text: str, eta: float | None = None) -> Strategy:
    """Read ``NAME`` or ``NAME:key=value,...``.

    Args:
        text: the strategy; ``switch`` takes a second strategy as ``then=NAME``, with its
            parameters.
        eta: its ``eta``, if the text has none.

    Raises:
        MolgenError: naming the value and what is allowed.
    """
    name, _, rest = text.partition(":")
    if name not in STRATEGIES:
        raise MolgenError(f"remask strategy is {name!r}, {one_of(name, STRATEGIES)}")
    if eta is not None and not 0 <= eta <= 1:
        raise MolgenError(f"eta is {eta}, expected a number in [0, 1]")
    kind: Any = STRATEGIES[name]
    if kind is Switch:
        return _switch(rest, eta)
    allowed = dataclasses.fields(kind)
    values = _parameters(name, rest, allowed)
    if eta is not None and "eta" in {f.name for f in allowed}:
        values.setdefault("eta", eta)
    elif eta is not None:
        raise MolgenError(f"{name} takes no eta")
    return kind(**values)  # type: ignore[no-any-return]


def _switch(text: str, eta: float | None) -> Switch:
    """Read the parameters of a switch; all others belong to the strategy that it switches to."""
    own: list[str] = []
    rest: list[str] = []
    names = [f.name for f in dataclasses.fields(Switch)]
    for pair in text.split(","):
        (own if pair.partition("=")[0].strip() in names else rest).append(pair)
    values = _parameters("switch", ",".join(own), dataclasses.fields(Switch))
    then = values.pop("then", "rescale")
    inner: Any = strategy(f"{then}:{','.join(rest)}", eta)
    if then in ("switch", "loop"):
        raise MolgenError(f"switch cannot switch to {then}")
    return Switch(then=inner, **values)


def _parameters(name: str, text: str, allowed: Iterable[dataclasses.Field[Any]]) -> dict[str, Any]:
    """Read ``key=value,...``, the values of some of the allowed fields."""
    fields = {f.name: f for f in allowed}
    values: dict[str, Any] = {}
    for pair in filter(None, text.split(",")):
        key, equals, value = (part.strip() for part in pair.partition("="))
        key = FORMER.get(key, key)
        if not equals or key not in fields:
            raise MolgenError(
                f"{name} has no parameter {pair!r}, expected {', '.join(fields) or 'none'}"
                f" as key=value{hint(key, fields)}"
            )
        values[key] = _value(fields[key], value)
    return values


def _value(field: dataclasses.Field[Any], text: str) -> Any:
    """Read the value of a field by its type."""
    if field.type not in ("bool", "int", "float"):
        return text
    try:
        value = float(text)
    except ValueError as error:
        raise MolgenError(f"{field.name} is {text!r}, expected a number") from error
    limit = math.inf if field.type == "int" else field.metadata.get("most", 1.0)
    if not 0 <= value <= limit:
        raise MolgenError(f"{field.name} is {text}, expected a number in [0, {limit:g}]")
    if field.type == "bool":
        return bool(value)
    return int(value) if field.type == "int" and value.is_integer() else value


def blocks(text: str) -> int | None:
    """Read ``none`` or the tokens of a block.

    Raises:
        MolgenError: naming the value and what is allowed.
    """
    if text == "none":
        return None
    if not (text.isdecimal() and len(text) < DIGITS and int(text)):
        raise MolgenError(f"blocks is {text!r}, expected none or a whole number of at least 1")
    return int(text)


def token_weights(text: str) -> TokenWeights | None:
    """Read a name of :data:`WEIGHTS`, such as ``uniform``, or ``NAME:key=value,...``.

    Raises:
        MolgenError: naming the value and what is allowed.
    """
    return _optional("weights", text, WEIGHTS)  # type: ignore[no-any-return]


def context(text: str) -> Context | None:
    """Read ``none`` or ``hide:share=.3,strength=2``.

    Raises:
        MolgenError: naming the value and what is allowed.
    """
    return _optional("context", text, CONTEXTS)  # type: ignore[no-any-return]


def corrector(text: str) -> Corrector | None:
    """Read ``none`` or ``likeliest``, or ``likeliest:every=8,rounds=1``.

    Raises:
        MolgenError: naming the value and what is allowed.
    """
    return _optional("corrector", text, CORRECTORS)  # type: ignore[no-any-return]


def order(text: str) -> Order | None:
    """Read ``none`` or an order such as ``entropy-bounded:gamma=.1``.

    Raises:
        MolgenError: naming the value and what is allowed.
    """
    return _optional("order", text, OPTIONAL_ORDERS)  # type: ignore[no-any-return]


def grammar(text: str) -> SmilesGrammar | None:
    """Read ``none``, ``smiles``, ``valence`` or ``smiles:depth=5,labels=5``.

    Raises:
        MolgenError: naming the value and what is allowed.
    """
    return _optional("grammar", text, GRAMMARS)  # type: ignore[no-any-return]


def adapt(text: str) -> Adaptive | None:
    """Read ``none`` or ``RETRY:key=value,...``, such as ``remask:share=.4,budget=128``.

    Keys are those of the retry, ``budget``, ``probability``, and ``until`` with requirements joined
    by ``+``.

    Raises:
        MolgenError: naming the value and what is allowed.
    """
    name, _, rest = text.partition(":")
    if name == "none" and not rest:
        return None
    if name not in RETRIES:
        raise MolgenError(f"adapt is {name!r}, {one_of(name, ['none', *RETRIES])}")
    kind: Any = RETRIES[name]
    values = _parameters(name, rest, [*dataclasses.fields(kind), *SHARED])
    shared = {f.name: values.pop(f.name) for f in SHARED if f.name in values}
    if "until" in shared:
        shared["until"] = tuple(word.strip() for word in shared["until"].split("+"))
    return Adaptive(retry=kind(**values), **shared)


def _optional(setting: str, text: str, kinds: Mapping[str, Any]) -> Any:
    """Read ``NAME:key=value,...`` where a name may mean None."""
    name, _, rest = text.partition(":")
    if name not in kinds:
        raise MolgenError(f"{setting} is {name!r}, {one_of(name, kinds)}")
    kind = kinds[name]
    values = _parameters(name, rest, dataclasses.fields(kind) if kind else ())
    return kind(**values) if kind else None


def guidance(text: str) -> GuidanceSpec:
    """Read ``cfg``, ``cbg`` or ``fudge``, or ``NAME:key=value,...``.

    Raises:
        MolgenError: naming the value and what is allowed.
    """
    name, _, rest = text.partition(":")
    if name not in GUIDANCE:
        raise MolgenError(f"guidance is {name!r}, {one_of(name, GUIDANCE)}")
    kind = GUIDANCE[name]
    return kind(**_parameters(name, rest, dataclasses.fields(kind)))


def gamma(text: str) -> Strength:
    """Read a strength: a number, or ``START..END``, linear from all noise to none.

    Raises:
        MolgenError: naming the value and what is allowed.
    """
    start, dots, end = text.partition("..")
    try:
        found = [float(number) for number in ((start, end) if dots else (text,))]
    except ValueError as error:
        raise MolgenError(f"gamma is {text!r}, expected a number or START..END") from error
    if not all(map(math.isfinite, found)):
        raise MolgenError(f"gamma is {text!r}, expected finite numbers")
    return Linear(*found) if dots else found[0]


def write_parameters(name: str, value: Any, apart: Sequence[str] = ()) -> str:
    """Return ``NAME:key=value,...`` with the parameters that are not default."""
    parts = [
        f"{f.name}={_written(found)}"
        for f in dataclasses.fields(value)
        if f.name not in apart and (found := getattr(value, f.name)) != f.default
    ]
    return f"{name}:{','.join(parts)}" if parts else name


def write(value: Any, kinds: Mapping[str, Any]) -> str:
    """Return the text form of an object.

    Args:
        value: the object, or None.
        kinds: classes by name, None for the name that means None.
    """
    kind = None if value is None else type(value)
    name = next(name for name, known in kinds.items() if known is kind)
    return name if value is None else write_parameters(name, value)


def write_strategy(value: Strategy) -> str:
    """Return the text form for :func:`strategy`."""
    if not isinstance(value, Switch):
        return write(value, STRATEGIES)
    then, _, rest = write(value.then, STRATEGIES).partition(":")
    own = f"switch:t_switch={value.t_switch!r},then={then}"
    return f"{own},{rest}" if rest else own


def write_adapt(value: Adaptive | None) -> str:
    """Return the text form for :func:`adapt`."""
    if value is None:
        return "none"
    text = write(value.retry, RETRIES)
    shared = write_parameters("", value, ("retry",)).removeprefix(":")
    return f"{text}{',' if ':' in text else ':'}{shared}" if shared else text


def write_blocks(value: int | None) -> int | str:
    """Return the text form for :func:`blocks`."""
    return "none" if value is None else value


def write_gamma(value: Strength) -> float | str:
    """Return the text form for :func:`gamma`.

    Raises:
        MolgenError: if the strength is a function without a text form.
    """
    if isinstance(value, Linear):
        return f"{value.start!r}..{value.end!r}"
    if callable(value):
        raise MolgenError(f"gamma is {value!r}, expected a number or a Linear strength")
    return value


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return repr(value) if isinstance(value, float) else str(value)

"""Settings as keyword arguments: the same words as on the command line, or objects.

    @with_settings
    def draw(n: int, **given: Unpack[SettingWords]) -> ...

The decorated function has every setting as a keyword with its help text, for ``help()`` and
completion, and a misspelt one is a ``TypeError``, as Python's own. :class:`SettingWords` lists them
for type checkers and editors, which cannot run code; a test compares it with the table of settings
(:data:`molgen.sampling.settings.OPTIONS`), from which all else is derived.
"""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar, cast

from molgen.errors import MolgenError
from molgen.sampling.settings import METHOD, OPTIONS, Settings, from_words, read_value, to_words
from molgen.utils.hints import hint

if TYPE_CHECKING:
    from molgen.diffusion.plan import Strategy
    from molgen.diffusion.token_weights import TokenWeights
    from molgen.diffusion.unmasking_order import Order
    from molgen.guidance.context_contrast import Context
    from molgen.guidance.kernels import Strength
    from molgen.guidance.smiles_grammar import SmilesGrammar
    from molgen.guidance.spec import GuidanceSpec
    from molgen.sampling.corrector import Corrector
    from molgen.sampling.retry import Adaptive

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")
UNGUIDED = "none"
"""The word of ``guidance`` for draws that no target guides."""


class SettingWords(TypedDict, total=False):
    """The settings of sampling as keyword arguments; without one, as the model recommends."""

    remask: str | Strategy
    steps: int
    time: str
    blocks: str | int | None
    remask_weights: str | TokenWeights | None
    gamma: float | str | Strength
    guidance: str | GuidanceSpec
    context: str | Context | None
    corrector: str | Corrector | None
    order: str | Order | None
    grammar: str | SmilesGrammar | None
    joint: str
    adapt: str | Adaptive | None
    conditions: str
    batch_size: int
    device: str
    dtype: str
    temperature: float
    top_p: float
    min_p: float
    goal_weights: Mapping[str, float]
    eta: float
    preset: str | Path | Mapping[str, Any]


HELP = {option.name: option.help for option in OPTIONS.values()} | {
    "goal_weights": "weights of the targets in the guidance; only their proportions matter",
    "eta": "strength of remasking, in [0, 1]",
    "preset": "a file of `molgen tune`, or its content, to start from",
}
"""The help text of each keyword."""


class _Recommended:
    """The default of a setting in a signature."""

    def __repr__(self) -> str:
        return "recommended"


RECOMMENDED = _Recommended()


def with_settings(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
    """Give a function that takes ``**given: Unpack[SettingWords]`` the settings by name.

    The line of its docstring that begins with ``**given:`` is replaced by one for each setting.
    """
    plain = inspect.signature(function)
    own = [p for p in plain.parameters.values() if p.kind is not p.VAR_KEYWORD]
    kinds = SettingWords.__annotations__
    further = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=RECOMMENDED,
            annotation=getattr(kinds[name], "__forward_arg__", kinds[name]),
        )
        for name in HELP
        if name not in plain.parameters
    ]
    names = [parameter.name for parameter in (*own, *further)]

    @functools.wraps(function)
    def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        for name in kwargs:
            if name not in names:
                wrong = f"{function.__name__}() got an unexpected keyword argument {name!r}"
                raise TypeError(f"{wrong}{hint(name, names)}")
        return function(*args, **kwargs)

    described = cast(Any, checked)
    described.__signature__ = plain.replace(parameters=[*own, *further])
    described.__doc__ = _documented(function.__doc__ or "", [p.name for p in further])
    return checked


def _documented(text: str, names: list[str]) -> str:
    """Return a docstring with a line for each setting."""

    def lines(match: re.Match[str]) -> str:
        indent = match[1]
        wrapped = [
            textwrap.fill(
                f"{name}: {HELP[name].rstrip('.')}.", 100, initial_indent=indent,
                subsequent_indent=f"{indent}    ", break_on_hyphens=False,
            )
            for name in names
        ]  # fmt: skip
        return "\n".join(wrapped) + "\n"

    return re.sub(r"^( *)\*\*given:.*\n(?:\1 +.*\n)*", lines, text, count=1, flags=re.MULTILINE)


def settings_from(
    given: Mapping[str, Any],
    recommended: Callable[[bool], dict[str, Any]],
    base: Settings | None = None,
) -> Settings:
    """Return recommended settings with those that a caller or the command line gives.

    A given remasking strategy has uniform remasking weights, as published, unless weights are given
    too. With a given method or preset, no preset tuned for the targets is used.

    Args:
        given: words or objects by name; see :class:`SettingWords`.
        recommended: returns the words of the recommendation, given whether a preset that was tuned
            for the targets may be used.
        base: settings to start from in place of the recommended ones.

    Raises:
        MolgenError: if a setting is unknown or out of range.
    """
    given = dict(given)
    eta, preset = given.pop("eta", None), given.pop("preset", None)
    chosen = {} if preset is None else _sampling(preset)
    if chosen and base is not None:
        raise MolgenError("preset and settings are both given, expected one of them")
    unguided = given.get("guidance") == UNGUIDED
    if unguided:
        del given["guidance"]
    changes = {name: read_value(name, value) for name, value in given.items() if name != "remask"}
    remask = given.get("remask")
    if remask is not None:
        changes.setdefault("remask_weights", None)
        changes["remask"] = _strategy(remask, eta)
    elif eta is not None:  # another eta for the recommended strategy
        own = to_words(base) if base is not None else recommended(False) | chosen
        word = re.sub(r"\beta=[^,]*,?", "", own.get("remask", "ancestral"))
        changes["remask"] = _strategy(word, eta)
    if base is None:
        method = unguided or set(METHOD) & set(changes)
        base = from_words(recommended(not (method or chosen)) | chosen)
    found = base.changed(**changes)
    if "device" in given:
        from molgen.utils.threads import check_device

        check_device(found.device)
    return found


def _strategy(remask: Any, eta: float | None) -> Any:
    """Return a remasking strategy, with another ``eta`` if one is given."""
    if isinstance(remask, str):
        from molgen.sampling.words import strategy

        return strategy(remask, eta)
    if eta is not None:
        raise MolgenError(f"eta is {eta}, expected remask in words: an object has its own")
    return read_value("remask", remask)


def _sampling(preset: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a preset, in words."""
    from molgen.sampling.preset_file import check_sampling, read_preset

    if isinstance(preset, str | Path):
        return dict(read_preset(preset)["sampling"])
    words = dict(preset.get("sampling", preset))
    check_sampling(words)
    return words

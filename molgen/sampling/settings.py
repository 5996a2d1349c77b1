"""Settings of a draw, as one object: recommended by a preset, changed by options or a caller.

The fields are the table of settings. Each defines its text form, reader, writer, help and the
values for tuning; presets, methods of comparisons, command-line options, :func:`from_words` and
:func:`to_words` are derived from it. A new setting is a new field, and a new parameter of a class
written as ``NAME:key=value`` is a new field of that class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

from molgen.errors import MolgenError
from molgen.guidance.shaping import Shaping
from molgen.guidance.spec import ClassifierFree, GuidanceSpec
from molgen.utils.arguments import check_fields, checked
from molgen.utils.hints import one_of
from molgen.utils.numbers import whole
from molgen.utils.options import COUNT, EITHER, WORDS, Option, number, options_of, words

if TYPE_CHECKING:
    from molgen.diffusion.continuous_plan import ContinuousPlan
    from molgen.diffusion.plan import Plan, Strategy
    from molgen.diffusion.token_weights import TokenWeights
    from molgen.diffusion.unmasking_order import Order
    from molgen.guidance.context_contrast import Context
    from molgen.guidance.kernels import Strength
    from molgen.guidance.smiles_grammar import SmilesGrammar
    from molgen.sampling.corrector import Corrector
    from molgen.sampling.retry import Adaptive

CONDITIONS = "asked", "profile"
JOINT = "none", "block"
GRID, CONTINUOUS = "grid", "continuous"
TIMES = GRID, CONTINUOUS
MOST = 10_000_000  # rows or steps of one run, limited by memory
KINDS = (
    *("Strategy", "TokenWeights", "Order", "Context", "Strength"),
    *("SmilesGrammar", "Corrector", "Adaptive"),
)
"""Types of fields that are imported where they are used."""
DTYPES = "auto", "bf16", "fp32", "fp64"
METHOD = (
    *("remask", "time", "remask_weights", "blocks"),
    *("guidance", "context", "corrector", "order", "joint"),
)
"""Settings that define the method: if one of them is given, presets tuned for a target are not
used, since their numbers belong to the method they were tuned with."""


def _reader(name: str) -> Callable[[Any], Any]:
    """Return a reader of :mod:`molgen.sampling.words`, imported at first use since it is slow."""

    def read(text: Any) -> Any:
        from molgen.sampling import words

        return getattr(words, name)(str(text))

    return read


def _writer(name: str, kinds: str = "") -> Callable[[Any], Any]:
    """Return a writer of :mod:`molgen.sampling.words`, likewise."""

    def write(value: Any) -> Any:
        from molgen.sampling import words

        more = (getattr(words, kinds),) if kinds else ()
        return getattr(words, name)(value, *more)

    return write


SHAPED = tuple(field.name for field in fields(Shaping))


@dataclass(frozen=True)
class Settings:
    """Settings of a draw.

    Attributes:
        remask: remasking strategy, which computes the plan.
        steps: of the plan.
        remask_weights: remasking weights; None for uniform ones.
        gamma: strength of the guidance, a number or a function of ``alpha_t``. For classifier-free
            guidance, 1 is the conditional prediction itself and takes one forward instead of two.
        shaping: of the distribution that tokens are drawn from; its fields are options, too.
        batch_size: rows in the active batch; changes speed, not results.
        device: where the network runs.
        dtype: ``"bf16"``, ``"fp32"``, ``"fp64"`` or ``"auto"``.
        guidance: kind of guidance towards targets.
        context: contrast with a prediction from fewer tokens of the row; None for none.
        corrector: when rows are corrected during sampling, by a network trained for it.
        order: unmasking order; None for the random order of the plan.
        grammar: language of well-formed texts to condition on; None for any text.
        joint: joint draws of the tokens of a step: ``"none"``, or ``"block"``, by the model's joint
            block, for few steps.
        adapt: retries of failed rows; None for one draw a row.
        goal_weights: of the guidance, 1 where left out; only their proportions matter. In
            classifier-free guidance, each further weight takes one forward more.
        conditions: conditions of a row: ``"asked"``, the targets; or ``"profile"``, every other
            property as well, from the training molecule that the length of the row is drawn with.
            Rows of many profiles are more diverse.
        time: of the plan: ``"grid"``, its steps; or ``"continuous"``, events drawn at the
            remasking rates of that many steps.
        blocks: tokens of a block; blocks are drawn from left to right, each by a plan of its own.
            None for one block.

    Raises:
        MolgenError: if a value cannot be read, or is out of range.
    """

    remask: Strategy = words(
        "remasking strategy: ancestral, cap, rescale, switch, loop, forward-backward, dfm, psi; "
        "parameters as loop:t_on=.55,t_off=.05",
        "STRATEGY", "ancestral", _reader("strategy"), _writer("write_strategy"), "remask",
        method=True, preset=True,
    )  # fmt: skip
    steps: int = number("steps of the plan", "T", 128, COUNT, preset=True, tries=(8, 32, 128))
    remask_weights: TokenWeights | None = words(
        "remasking weights: uniform, confidence, sharpened, and for models with a quality head "
        "quality and property; parameters as sharpened:tau=.5",
        "W", "uniform", _reader("token_weights"), _writer("write", "WEIGHTS"), "weights",
        value=None, method=True, preset=True,
    )  # fmt: skip
    gamma: Strength = number(
        "strength of the guidance: a number, or START..END, linear from all noise to none",
        "G", 1.0, EITHER, read=_reader("gamma"), write=_writer("write_gamma"), preset=True,
        # guidance works better late than early, so all lines rise
        tries=(1.0, 1.5, 2.0, 3.0, "1..2", "1..3", "0..3"),
    )  # fmt: skip
    guidance: GuidanceSpec = words(
        "cfg: classifier-free; cbg: by the model's noisy classifier, called fudge for "
        "autoregressive models; none: unguided; parameters as cbg:scores=exact,tilt_mask=1",
        "GUIDANCE", "cfg", _reader("guidance"), _writer("write", "GUIDANCE"), "guidance",
        factory=ClassifierFree, method=True, preset=True,
    )  # fmt: skip
    context: Context | None = words(
        "contrast each prediction with one from fewer tokens of the row: none, or "
        "hide:share=.3,strength=2",
        "C", "none", _reader("context"), _writer("write", "CONTEXTS"),
        value=None, method=True, preset=True,
    )  # fmt: skip
    corrector: Corrector | None = words(
        "correct rows during sampling: none, or likeliest:every=8,rounds=1 (models trained with "
        "--self-correct)",
        "C", "none", _reader("corrector"), _writer("write", "CORRECTORS"),
        value=None, method=True, preset=True,
    )  # fmt: skip
    order: Order | None = words(
        "unmasking order instead of a plan: none, random, left-to-right, entropy, margin, "
        "entropy-bounded:gamma=.1, klass, or with --joint chunks:forwards=4",
        "O", "none", _reader("order"), _writer("write", "OPTIONAL_ORDERS"),
        value=None, method=True, preset=True,
    )  # fmt: skip
    grammar: SmilesGrammar | None = words(
        "condition every draw on well-formed text: none, smiles: balanced parentheses and paired "
        "ring labels, or valence: and no token that makes a valence or an aromatic system "
        "impossible, for draws from the left such as chunks",
        "G", "none", _reader("grammar"), _writer("write", "GRAMMARS"),
        value=None, method=True, preset=True,
    )  # fmt: skip
    joint: str = words(
        "joint draws of the tokens of a step: none, or block: by the model's joint block, for few "
        "steps (models trained with --few-step)",
        "", "none", value="none", method=True, preset=True, choices=JOINT,
    )  # fmt: skip
    adapt: Adaptive | None = words(
        "retry or remask rows that are no new molecule, up to a budget of forwards a row: none, "
        "restart:budget=128, or remask:share=.4,budget=128,until=valid+unique+novel; with "
        "until=likely, too, the target probability by the model's noisy classifier must be at "
        "least probability=.5",
        "A", "none", _reader("adapt"), _writer("write_adapt"),
        value=None, method=True, preset=True,
    )  # fmt: skip
    conditions: str = words(
        "conditions of a row: asked, the targets alone; or profile, every other property, too, "
        "from a training molecule that meets the targets: more diverse",
        "C", "asked", value="asked", preset=True,
    )  # fmt: skip
    time: str = words(
        "of the plan: grid, its T steps; or continuous, one event at a time at the rates of T "
        "steps, without the error of tokens placed together",
        "", GRID, value=GRID, choices=TIMES, method=True, preset=True,
    )  # fmt: skip
    blocks: int | None = words(
        "draw block by block from the left, each by a plan of its own: tokens of a block, 1 for "
        "token by token; none: all at once",
        "B", "none", _reader("blocks"), _writer("write_blocks"),
        value=None, kind=EITHER, method=True, preset=True,
    )  # fmt: skip
    shaping: Shaping = field(default_factory=Shaping)
    batch_size: int = number("rows in the active batch; speed only", "B", 256, COUNT)
    device: str = words("cpu (default), cuda, cuda:1, ...", "D", "cpu", value="cpu")
    dtype: str = words(
        "of the matrix products; fp64 is slow, and draws the same rows on every processor",
        "", "auto", value="auto", choices=DTYPES,
    )  # fmt: skip
    goal_weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read what is given in words, and check the values that no other class checks.

        Raises:
            MolgenError: if a value cannot be read, steps or batch size is not a whole number of at
                least 1, gamma not finite, or conditions, joint or dtype unknown.
        """
        for option in OPTIONS.values():
            if option.name not in SHAPED:
                value = read_value(option.name, getattr(self, option.name))
                object.__setattr__(self, option.name, value)
        from molgen.sampling import words as kinds

        check_fields(self, {name: getattr(kinds, name) for name in KINDS})
        if not callable(self.gamma) and not math.isfinite(self.gamma):
            raise MolgenError(f"gamma is {self.gamma}, expected a finite number")
        if self.conditions not in CONDITIONS:
            named = one_of(self.conditions, CONDITIONS)
            raise MolgenError(f"conditions is {self.conditions!r}, {named}")
        for name, known in (("joint", JOINT), ("dtype", DTYPES), ("time", TIMES)):
            if (value := getattr(self, name)) not in known:
                raise MolgenError(f"{name} is {value!r}, {one_of(value, known)}")

    def changed(self, **changes: Any) -> Settings:
        """Return these settings with some of them changed.

        An unmasking order excludes a plan: a new order resets the remasking strategy, its time,
        weights and corrector unless they are given too, and a new strategy or continuous time
        resets the order.

        Args:
            **changes: attributes to change, including those of the shaping; words or objects.

        Raises:
            MolgenError: if one is unknown or out of range, there is no plan with this number of
                steps, or remasking weights are given and the plan does not remask.
        """
        changes = {name: read_value(name, value) for name, value in changes.items()}
        shaped = {name: changes.pop(name) for name in SHAPED if name in changes}
        if shaped:
            changes["shaping"] = replace(changes.get("shaping", self.shaping), **shaped)
        if changes.get("order") is not None:
            ancestral = OPTIONS["remask"].read("ancestral")
            plain = {"remask": ancestral, "time": GRID, "remask_weights": None, "corrector": None}
            changes = plain | changes
        elif "remask" in changes or changes.get("time") == CONTINUOUS:
            changes = {"order": None, **changes}
        try:
            found = replace(self, **changes)
        except TypeError as error:
            raise MolgenError(f"settings: {error}") from error
        if {"remask", "steps", "time", "remask_weights"} & set(changes):
            masks = found.plan().remasks
            if changes.get("remask_weights") and not masks:
                raise MolgenError(_unused_weights(found))
        return found

    def plan(self) -> Plan | ContinuousPlan:
        """Return the plan of a draw, or of each of its blocks.

        Raises:
            MolgenError: if there is none with this number of steps.
        """
        if self.time == CONTINUOUS:
            return self.remask.continuous(self.steps)
        return self.remask.plan(self.steps)


def _unused_weights(settings: Settings) -> str:
    weights, remask = OPTIONS["weights"], OPTIONS["remask"]
    return (
        f"weights is {weights.write(settings.remask_weights)}, but remask is "
        f"{remask.write(settings.remask)}, which remasks no token: expected a strategy with "
        "remasking, such as rescale:eta=0.1"
    )


OPTIONS: Mapping[str, Option] = options_of(Settings, Shaping)
"""The table of settings, by key, including those of the shaping."""
BY_NAME = {option.name: option for option in OPTIONS.values()}
OPTIONAL = {each.name for each in fields(Settings) if each.default is None}
"""Names of settings that may be None."""
CONTAINERS = (Real, bytes, list, tuple, set, dict)


def read_value(name: str, value: Any) -> Any:
    """Return the value of a setting that is given in words, as a number or as an object.

    Args:
        name: of the setting; a value of any other name is returned as it is.
        value: the words, the number or the object.

    Raises:
        MolgenError: if it is of another kind, or cannot be read.
    """
    if name not in BY_NAME or (value is None and name in OPTIONAL):
        return value
    option = BY_NAME[name]
    if option.kind == COUNT:
        return whole(name, value, 1, MOST)
    if isinstance(value, str):
        return option.read(value)
    if option.kind == EITHER and name in OPTIONAL:
        return whole(name, value, 1, MOST)
    if option.kind != WORDS and isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    if option.kind != WORDS and not (option.kind == EITHER and callable(value)):
        raise MolgenError(f"{name} is {value!r}, expected a number")
    if value is None or isinstance(value, CONTAINERS):
        raise MolgenError(f"{name} is {value!r}, expected words: {option.help}")
    return str(value) if option.write is str else value  # such as torch.device("cuda")


@checked
def from_words(written: Mapping[str, Any]) -> Settings:
    """Return settings as they are written in ``molgen.json`` and in presets.

    Raises:
        MolgenError: if a key, a word or a number is invalid.
    """
    for key in written:
        if key not in OPTIONS:
            raise MolgenError(f"settings: {key!r} is unknown, expected {', '.join(OPTIONS)}")
    found = {
        option.name: option.read(written.get(key, option.default))
        for key, option in OPTIONS.items()
    }
    shaping = Shaping(**{name: found.pop(name) for name in SHAPED})
    return Settings(shaping=shaping, **found)


def to_words(settings: Settings) -> dict[str, Any]:
    """Return the input of :func:`from_words`, without goal weights, which belong to the goals.

    Raises:
        MolgenError: if a value has no text form.
    """
    return {
        key: option.write(
            getattr(settings.shaping if option.name in SHAPED else settings, option.name)
        )
        for key, option in OPTIONS.items()
    }

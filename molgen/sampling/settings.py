"""How to draw, as one object: what a preset recommends and a command line or a caller changes.

Its fields are the table of settings. Each says how it is written, read and checked, what it does
and what tuning tries of it; presets, methods of comparisons, command-line options and
:func:`from_words` and :func:`to_words` follow from that. A new setting is a new field, and a new
parameter of something that is written ``NAME:key=value`` a new field of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from molgen.guidance.shaping import Shaping
from molgen.guidance.spec import ClassifierFree, GuidanceSpec
from molgen.utils.options import COUNT, EITHER, Option, number, options_of, words

if TYPE_CHECKING:
    from molgen.diffusion.plan import Strategy
    from molgen.diffusion.token_weights import TokenWeights
    from molgen.diffusion.unmasking_order import Order
    from molgen.guidance.context_contrast import Context
    from molgen.guidance.kernels import Strength
    from molgen.guidance.smiles_grammar import SmilesGrammar
    from molgen.sampling.corrector import Corrector
    from molgen.sampling.retry import Adaptive

CONDITIONS = "asked", "profile"
MOST = 10_000_000  # rows or steps of one run; more would not fit in memory
DTYPES = "auto", "bf16", "fp32", "fp64"
METHOD = ("remask", "remask_weights", "guidance", "context", "corrector", "order")
"""Settings that say by which method to draw: whoever names one of them goes without a preset that
was tuned for a target, because its numbers belong to the method it was tuned with."""


def _reader(name: str) -> Callable[[Any], Any]:
    """Return a reader of :mod:`molgen.sampling.words`, which is heavy, loaded when it is used."""

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


@dataclass(frozen=True)
class Settings:
    """How to draw.

    Attributes:
        strategy: writes the plan: which remasking.
        steps: of the plan.
        remask_weights: which placed tokens go back first; None treats all alike.
        gamma: strength of the guidance, a number or a function of ``alpha_t``. Classifier-free, 1
            is the conditional prediction itself and takes one forward instead of two.
        shaping: of the distribution that tokens are drawn from; its fields are options, too.
        batch_size: rows in flight; changes speed, not results.
        device: where the network runs.
        dtype: ``"bf16"``, ``"fp32"``, ``"fp64"`` or ``"auto"``.
        guidance: how targets act on the draw.
        context: contrast with a prediction that sees less of the row; None for none.
        corrector: when rows are mended on the way, by a network that was trained for it.
        order: in which order tokens are placed, where the network has a say in it; None for the
            plan's: at random.
        grammar: what rows are to be well-formed texts of; None for any text.
        adapt: whether rows that fail go on, and how; None for one draw a row.
        goal_weights: of the guidance, 1 where left out; only their proportions count.
            Classifier-free, each further weight takes a forward more
            (:mod:`molgen.guidance.weighted_conditions`).
        conditions: what the network is told of a row: ``"asked"``, the targets; or ``"profile"``,
            every other property as well, as the training molecule has it that lends the row its
            length (:mod:`molgen.data.prior`). Rows of many profiles are more diverse.
    """

    remask: Strategy = words(
        "ancestral, cap, rescale, switch, loop, forward-backward, dfm, psi; "
        "parameters as loop:t_on=.55,t_off=.05",
        "STRATEGY", "ancestral", _reader("strategy"), _writer("write_strategy"), "remask",
        method=True, preset=True,
    )  # fmt: skip
    steps: int = number("steps of the plan", "T", 128, COUNT, preset=True, tries=(8, 32, 128))
    remask_weights: TokenWeights | None = words(
        "which placed tokens are masked again first: uniform, confidence, sharpened, and for "
        "models with a quality head quality and property; parameters as sharpened:tau=.5",
        "W", "uniform", _reader("token_weights"), _writer("write", "WEIGHTS"), "weights",
        value=None, method=True, preset=True,
    )  # fmt: skip
    gamma: Strength = number(
        "strength of the guidance: a number, or START..END, a line from all noise to none",
        "G", 1.0, EITHER, read=_reader("gamma"), write=_writer("write_gamma"), preset=True,
        # early guidance hurts, late guidance does the work, so all lines rise
        tries=(1.0, 1.5, 2.0, 3.0, "1..2", "1..3", "0..3"),
    )  # fmt: skip
    guidance: GuidanceSpec = words(
        "cfg: classifier-free; cbg: by the model's guide, fudge its name for autoregressive "
        "models; none: targets do not steer; parameters as cbg:scores=exact,tilt_mask=1",
        "GUIDANCE", "cfg", _reader("guidance"), _writer("write", "GUIDANCE"), "guidance",
        factory=ClassifierFree, method=True, preset=True,
    )  # fmt: skip
    context: Context | None = words(
        "contrast each prediction with one that sees less of the row: none, or "
        "hide:share=.3,strength=2",
        "C", "none", _reader("context"), _writer("write", "CONTEXTS"),
        value=None, method=True, preset=True,
    )  # fmt: skip
    corrector: Corrector | None = words(
        "mend rows on the way: none, or likeliest:every=8,rounds=1 (models trained with "
        "--self-correct)",
        "C", "none", _reader("corrector"), _writer("write", "CORRECTORS"),
        value=None, method=True, preset=True,
    )  # fmt: skip
    order: Order | None = words(
        "place tokens in an order of the network's own instead of a plan: none, random, "
        "left-to-right, entropy, margin, entropy-bounded:gamma=.1, klass",
        "O", "none", _reader("order"), _writer("write", "OPTIONAL_ORDERS"),
        value=None, method=True, preset=True,
    )  # fmt: skip
    grammar: SmilesGrammar | None = words(
        "condition every draw on a well-formed text: none, or smiles: parentheses balance, "
        "ring labels come in pairs",
        "G", "none", _reader("grammar"), _writer("write", "GRAMMARS"),
        value=None, method=True, preset=True,
    )  # fmt: skip
    adapt: Adaptive | None = words(
        "rows that are no new molecule go on, up to a budget of forwards a row: none, "
        "restart:budget=128, or remask:share=.4,budget=128,until=valid+unique+novel; until may "
        "hold likely, too: the model's noisy classifier finds it at least as probable as "
        "probability=.5 that all targets are met",
        "A", "none", _reader("adapt"), _writer("write_adapt"),
        value=None, method=True, preset=True,
    )  # fmt: skip
    conditions: str = words(
        "what the network is told of a row: asked, the targets alone; or profile, every other "
        "property, too, as a molecule of the training data that meets them has it: more diverse",
        "C", "asked", value="asked",
    )  # fmt: skip
    shaping: Shaping = field(default_factory=Shaping)
    batch_size: int = number("rows in flight; speed only", "B", 256, COUNT)
    device: str = words("cpu (default), cuda, cuda:1, ...", "D", "cpu", value="cpu")
    dtype: str = words(
        "of the matrix products; fp64 is slow, and draws the same rows on every processor",
        "", "auto", value="auto", choices=DTYPES,
    )  # fmt: skip
    goal_weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what no later object checks.

        Raises:
            ValueError: if steps or batch size is no whole number from 1, gamma no number, or
                conditions no word there is.
        """
        for name in ("steps", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= MOST:
                raise ValueError(f"{name} is {value!r}, expected a whole number from 1 to {MOST}")
        if not callable(self.gamma) and not math.isfinite(self.gamma):
            raise ValueError(f"gamma is {self.gamma}, expected a finite number")
        if self.conditions not in CONDITIONS:
            expected = " or ".join(CONDITIONS)
            raise ValueError(f"conditions is {self.conditions!r}, expected {expected}")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}, expected one of {', '.join(DTYPES)}")

    def changed(self, **changes: Any) -> Settings:
        """Return these settings with some of them changed, as a caller means it.

        An order of placing goes without a plan: one that is asked for takes the place of the
        strategy, weights and corrector that are not asked for beside it, and a strategy that is
        asked for takes the place of an order.

        Args:
            **changes: the attributes to change, those of the shaping among them.

        Raises:
            ValueError: if one is not known or out of range, there is no plan of so many steps, or
                weights are asked for and the plan masks nothing again.
        """
        shaped = {f.name: changes.pop(f.name) for f in fields(Shaping) if f.name in changes}
        if shaped:
            changes["shaping"] = replace(changes.get("shaping", self.shaping), **shaped)
        if changes.get("order") is not None:
            ancestral = OPTIONS["remask"].read("ancestral")
            changes = {"remask": ancestral, "remask_weights": None, "corrector": None, **changes}
        elif "remask" in changes:
            changes = {"order": None, **changes}
        try:
            found = replace(self, **changes)
        except TypeError as error:
            raise ValueError(f"settings: {error}") from error
        if {"remask", "steps", "remask_weights"} & set(changes):
            masks = found.remask.plan(found.steps).sigma.any()
            if changes.get("remask_weights") and not masks:
                raise ValueError(_idle_weights(found))
        return found


def _idle_weights(settings: Settings) -> str:
    weights, remask = OPTIONS["weights"], OPTIONS["remask"]
    return (
        f"weights {weights.write(settings.remask_weights)} choose which tokens are masked again, "
        f"but remask {remask.write(settings.remask)} masks none again: expected a strategy that "
        "does, such as rescale:eta=0.1"
    )


OPTIONS: Mapping[str, Option] = options_of(Settings, Shaping)
"""The table of settings, by key; those of the shaping are options like any other."""


def from_words(written: Mapping[str, Any]) -> Settings:
    """Return settings as they are written in ``molgen.json`` and in presets.

    Raises:
        ValueError: if a key, a word or a number is not understood.
    """
    for key in written:
        if key not in OPTIONS:
            raise ValueError(f"settings: {key!r} is unknown, expected {', '.join(OPTIONS)}")
    found = {
        option.name: option.read(written.get(key, option.default))
        for key, option in OPTIONS.items()
    }
    shaping = Shaping(**{f.name: found.pop(f.name) for f in fields(Shaping)})
    return Settings(shaping=shaping, **found)


def to_words(settings: Settings) -> dict[str, Any]:
    """Return what :func:`from_words` reads; weights of goals belong to the goals and are left out.

    Raises:
        ValueError: if something cannot be written.
    """
    shaped = {f.name for f in fields(Shaping)}
    return {
        key: option.write(
            getattr(settings.shaping if option.name in shaped else settings, option.name)
        )
        for key, option in OPTIONS.items()
    }

"""How to draw, as one object: what a preset recommends and a command line or a caller changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from molgen.diffusion.plan import Ancestral, Strategy
from molgen.diffusion.token_weights import TokenWeights
from molgen.diffusion.unmasking_order import Order
from molgen.guidance.context_contrast import Context
from molgen.guidance.kernels import Strength
from molgen.guidance.smiles_grammar import SmilesGrammar
from molgen.guidance.spec import ClassifierFree, Steering
from molgen.sampling.corrector import Corrector
from molgen.sampling.retry import Adaptive

CONDITIONS = "asked", "profile"
METHOD = ("strategy", "weights", "steering", "context", "corrector", "order")
"""Settings that say by which method to draw: whoever names one of them goes without a preset that
was tuned for a target, because its numbers belong to the method it was tuned with."""


@dataclass(frozen=True)
class Settings:
    """How to draw.

    Attributes:
        strategy: writes the plan: which remasking.
        steps: of the plan.
        weights: which placed tokens go back first; None treats all alike.
        gamma: strength of the guidance, a number or a function of ``alpha_t``. Classifier-free, 1
            is the conditional prediction itself and takes one forward instead of two.
        temperature: divides log-probabilities.
        top_p: nucleus of the distribution that tokens are drawn from.
        batch_size: rows in flight; changes speed, not results.
        device: where the network runs.
        dtype: ``"bf16"``, ``"fp32"``, ``"fp64"`` or ``"auto"``.
        steering: how targets act on the draw.
        context: contrast with a prediction that sees less of the row; None for none.
        corrector: when rows are mended on the way, by a network that was trained for it.
        order: in which order tokens are placed, where the network has a say in it; None for the
            plan's: at random.
        grammar: what rows are to be well-formed texts of; None for any text.
        adapt: whether rows that fail go on, and how; None for one draw a row.
        emphasis: weights of goals in the guidance, 1 where left out; only their proportions count.
            Classifier-free, each further weight takes a forward more
            (:mod:`molgen.guidance.weighted_conditions`).
        conditions: what the network is told of a row: ``"asked"``, the targets; or ``"profile"``,
            every other property as well, as the training molecule has it that lends the row its
            length (:mod:`molgen.data.prior`). Rows of many profiles are more diverse.
    """

    strategy: Strategy
    steps: int = 128
    weights: TokenWeights | None = None
    gamma: Strength = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    batch_size: int = 256
    device: str = "cpu"
    dtype: str = "auto"
    steering: Steering = field(default_factory=ClassifierFree)
    context: Context | None = None
    corrector: Corrector | None = None
    order: Order | None = None
    grammar: SmilesGrammar | None = None
    adapt: Adaptive | None = None
    emphasis: Mapping[str, float] = field(default_factory=dict)
    conditions: str = "asked"

    def __post_init__(self) -> None:
        """Check what no later object checks.

        Raises:
            ValueError: if steps or batch size is no whole number of at least 1, gamma no number, or
                conditions no word there is.
        """
        for name in ("steps", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}, expected a whole number of at least 1")
        if not callable(self.gamma) and not math.isfinite(self.gamma):
            raise ValueError(f"gamma is {self.gamma}, expected a finite number")
        if self.conditions not in CONDITIONS:
            expected = " or ".join(CONDITIONS)
            raise ValueError(f"conditions is {self.conditions!r}, expected {expected}")

    def changed(self, **changes: Any) -> Settings:
        """Return these settings with some of them changed, as a caller means it.

        An order of placing goes without a plan: one that is asked for takes the place of the
        strategy, weights and corrector that are not asked for beside it, and a strategy that is
        asked for takes the place of an order.

        Args:
            **changes: the attributes to change.

        Raises:
            ValueError: if one is not known or out of range.
        """
        if changes.get("order") is not None:
            changes = {"strategy": Ancestral(), "weights": None, "corrector": None, **changes}
        elif "strategy" in changes:
            changes = {"order": None, **changes}
        try:
            return replace(self, **changes)
        except TypeError as error:
            raise ValueError(f"settings: {error}") from error

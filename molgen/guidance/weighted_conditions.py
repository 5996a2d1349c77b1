"""Emphasis: goals of unequal weight in classifier-free guidance.

Weights ``w`` are scaled so that the largest is 1; ``t_1 < ... < t_m = 1`` are their distinct
values. The conditional prediction becomes, normalised per token,

    log p_w(x_0 | x_t, y)  =  sum_k (t_k - t_(k-1)) log p(x_0 | x_t, {y_j : w_j >= t_k}),    t_0 = 0

one forward for each distinct weight. Where the goals are independent given ``x_0``, that is
``log p(x_0 | x_t) + sum_j w_j log p(y_j | x_0)``, every goal with its own exponent. Where they are
not, the network is still told together what is asked for together, which a product of one factor a
goal (Liu et al., "Compositional Visual Generation with Composable Diffusion Models", 2022) forgoes.
Equal weights are the joint condition: only proportions have a say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class GoalWeights:
    """Which goals the network is told together, and how much each such prediction counts.

    Attributes:
        told: whether each part of the mixture is told each property, (parts, properties); the first
            part is told everything, and every part what is no goal.
        share: of each part; they sum to one.
    """

    told: tuple[tuple[bool, ...], ...]
    share: tuple[float, ...]

    @classmethod
    def of(
        cls, properties: Sequence[str], goals: Iterable[str], weights: Mapping[str, float]
    ) -> GoalWeights | None:
        """Return the emphasis of some goals, None if all count alike.

        Args:
            properties: that the network knows.
            goals: that it is told; what it does not know is left aside.
            weights: of goals; 1 where left out.

        Raises:
            ValueError: if a weight is no finite number above 0.
        """
        w = scaled(goals, weights)
        known = {name: value for name, value in w.items() if name in properties}
        levels = sorted(set(known.values()))
        if len(levels) < 2:
            return None
        told = tuple(tuple(known.get(name, math.inf) >= t for name in properties) for t in levels)
        steps = zip(levels, [0.0, *levels[:-1]], strict=True)
        return cls(told, tuple((t - before) / levels[-1] for t, before in steps))

    def conditions(self, condition: Tensor) -> list[Tensor]:
        """Return what each part is told: conditions with shape (rows, properties), NaN elsewhere.

        Args:
            condition: what is asked for, with that shape.
        """
        nan = torch.full_like(condition, torch.nan)
        return [torch.where(torch.tensor(part), condition, nan) for part in self.told]

    def combine(self, log_p: Sequence[Tensor]) -> Tensor:
        """Return the mixture of the parts' predictions, normalised over the last axis.

        What one part rules out (-inf) stays ruled out.

        Args:
            log_p: log-probabilities of each part, all of one shape.
        """
        mixed = sum(share * part for share, part in zip(self.share, log_p, strict=True))
        return torch.as_tensor(mixed).log_softmax(-1)


def readings(goal_weights: GoalWeights | None, condition: Tensor, free: bool) -> list[Tensor]:
    """Return what each forward of a step is told: every part's conditions, and nothing at last.

    Args:
        goal_weights: of the goals; None where one part is told everything.
        condition: what is asked for, with shape (rows, properties).
        free: whether a last forward is told nothing.
    """
    told = goal_weights.conditions(condition) if goal_weights else [condition]
    return [*told, torch.full_like(condition, torch.nan)] if free else told


def parts(goal_weights: GoalWeights | None) -> int:
    """Return the forwards that a conditional prediction takes."""
    return len(goal_weights.share) if goal_weights else 1


def scaled(goals: Iterable[str], weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weight of every goal, the largest 1.

    Args:
        goals: names of properties.
        weights: of some of them; the others count 1 before scaling.

    Raises:
        ValueError: if a weight is no finite number above 0.
    """
    w = {name: float(weights.get(name, 1.0)) for name in goals}
    for name, value in w.items():
        if not 0 < value < math.inf:
            raise ValueError(f"weight of {name} is {value}, expected a finite number above 0")
    most = max(w.values(), default=1.0)
    return {name: value / most for name, value in w.items()}

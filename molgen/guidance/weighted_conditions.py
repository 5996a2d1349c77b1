"""Goal weights: goals of unequal weight in classifier-free guidance.

Weights ``w`` are scaled so that the largest is 1; ``t_1 < ... < t_m = 1`` are their distinct
values. The conditional prediction becomes, normalised per token,

    log p_w(x_0 | x_t, y)  =  sum_k (t_k - t_(k-1)) log p(x_0 | x_t, {y_j : w_j >= t_k}),    t_0 = 0

with one forward for each distinct weight. Where the goals are independent given ``x_0``, this is
``log p(x_0 | x_t) + sum_j w_j log p(y_j | x_0)``, every goal with its own exponent. Where they are
not, the network is still conditioned on them jointly, unlike a product of one factor per goal (Liu
et al., "Compositional Visual Generation with Composable Diffusion Models", 2022). Equal weights are
the joint condition: only the proportions matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from molgen.errors import MolgenError


@dataclass(frozen=True)
class GoalWeights:
    """The parts of the mixture: the goals that each is conditioned on, and its share.

    Attributes:
        conditioned: whether each part is conditioned on each property, (parts, properties); the
            first part is conditioned on all of them, and every part on those that are not goals.
        share: of each part; they sum to one.
    """

    conditioned: tuple[tuple[bool, ...], ...]
    share: tuple[float, ...]

    @classmethod
    def of(
        cls, properties: Sequence[str], goals: Iterable[str], weights: Mapping[str, float]
    ) -> GoalWeights | None:
        """Return the mixture for some goals, None if all have the same weight.

        Args:
            properties: conditions of the network.
            goals: names of properties; those that are no conditions are ignored.
            weights: of goals; 1 where left out.

        Raises:
            MolgenError: if a weight is not a finite number above 0.
        """
        w = scaled(goals, weights)
        known = {name: value for name, value in w.items() if name in properties}
        levels = sorted(set(known.values()))
        if len(levels) < 2:
            return None
        parts = tuple(tuple(known.get(name, math.inf) >= t for name in properties) for t in levels)
        steps = zip(levels, [0.0, *levels[:-1]], strict=True)
        return cls(parts, tuple((t - before) / levels[-1] for t, before in steps))

    def conditions(self, condition: Tensor) -> list[Tensor]:
        """Return the conditions of each part, with shape (rows, properties), NaN where left out.

        Args:
            condition: all requested values, with that shape.
        """
        nan = torch.full_like(condition, torch.nan)
        return [torch.where(torch.tensor(part), condition, nan) for part in self.conditioned]

    def combine(self, log_p: Sequence[Tensor]) -> Tensor:
        """Return the mixture of the parts' predictions, normalised over the last axis.

        A value that is impossible (-inf) in one part stays impossible.

        Args:
            log_p: log-probabilities of each part, all of one shape.
        """
        mixed = sum(share * part for share, part in zip(self.share, log_p, strict=True))
        return torch.as_tensor(mixed).log_softmax(-1)


def branch_conditions(
    goal_weights: GoalWeights | None, condition: Tensor, unconditional: bool
) -> list[Tensor]:
    """Return the conditions of each forward of a step: of every part, and none in the last.

    Args:
        goal_weights: of the goals; None for a single part with all conditions.
        condition: all requested values, with shape (rows, properties).
        unconditional: whether to add a last forward without conditions.
    """
    branches = goal_weights.conditions(condition) if goal_weights else [condition]
    return [*branches, torch.full_like(condition, torch.nan)] if unconditional else branches


def conditional_forwards(goal_weights: GoalWeights | None) -> int:
    """Return the number of forwards of a conditional prediction."""
    return len(goal_weights.share) if goal_weights else 1


def scaled(goals: Iterable[str], weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weight of every goal, the largest 1.

    Args:
        goals: names of properties.
        weights: of some of them; 1 for the others, before scaling.

    Raises:
        MolgenError: if a weight is not a finite number above 0.
    """
    w = {name: float(weights.get(name, 1.0)) for name in goals}
    for name, value in w.items():
        if not 0 < value < math.inf:
            raise MolgenError(f"weight of {name} is {value}, expected a finite number above 0")
    most = max(w.values(), default=1.0)
    return {name: value / most for name, value in w.items()}

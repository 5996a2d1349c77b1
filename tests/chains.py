"""Exact chains: a two-token alphabet of length three, whose 27 states can be followed one by one.

The whole distribution over states is pushed through a sampler's steps with the exact denoiser of a
known target, so tests compare numbers, not samples, and need no seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molgen.diffusion.continuous_plan import ContinuousPlan
from molgen.diffusion.plan import Plan
from molgen.diffusion.posterior import Scalar
from molgen.guidance.predictor import Prediction
from molgen.guidance.transition import Transition

MASK = 2
LENGTH = 3
STATES = torch.tensor(list(product(range(3), repeat=LENGTH)))
"""All states with shape (27, 3); the last is all mask."""
IS_CLEAN = (STATES != MASK).all(-1)
CLEAN = STATES[IS_CLEAN]
"""The 8 states without a mask, with shape (8, 3)."""
TARGET = torch.tensor([0.30, 0.02, 0.05, 0.13, 0.01, 0.19, 0.22, 0.08], dtype=torch.float64)
"""A distribution over `CLEAN` whose tokens depend on each other."""
HAS_PROPERTY = torch.tensor([0.9, 0.2, 0.6, 0.05, 0.3, 0.7, 0.5, 0.99], dtype=torch.float64)
"""p(y | x) of each clean state."""


def given(target: Tensor) -> Tensor:
    """p(x0 | x_t) over whole sequences, with shape (27, 8)."""
    fits = ((STATES[:, None] == MASK) | (STATES[:, None] == CLEAN)).all(-1)
    joint = fits * target
    return joint / joint.sum(-1, keepdim=True)


def denoise(target: Tensor) -> Tensor:
    """The exact denoiser: p(x0 token | x_t) at every state, with shape (27, 3, 3)."""
    return torch.einsum("sc,clv->slv", given(target), one_hot(CLEAN))


def one_hot(states: Tensor) -> Tensor:
    """States as float64 one-hot tokens, with shape (states, 3, 3)."""
    return torch.nn.functional.one_hot(states, MASK + 1).double()


def masked_noise(alpha: float) -> Tensor:
    """q(x_t | x_0) under masked noise, with shape (8, 27)."""
    return transition(alpha * one_hot(CLEAN) + (1 - alpha) * one_hot(torch.tensor(MASK)))


def transition(q: Tensor, states: Tensor = STATES) -> Tensor:
    """State probabilities, (rows, states), from posteriors with shape (rows, 3, vocab)."""
    return q[:, torch.arange(LENGTH), states].prod(-1)


def follow(kernel: Sequence[Tensor]) -> Tensor:
    """The distribution over states after steps with these per-token posteriors, from all mask."""
    state = torch.zeros(len(STATES), dtype=torch.float64)
    state[-1] = 1
    for q in kernel:
        state = state @ transition(q)
    return state


def trace(step: Transition, plan: Plan, condition: float | None = None) -> list[Tensor]:
    """The distribution over states after each step, from noise; under uniform noise over `CLEAN`.

    Args:
        step: the kernel.
        plan: alphas and sigmas.
        condition: what every row is conditioned on.
    """
    states = STATES if step.remasks else CLEAN
    rows = len(states)
    state = torch.full((rows,), 1 / rows, dtype=torch.float64)
    if step.remasks:
        state = follow([])
    given = None if condition is None else torch.full((rows, 1), condition)
    found = []
    for alpha_t, alpha_s, sigma in plan.rows():
        now, then = (torch.full((rows,), a, dtype=torch.float64) for a in (alpha_t, alpha_s))
        own = torch.full((rows, LENGTH), sigma, dtype=torch.float64)
        kernel = step.kernel(step.predict(states, given, now), states, now, then, own)
        state = state @ transition(kernel.q, states)
        found.append(state)
    return found


def generated(rates: ContinuousPlan, prediction: Tensor, steps: int = 800) -> tuple[Tensor, Tensor]:
    """Solve the Kolmogorov forward equation of a plan in continuous time, from all mask.

    Args:
        rates: of the events.
        prediction: the denoiser, with shape (27, 3, 3).
        steps: intervals of equal length in the clock, with the rates of their middles.

    Returns:
        The clock up to 1e-9 of the time left, and the distributions over states, (steps, 27).
    """
    place, remask = torch.zeros(2, len(STATES), len(STATES), dtype=torch.float64)
    rows = torch.arange(len(STATES))
    for at in range(LENGTH):
        masked = STATES[:, at] == MASK
        for token in range(MASK + 1):
            then = STATES.clone()
            then[:, at] = token
            jump = remask if token == MASK else place
            jump[rows, number(then)] += (
                (~masked).double() if token == MASK else masked * prediction[:, at, token]
            )
    clock = torch.linspace(0, 21, steps + 1, dtype=torch.float64)
    found = rates.hazard(((clock[1:] + clock[:-1]) / 2).numpy())
    width = -torch.exp(-clock).diff()
    both = ((place, found.place + found.compensate), (remask, found.remask))
    generator = sum(
        (jump - jump.sum(1).diag()) * (torch.from_numpy(rate) * width)[:, None, None]
        for jump, rate in both
    )
    states = [follow([])]
    for step in torch.matrix_exp(torch.as_tensor(generator)):
        states.append(states[-1] @ step)
    return clock[1:], torch.stack(states[1:])


def distance(state: Tensor, target: Tensor) -> float:
    """Total variation distance between a distribution over states and one over clean states."""
    if len(state) == len(target):
        return float((state - target).abs().sum() / 2)
    full = torch.zeros_like(state)
    full[IS_CLEAN] = target
    return float((state - full).abs().sum() / 2)


def uniform_noise(alpha: float) -> Tensor:
    """q(x_t | x_0) under uniform noise over the two tokens, with shape (8, 8)."""
    return _uniform_likelihood(alpha).prod(-1)


def denoise_from_others(target: Tensor, alpha: float) -> Tensor:
    """p(x0 token | the other tokens, uniformly noised) at every clean state, shape (8, 3, 2)."""
    likelihood = _uniform_likelihood(alpha)
    columns = []
    for place in range(LENGTH):
        others = [other for other in range(LENGTH) if other != place]
        joint = likelihood[..., others].prod(-1) * target
        columns.append(joint @ torch.nn.functional.one_hot(CLEAN[:, place]).double())
    p = torch.stack(columns, dim=1)
    return p / p.sum(-1, keepdim=True)


def _uniform_likelihood(alpha: float) -> Tensor:
    """The probability of each token of a state given that of another, with shape (8, 8, 3)."""
    return alpha * (CLEAN[:, None] == CLEAN).double() + (1 - alpha) / 2


def tilted(gamma: float) -> Tensor:
    """p(x) p(y | x)^gamma over the clean states, normalised: at gamma 1 that is p(x | y)."""
    weight = TARGET * HAS_PROPERTY**gamma
    return weight / weight.sum()


def noised_classifier(tokens: Tensor, alpha: Tensor) -> Tensor:
    """The exact log p(y | x_t) of any of the 27 states; masked noise needs no alpha."""
    return LOG_HAS_PROPERTY[number(tokens)]


def uniform_classifier(tokens: Tensor, alpha: Tensor) -> Tensor:
    """The exact log p(y | x_t) of any of the 8 states under uniform noise."""
    found = torch.empty(len(tokens), dtype=torch.float64)
    for clock in alpha.unique():
        joint = uniform_noise(float(clock)) * TARGET
        rows = alpha == clock
        found[rows] = (joint @ HAS_PROPERTY / joint.sum(-1)).log()[number(tokens[rows], 2)]
    return found


def number(tokens: Tensor, vocab: int = MASK + 1) -> Tensor:
    """Which of `STATES` (or of `CLEAN`, for a vocabulary of 2) each row of tokens is."""
    return tokens @ torch.tensor([vocab**2, vocab, 1])


LOG_HAS_PROPERTY = (given(TARGET) @ HAS_PROPERTY).log()
"""log p(y | x_t) of each of the 27 states."""
LOG_P = denoise(TARGET).log()
"""log p(x0 | x_t) at each of the 27 states, with shape (27, 3, 3)."""
LOG_P_GIVEN_Y = denoise(tilted(1.0)).log()
"""log p(x0 | x_t, y), same shape."""


class KnownScores:
    """The exact candidate scores under masked noise, computed once."""

    def __init__(self) -> None:
        changed = STATES[:, None, None].repeat(1, LENGTH, MASK + 1, 1)
        for place in range(LENGTH):
            changed[:, place, :, place] = torch.arange(MASK + 1)
        self.table = LOG_HAS_PROPERTY[number(changed)]
        """Scores with shape (27, 3, 3)."""

    def __call__(self, log_q: Tensor, tokens: Tensor, alpha_t: Scalar) -> Tensor:
        return self.table[number(tokens)]

    def forwards(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        return torch.zeros(len(tokens), dtype=torch.int64)


class Denoiser:
    """The exact denoiser as a network: of p(x | y) where the condition is given, else of p(x)."""

    max_length = LENGTH

    def __init__(self, uniform: bool = False) -> None:
        self.uniform = self.time_input = uniform
        self.vocab_size = 4 if uniform else MASK + 1
        self.pad_id, self.mask_id = (2, 3) if uniform else (3, MASK)

    def logits(
        self, tokens: Tensor, condition: Tensor | None = None, alpha: Tensor | None = None
    ) -> Tensor:
        free = self._log_p(tokens, alpha, 0.0)
        if condition is None:
            return free
        left_out = condition.isnan().any(1)[:, None, None]
        return torch.where(left_out, free, self._log_p(tokens, alpha, 1.0))

    def _log_p(self, tokens: Tensor, alpha: Tensor | None, gamma: float) -> Tensor:
        if alpha is None:
            return (LOG_P_GIVEN_Y if gamma else LOG_P)[number(tokens)]
        p = torch.zeros(*tokens.shape, self.vocab_size, dtype=torch.float64)
        for clock in alpha.unique():
            rows = alpha == clock
            exact = denoise_from_others(tilted(gamma), float(clock))
            p[rows, :, :2] = exact[number(tokens[rows], 2)]
        return p.log()


LIMIT = 40.5
"""Of chi-square with 7 degrees of freedom: passed by chance once in a million."""


class Exact:
    """The exact denoiser of the 27 states as a predictor."""

    forwards, mask_id, pad_id, max_length = 1, MASK, 3, LENGTH
    prediction = denoise(TARGET).numpy()

    def __call__(
        self,
        tokens: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        condition: NDArray[np.float32] | None,
        alpha_t: NDArray[np.float64],
        rows: NDArray[np.int64] | None = None,
    ) -> Prediction:
        p = np.asarray(self.prediction[tokens @ [9, 3, 1]][wanted])
        return Prediction(p, np.zeros(len(tokens), dtype=np.int64))

"""Bounds on the negative log-likelihood of given strings, in nats.

    masked    -log p(x) <= -log p(L) + mean over orders s of  -sum_n log p(x_s(n) | x_s(>n))
    uniform   -log p(x) <= -log p(L) + integral over t of the loss of uniform noise
    none      -log p(x)  = -sum_i log p(x_i | x_<i) - log p(end | x)

For masked noise one draw is one order in which the tokens are revealed: ``n`` of them are masked
and one is predicted, for n = L..1. The mean over orders is the continuous-time bound
(Sahoo et al., "Simple and Effective Masked Diffusion Language Models", 2024) as a sum over orders
(Ou et al., "Your absorbing discrete diffusion secretly models the conditional distributions of
clean data", 2025). Each order by itself defines a distribution over strings, so a network with
consistent conditionals has the same value in every order, while an estimate from masks drawn
independently for each ``n`` has variance. For uniform noise one draw is L times, one in each of L
strata (Schiff et al., "Simple Guidance Mechanisms for Discrete Diffusion Models", 2024). An
autoregressive network needs no draws: its value is exact.

The noise of a string depends only on the seed and the string, so its score does not depend on the
other strings of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from molgen.data.prior import Prior
from molgen.diffusion.losses import LEAST_NOISE, uniform_nats
from molgen.nn.denoiser import Denoiser, noise_of
from molgen.nn.language_model import sequence_log_prob
from molgen.targets import Target
from molgen.utils import randomness
from molgen.utils.threads import Workers

STATES = 256  # noised rows of one forward: several for each CPU worker
LENGTH_DRAWS = 4096  # of the length under a condition; large compared with the smoothing below

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """The bound of one string.

    Attributes:
        nats: the bound, mean over draws, including the cost of the length.
        error: standard error of that mean; 0 where it is exact, NaN for a single draw.
        length_nats: cost of the length; 0 where the end is a token.
        tokens: of the string.
    """

    nats: float
    error: float
    length_nats: float
    tokens: int


@dataclass(frozen=True)
class Scorer:
    """Computes the bounds of strings under a network.

    Attributes:
        denoiser: the network, of any noise.
        length_cost: ``-log p(L)`` for each length 0..longest; see :func:`length_nats`.
        condition: property values with shape (properties,), NaN where left out; None for none.
        draws: number of draws per string.
        seed: of the noise.
        dtype: of the matrix products.
    """

    denoiser: Denoiser
    length_cost: NDArray[np.float64]
    condition: NDArray[np.float32] | None = None
    draws: int = 1
    seed: int = 0
    dtype: torch.dtype = torch.float32

    def scores(
        self, strings: Sequence[Ids], pool: Workers, on_done: Callable[[int], None] | None = None
    ) -> Iterator[tuple[Ids, Score]]:
        """Yield the score of every distinct string, shortest first.

        Args:
            strings: token ids of each, from one token to the maximum length of the network.
            pool: threads to share the forwards on.
            on_done: called with the number of strings that have been finished.
        """
        distinct = sorted(set(strings), key=lambda ids: (len(ids), ids))
        for length, group in groupby(distinct, len):
            # a few strings at a time, so that an interruption loses only the last of them
            per_part = max(1, 2 * pool.count * STATES // self.states(length))
            while part := list(islice(group, per_part)):
                nats = self.draw(np.array(part, dtype=np.int64), pool)
                cost = 0.0 if self.exact else float(self.length_cost[length])
                for ids, values in zip(part, nats, strict=True):
                    yield ids, Score(float(values.mean()) + cost, self._error(values), cost, length)
                if on_done is not None:
                    on_done(len(part))

    @property
    def exact(self) -> bool:
        """Whether a score is the negative log-likelihood itself rather than a bound."""
        return noise_of(self.denoiser) == "none"

    def states(self, length: int) -> int:
        """Return the number of noised rows for a string of this length."""
        return 1 if self.exact else self.draws * length

    def draw(self, tokens: NDArray[np.int64], pool: Workers) -> NDArray[np.float64]:
        """Return the nats of each draw, given the length.

        Args:
            tokens: ids with shape (rows, length), without padding.
            pool: threads to share the forwards on.

        Returns:
            Nats with shape (rows, draws); a single column where the value is exact.
        """
        rows, length = tokens.shape
        each = self.states(length)
        slices = [np.arange(i, min(i + STATES, rows * each)) for i in range(0, rows * each, STATES)]

        def run(states: NDArray[np.int64]) -> NDArray[np.float64]:
            row, rest = np.divmod(states, each)
            draw, step = np.divmod(rest, length)
            return self._nats(tokens[row], draw, step).double().cpu().numpy()

        found = np.concatenate(list(pool.map(run, slices)))
        return found.reshape(rows, each // length if not self.exact else 1, -1).sum(axis=2)

    def _error(self, values: NDArray[np.float64]) -> float:
        if self.exact:
            return 0.0
        return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")

    def _nats(
        self, tokens: NDArray[np.int64], draw: NDArray[np.int64], step: NDArray[np.int64]
    ) -> Tensor:
        """Return the contribution of each noised row to the bound of its string.

        Args:
            tokens: clean ids with shape (states, length).
            draw: index of the draw of each row, with shape (states,).
            step: index of the row among the ``length`` rows of its draw, same shape.

        Returns:
            Nats with shape (states,).
        """
        model = self.denoiser
        parameter = next(iter(model.parameters()), None) if isinstance(model, nn.Module) else None
        device = torch.device("cpu") if parameter is None else parameter.device
        x_0 = torch.from_numpy(tokens).to(device)
        values = None
        if self.condition is not None:
            values = torch.from_numpy(self.condition).to(device).expand(len(x_0), -1)
        at = torch.from_numpy(step).to(device)
        with torch.no_grad(), torch.autocast(device.type, self.dtype, self.dtype is torch.bfloat16):
            if self.exact:
                return -sequence_log_prob(model, x_0, values)
            if noise_of(model) == "uniform":
                u = torch.from_numpy(self._uniforms(tokens, draw, step)).to(device)
                return uniform_part(model, x_0, at, u[:, 0], u[:, 1:], values)
            order = torch.from_numpy(self._uniforms(tokens, draw)).to(device)
            return order_part(model, x_0, order, at, values)

    def _uniforms(
        self,
        tokens: NDArray[np.int64],
        draw: NDArray[np.int64],
        step: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """Return uniforms with shape (states, length), or (states, 1 + 2 length) for each step."""
        keys = np.array([_key(row) for row in tokens], dtype=np.uint64)[:, None]
        count = tokens.shape[1] if step is None else 1 + 2 * tokens.shape[1]
        which = np.zeros((1, 1), np.int64) if step is None else step[:, None] + 1
        place = np.arange(count)
        return randomness.uniform(self.seed, randomness.SHUFFLE, keys, draw[:, None], which, place)


def order_part(
    model: Denoiser, x_0: Tensor, order: Tensor, step: Tensor, values: Tensor | None = None
) -> Tensor:
    """Return ``-log p`` of the token predicted at one step of an order, under masked noise.

    Args:
        model: the network.
        x_0: clean tokens with shape (states, length), without padding.
        order: uniforms of the tokens, same shape: the tokens of the n smallest are masked, and the
            n-th is predicted. The order is then uniform, and the n-th smallest is distributed as
            the time ``t`` given ``n``.
        step: ``n - 1`` of each row, with shape (states,).
        values: conditions with shape (states, properties), NaN where left out.

    Returns:
        Nats with shape (states,); the value of a draw is their sum over the steps 0..length-1.
    """
    ranked = order.argsort(dim=1)
    target = ranked.gather(1, step[:, None])
    time = order.gather(1, target)
    x_t = torch.where(order <= time, model.mask_id, x_0)
    alpha = (1 - time.squeeze(1)).float() if model.time_input else None
    logits = model.logits(x_t, values, alpha)
    picked = logits.gather(1, target[..., None].expand(-1, -1, logits.shape[-1])).squeeze(1)
    return F.cross_entropy(picked.double(), x_0.gather(1, target).squeeze(1), reduction="none")


def uniform_part(
    model: Denoiser,
    x_0: Tensor,
    stratum: Tensor,
    time: Tensor,
    u: Tensor,
    values: Tensor | None = None,
) -> Tensor:
    """Return the loss of uniform noise at one time of each row, over the number of strata.

    Args:
        model: the network.
        x_0: clean tokens with shape (states, length), without padding.
        stratum: index of each row's stratum among ``length`` equal ones, shape (states,).
        time: uniforms with shape (states,): the position of the time within its stratum.
        u: uniforms with shape (states, 2 * length): which tokens are replaced, and by which ids.
        values: conditions with shape (states, properties), NaN where left out.

    Returns:
        Nats with shape (states,); the value of a draw is their sum over the strata.
    """
    length = x_0.shape[1]
    t = ((stratum + time) / length).clamp(min=LEAST_NOISE)
    other = (u[:, length:] * model.pad_id).long()
    x_t = torch.where(u[:, :length] < t[:, None], other, x_0)
    return uniform_nats(model, x_0, x_t, (1 - t).float(), values).double() / length


def length_nats(
    prior: Prior, longest: int, targets: Mapping[str, Target] | None = None
) -> NDArray[np.float64]:
    """Return ``-log p(L)`` for lengths 0..longest, as the sampler draws them.

    Every count of a length from 1 is increased by one (Laplace), so that no length is impossible.

    Args:
        prior: lengths and property values of training molecules.
        longest: maximum number of tokens of a row.
        targets: conditions of the network, on which the length then depends too.
    """
    if targets:
        lengths, _ = prior.draw(targets, LENGTH_DRAWS, seed=0)
        seen = np.bincount(lengths, np.ones(len(lengths)), minlength=longest + 1)
    else:
        seen = np.bincount(prior.lengths, weights=prior.weight, minlength=longest + 1)
    smoothed = seen[: longest + 1] + 1.0
    smoothed[0] = 0.0
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(smoothed / smoothed.sum()))


def _key(row: NDArray[np.int64]) -> int:
    return int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=8).digest(), "little")

"""A noisy classifier with targets: the log-probability that a noised row will meet them.

A noisy classifier is a network on noised tokens that predicts several properties at once, each as a
histogram over bins. With target sets ``S_k`` and weights ``gamma_k`` it gives

    log p(y | x_t) = sum_k gamma_k log p(y_k in S_k | x_t)
    p(y_k in S_k | x_t) = sum over bins b of  p(b | x_t) * share of b that lies in S_k

for the candidate scores of :mod:`molgen.guidance.candidate_scores`: exact and Taylor scores call it
on a state, and amortised scores use its predictions for all candidates at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from molgen.errors import MolgenError
from molgen.guidance.kernels import Strength, strength
from molgen.guidance.weighted_conditions import scaled
from molgen.nn.micro_batches import filling, precision, prepared, whole_rows
from molgen.targets import Target
from molgen.utils.threads import resolve_dtype
from property_models.classifiers.network import NoisyClassifier
from property_models.registry import MODEL


@dataclass(frozen=True)
class ClassifierTarget:
    """The target of one property, with its weight."""

    name: str
    """Of the property."""
    target: Target
    """A value, a range, ``"max"`` or ``"min"``."""
    gamma: Strength = 1.0
    """Weight of this property's log-probability."""


def classifier_targets(
    network: NoisyClassifier, targets: Mapping[str, Target], weights: Mapping[str, float]
) -> list[ClassifierTarget]:
    """Return the targets of a noisy classifier.

    Args:
        network: the network.
        targets: by property, in the caller's names.
        weights: of some of the properties; 1 for the others. The largest is scaled to 1.
    """
    w = scaled(targets, weights)
    return [
        ClassifierTarget(label(network, name), target, w[name]) for name, target in targets.items()
    ]


def label(network: NoisyClassifier, name: str) -> str:
    """Return the name of a property in a noisy classifier.

    A learned property is named by its present path; the classifier distilled from it, which
    predicts nothing else, has the path at its training.
    """
    alone = len(network.properties) == 1 and name.startswith(MODEL)
    return network.properties[0] if alone else name


class ClassifierNetwork(Protocol):
    """A network on noised tokens, as used for guidance."""

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the predicted properties."""
        ...

    @property
    def vocab_size(self) -> int:
        """Tokens including the special ones."""
        ...

    @property
    def time_input(self) -> bool:
        """Whether ``alpha_t`` is an input."""
        ...

    def wanted(self, name: str, target: Target) -> Tensor:
        """Return the share of each bin that meets a target, in [0, 1], with shape (bins,).

        Raises:
            MolgenError: if the network does not predict this property, or no bin meets the target.
        """
        ...

    def log_prob(self, tokens: Tensor, alpha: Tensor | None) -> Tensor:
        """Return log-probabilities of the bins with shape (batch, properties, bins).

        Args:
            tokens: ids with shape (batch, length), or one-hot floats (batch, length, vocab).
            alpha: fraction kept with shape (batch,), for networks with a time input.
        """
        ...

    def candidate_log_prob(
        self, tokens: Tensor, indices: Sequence[int], alpha: Tensor | None, at: Tensor | None
    ) -> Tensor:
        """Return those of ``x_t`` with token l := v, shape (positions, vocab, properties, bins).

        Args:
            tokens: ids with shape (batch, length).
            indices: of the properties.
            alpha: as for :meth:`log_prob`.
            at: indices into the flattened (batch, length) positions, shape (positions,).
        """
        ...


class PropertyClassifier:
    """A noisy classifier on its device, with targets for one or more properties."""

    def __init__(
        self,
        network: ClassifierNetwork,
        targets: Sequence[ClassifierTarget],
        device: str = "cpu",
        dtype: str = "auto",
    ) -> None:
        """Prepare the network.

        Args:
            network: the network.
            targets: each property at most once.
            device: where to run.
            dtype: ``"bf16"``, ``"fp32"`` or ``"auto"``: of the matrix products.

        Raises:
            MolgenError: if there is no target, a property is named twice, or the network does not
                predict it or has no bin that meets its target.
        """
        names = [target.name for target in targets]
        if not names or len(set(names)) < len(names):
            raise MolgenError(f"targets name {names}, expected different properties, at least one")
        self.device, self.dtype = torch.device(device), resolve_dtype(dtype, device)
        self._out_dtype = torch.promote_types(self.dtype, torch.float32)
        self.network = prepared(network, self.device, self.dtype)
        self.targets = [self._wanted(target) for target in targets]
        self.candidate_forwards = 1

    def _wanted(self, target: ClassifierTarget) -> _Wanted:
        share = self.network.wanted(target.name, target.target)
        bins = share.nonzero().squeeze(-1)
        index = self.network.properties.index(target.name)
        log_share = share[bins].log()
        return _Wanted(index, bins.to(self.device), log_share.to(self.device), target.gamma)

    def __call__(self, tokens: Tensor, alpha_t: Tensor) -> Tensor:
        """Return ``sum_k gamma_k log p(y_k in S_k | x_t)``.

        Args:
            tokens: x_t with shape (batch, length), or one-hot floats with shape (batch, length,
                vocab), of which trailing classes may be omitted; then differentiable.
            alpha_t: fraction of tokens kept now, with shape (batch,).

        Returns:
            Log-probabilities with shape (batch,), on the CPU.
        """
        count, length = tokens.shape[:2]
        fill = filling(count, length, self.device, whole_rows(length))
        tokens, alpha_t = tokens[fill], alpha_t[fill]
        if tokens.is_floating_point():
            classes = self.network.vocab_size - tokens.shape[-1]
            tokens = F.pad(tokens.to(self._out_dtype), (0, classes))
        with precision(self.device, self.dtype):
            bins = self.network.log_prob(tokens.to(self.device), self._alpha(alpha_t))
        scores = [target.score(bins[:, target.index], alpha_t) for target in self.targets]
        return torch.stack(scores).sum(0)[:count]

    @torch.inference_mode()
    def candidates(self, tokens: Tensor, alpha_t: Tensor, wanted: Tensor) -> Tensor:
        """Return ``sum_k gamma_k log p(y_k in S_k | x_t with token l := v)``.

        Args:
            tokens: x_t with shape (batch, length).
            alpha_t: fraction of tokens kept now, with shape (batch,).
            wanted: True at the positions to score, with shape (batch, length).

        Returns:
            Log-probabilities on the CPU with shape (batch, length, vocab), 0 at other positions.
        """
        scores = torch.zeros(*tokens.shape, self.network.vocab_size, dtype=self._out_dtype)
        at = wanted.flatten().nonzero().squeeze(1)
        if not len(at):
            return scores
        count, length = len(at), tokens.shape[1]
        fill = filling(len(tokens), length, self.device, whole_rows(length))
        places = at[filling(count, self.network.vocab_size, self.device)].to(self.device)
        ids, alpha = tokens[fill].to(self.device), self._alpha(alpha_t[fill])
        with precision(self.device, self.dtype):
            indices = [target.index for target in self.targets]
            bins = self.network.candidate_log_prob(ids, indices, alpha, places)[:count]
        at_row = alpha_t[at // length]
        total = sum(target.score(bins[:, :, k], at_row) for k, target in enumerate(self.targets))
        scores.view(-1, self.network.vocab_size)[at] = cast(Tensor, total).to(scores)
        return scores

    def _alpha(self, alpha_t: Tensor) -> Tensor | None:
        return alpha_t.float().to(self.device) if self.network.time_input else None


@dataclass(frozen=True, eq=False)
class _Wanted:
    """A target in terms of the classifier's bins.

    Attributes:
        index: of the property.
        bins: those that meet the target at least in part, shape (bins met,).
        log_share: log of the share of each that meets it, same shape.
        gamma: weight of this property.
    """

    index: int
    bins: Tensor
    log_share: Tensor
    gamma: Strength

    def score(self, log_prob: Tensor, alpha_t: Tensor) -> Tensor:
        """Return ``gamma log p(y in S)`` on the CPU.

        Args:
            log_prob: of the bins, shape (batch, ..., bins).
            alpha_t: shape (batch,).

        Returns:
            Shape (batch, ...).
        """
        met = (log_prob[..., self.bins] + self.log_share).logsumexp(-1).cpu()
        gamma = torch.as_tensor(strength(self.gamma, alpha_t), dtype=met.dtype)
        return met * gamma.reshape(-1, *[1] * (met.ndim - 1))

"""Candidate scores: ``log p(y | x_t with token l := v)`` for every token ``l`` and value ``v``.

    exact        one classifier row for each possible candidate
    Taylor       log p(y | x_t) + grad . (onehot(v) - onehot(x_t)), two passes for all of them
    amortised    a head that predicts all of them in one forward

Which candidates are possible follows from ``log_q``: a token with a single possible value, and a
value of probability zero, need no score. The sampler that places tokens one event at a time
therefore scores only the masked tokens that are about to be placed.

References: Schiff et al., "Simple Guidance Mechanisms for Discrete Diffusion Models" (2024), for
the first two; Yang and Klein, "FUDGE: Controlled Text Generation With Future Discriminators"
(2021), whose discriminator of every next token is the third in one direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from molgen.diffusion.posterior import Scalar

Classifier = Callable[[Tensor, Tensor], Tensor]
"""``log p(y | x_t)`` with shape (batch,) from tokens with shape (batch, length) and ``alpha_t``
with shape (batch,)."""

SoftClassifier = Callable[[Tensor, Tensor], Tensor]
"""The same from one-hot tokens, floats with shape (batch, length, vocab); differentiable."""


class CandidateClassifier(Protocol):
    """A classifier with a head that predicts the score of every candidate."""

    candidate_forwards: int
    """Forwards of a row that `candidates` takes."""

    def __call__(self, tokens: Tensor, alpha_t: Tensor, /) -> Tensor:
        """Return ``log p(y | x_t)`` with shape (batch,); see `Classifier`."""
        ...

    def candidates(self, tokens: Tensor, alpha_t: Tensor, wanted: Tensor, /) -> Tensor:
        """Return ``log p(y | x_t with token l := v)`` with shape (batch, length, at least vocab).

        Args:
            tokens: x_t with shape (batch, length).
            alpha_t: fraction of tokens kept now, with shape (batch,).
            wanted: True at the positions to score, with shape (batch, length); elsewhere the result
                may be any finite number.
        """
        ...


@dataclass(frozen=True)
class ExactScores:
    """Candidate scores by one classifier row per possible candidate.

    Where tokens may also stay as they are, one further row covers all tokens of a row.
    """

    classifier: Classifier
    """Log-probability of the targets, from tokens."""
    chunk: int = 1024
    """Classifier rows evaluated at a time."""

    def __call__(self, log_q: Tensor, tokens: Tensor, alpha_t: Scalar) -> Tensor:
        """Return the scores; see `molgen.guidance.kernels.CandidateScores`."""
        return self.at(_needed(log_q), tokens, alpha_t)

    def forwards(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        """Return the classifier rows evaluated for each row, shape (batch,)."""
        return _rows_at(_needed(log_q), tokens)

    def at(self, needed: Tensor, tokens: Tensor, alpha_t: Scalar) -> Tensor:
        """Return the scores where they are needed, 0 elsewhere.

        Args:
            needed: True at the entries to score, with shape (batch, length, vocab).
            tokens: x_t with shape (batch, length).
            alpha_t: fraction of tokens kept now, a float or with shape (batch,).
        """
        current = F.one_hot(tokens, needed.shape[-1]).bool()
        alpha_t = _per_row(alpha_t, tokens)
        scores = torch.zeros(needed.shape, dtype=torch.float64, device=tokens.device)
        own = (needed & current).any((1, 2)).nonzero().squeeze(1)
        for rows in _chunks(own, self.chunk):
            found = self.classifier(tokens[rows], alpha_t[rows]).to(scores)
            scores[rows] = found[:, None, None] * needed[rows]
        row, place, value = (needed & ~current).nonzero(as_tuple=True)
        for part in _chunks(torch.arange(row.numel(), device=row.device), self.chunk):
            candidates = tokens[row[part]]
            candidates[torch.arange(part.numel(), device=row.device), place[part]] = value[part]
            found = self.classifier(candidates, alpha_t[row[part]])
            scores[row[part], place[part], value[part]] = found.to(scores)
        return scores


@dataclass(frozen=True)
class TaylorScores:
    """Candidate scores to first order, ``log p(y | x_t) + grad . (onehot(v) - onehot(x_t))``.

    One forward and one backward pass, whatever the vocabulary. Exact for a classifier whose
    log-probability is linear in the one-hot tokens; the clamp limits the error of strongly
    nonlinear ones.
    """

    classifier: SoftClassifier
    """Log-probability of the targets, from one-hot tokens."""
    clamp: float = torch.inf
    """Largest absolute change of log-probability by one token, in nats."""

    def __call__(self, log_q: Tensor, tokens: Tensor, alpha_t: Scalar) -> Tensor:
        """Return the scores; see `molgen.guidance.kernels.CandidateScores`."""
        with torch.inference_mode(False), torch.enable_grad():
            # copies, since tensors of inference mode cannot be used in a backward pass
            onehot = F.one_hot(tokens.clone(), log_q.shape[-1]).to(log_q.dtype).requires_grad_()
            log_y = self.classifier(onehot, _per_row(alpha_t, tokens).clone())
            (slope,) = torch.autograd.grad(log_y.sum(), onehot)
        change = slope - slope.gather(-1, tokens.unsqueeze(-1))
        return log_y.detach().to(slope)[:, None, None] + change.clamp(-self.clamp, self.clamp)

    def forwards(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        """Return 2 for each row: the backward pass is counted as a forward."""
        return torch.full((len(tokens),), 2, device=tokens.device)


@dataclass(frozen=True)
class AmortisedScores:
    """Candidate scores by a classifier that predicts all of them in one forward.

    The head is trained on placing tokens, not on remasking: where ``log_q`` allows a token to be or
    become the mask, those entries are scored exactly. Masked tokens share one row for that, placed
    ones take a row each.
    """

    classifier: CandidateClassifier
    """Such as `molgen.guidance.classifier.PropertyClassifier`."""
    mask_id: int | None
    """The mask token, or None under uniform noise."""

    def __call__(self, log_q: Tensor, tokens: Tensor, alpha_t: Scalar) -> Tensor:
        """Return the scores; see `molgen.guidance.kernels.CandidateScores`."""
        wanted = _needed(log_q).any(-1)
        found = self.classifier.candidates(tokens, _per_row(alpha_t, tokens), wanted)
        scores = found[..., : log_q.shape[-1]].to(log_q)
        unlearned = self._unlearned(log_q, tokens)
        exact = ExactScores(self.classifier).at(unlearned, tokens, alpha_t)
        return torch.where(unlearned, exact.to(scores), scores)

    def forwards(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        """Return the forwards of one call for each row, shape (batch,)."""
        return self.classifier.candidate_forwards + _rows_at(self._unlearned(log_q, tokens), tokens)

    def _unlearned(self, log_q: Tensor, tokens: Tensor) -> Tensor:
        """Return True at entries that the head does not cover, shape (batch, length, vocab)."""
        if self.mask_id is None:
            return torch.zeros_like(log_q, dtype=torch.bool)
        to_mask = torch.arange(log_q.shape[-1], device=log_q.device) == self.mask_id
        placed = (tokens != self.mask_id).unsqueeze(-1)
        return _needed(log_q) & (to_mask | placed)


def _chunks(indices: Tensor, size: int) -> tuple[Tensor, ...]:
    """Split indices into parts; no parts if there are no indices."""
    return indices.split(size) if len(indices) else ()


def _needed(log_q: Tensor) -> Tensor:
    """Return True at possible values of tokens that have several, shape (batch, length, vocab)."""
    possible = log_q > -torch.inf
    return possible & (possible.sum(-1, keepdim=True) > 1)


def _rows_at(needed: Tensor, tokens: Tensor) -> Tensor:
    """Return the classifier rows that `ExactScores.at` evaluates for each row, shape (batch,)."""
    current = F.one_hot(tokens, needed.shape[-1]).bool()
    return (needed & ~current).sum((1, 2)) + (needed & current).any((1, 2))


def _per_row(alpha_t: Scalar, tokens: Tensor) -> Tensor:
    """Return ``alpha_t`` with shape (batch,)."""
    return torch.as_tensor(alpha_t, device=tokens.device).expand(len(tokens))

"""Guidance of an autoregressive network.

Classifier-free (D-CFG), from the conditional and the unconditional prediction of one network:

    log p_gamma(v | prefix) = gamma log p(v | prefix, y) + (1 - gamma) log p(v | prefix) + constant

FUDGE, from a classifier of prefixes that predicts the property of the finished row:

    log p_gamma(v | prefix) = log p(v | prefix) + gamma log p(y in S | prefix, v) + constant

At ``gamma = 1``, with the exact conditional or the exact classifier, both sample from ``p(x | y)``.
There is no time, so ``gamma`` is a number. Input and output are language models, so guidances
compose.

References: Schiff et al., "Simple Guidance Mechanisms for Discrete Diffusion Models" (2024); Yang
and Klein, "FUDGE: Controlled Text Generation With Future Discriminators" (2021).
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from molgen.errors import MolgenError
from molgen.guidance.kernels import classifier_free, tilt
from molgen.guidance.weighted_conditions import (
    GoalWeights,
    branch_conditions,
    conditional_forwards,
)
from molgen.nn.language_model import LanguageModel, Prefixes


def number(gamma: object) -> float:
    """Return a strength that is a finite number.

    Raises:
        MolgenError: if it is anything else, such as a function of ``alpha_t``.
    """
    if callable(gamma):
        raise MolgenError(
            "gamma is a function of alpha_t, but an autoregressive network has no noise level: "
            "expected a number"
        )
    if not isinstance(gamma, float | int) or not math.isfinite(gamma):
        raise MolgenError(f"gamma is {gamma!r}, expected a finite number")
    return float(gamma)


class GuidedModel:
    """Base of guided language models: the shape and the cost of the wrapped model."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.pad_id, self.mask_id = model.pad_id, model.mask_id
        self.vocab_size, self.max_length = model.vocab_size, model.max_length
        self.forwards, self.classifier_forwards = model.forwards, model.classifier_forwards


class ClassifierFreeModel(GuidedModel):
    """D-CFG of a language model; both predictions are one batch of twice the rows."""

    def __init__(
        self, model: LanguageModel, gamma: float, goal_weights: GoalWeights | None = None
    ) -> None:
        """Wrap a model.

        Args:
            model: a model with conditions.
            gamma: weight of the conditional prediction: 0 ignores the condition, more than 1
                exaggerates it.
            goal_weights: of goals with different weights; one forward more for each further weight.

        Raises:
            MolgenError: if gamma is not a finite number.
        """
        super().__init__(model)
        self.gamma, self.goal_weights = number(gamma), goal_weights
        branches = conditional_forwards(goal_weights) + 1
        self.forwards = branches * model.forwards
        self.classifier_forwards = branches * model.classifier_forwards

    def begin(self, rows: int, condition: Tensor | None = None) -> Prefixes:
        """Begin rows; see :class:`molgen.nn.language_model.LanguageModel`.

        Raises:
            MolgenError: if there is no condition.
        """
        if condition is None:
            raise MolgenError("condition is None, but guidance needs one")
        branches = branch_conditions(self.goal_weights, condition, unconditional=True)
        prefixes = self.model.begin(len(branches) * rows, torch.cat(branches))
        return _MixedPrefixes(prefixes, rows, len(branches), self)


class _MixedPrefixes:
    """Prefixes with their conditional and unconditional predictions mixed."""

    def __init__(
        self, prefixes: Prefixes, rows: int, branches: int, guided: ClassifierFreeModel
    ) -> None:
        self._prefixes, self._rows, self._branches = prefixes, rows, branches
        self._guided = guided

    def append(self, tokens: Tensor) -> Tensor:
        log_p = self._prefixes.append(tokens.repeat(self._branches))
        *conditional, unconditional = log_p[:, None].split(self._rows)
        goal_weights = self._guided.goal_weights
        mixed = goal_weights.combine(conditional) if goal_weights else conditional[0]
        return classifier_free(mixed, unconditional, self._guided.gamma)[:, 0]

    def keep(self, rows: Tensor) -> None:
        self._prefixes.keep(torch.cat([rows + i * self._rows for i in range(self._branches)]))
        self._rows = len(rows)


class ScoredPrefixes(Protocol):
    """Prefixes with the classifier scores of their next tokens."""

    def append(self, tokens: Tensor) -> Tensor:
        """Append a token to each row and return the scores of all next tokens.

        Args:
            tokens: ids with shape (rows,), on the CPU; the first are all ``[MASK]``.

        Returns:
            ``log p(y | tokens so far, next token := v)`` on the CPU with shape (rows, vocab);
            ``[PAD]`` is the end.
        """
        ...

    def keep(self, rows: Tensor) -> None:
        """Keep only these rows; see :class:`molgen.nn.language_model.Prefixes`."""
        ...


class PrefixScores(Protocol):
    """A classifier of prefixes."""

    @property
    def forwards(self) -> int:
        """Forwards of the classifier for each token and row."""
        ...

    @property
    def vocab_size(self) -> int:
        """Tokens including the special ones."""
        ...

    @property
    def max_length(self) -> int:
        """Maximum number of tokens of a row."""
        ...

    def begin(self, rows: int) -> ScoredPrefixes:
        """Begin a number of rows."""
        ...


class FudgeModel(GuidedModel):
    """FUDGE of a language model."""

    def __init__(self, model: LanguageModel, scores: PrefixScores, gamma: float = 1.0) -> None:
        """Wrap a model.

        Args:
            model: the model to guide.
            scores: the classifier.
            gamma: strength; 0 is unguided, 1 is Bayes' rule.

        Raises:
            MolgenError: if gamma is not a finite number, or the classifier has another vocabulary
                or a shorter maximum length.
        """
        super().__init__(model)
        if scores.vocab_size != model.vocab_size or scores.max_length < model.max_length:
            raise MolgenError(
                f"the classifier has {scores.vocab_size} tokens and max_length "
                f"{scores.max_length}, expected {model.vocab_size} and at least "
                f"{model.max_length}, as in the network"
            )
        self.scores, self.gamma = scores, number(gamma)
        self.classifier_forwards += scores.forwards

    def begin(self, rows: int, condition: Tensor | None = None) -> Prefixes:
        """Begin rows; see :class:`molgen.nn.language_model.LanguageModel`."""
        prefixes = self.model.begin(rows, condition)
        return _TiltedPrefixes(prefixes, self.scores.begin(rows), self.gamma)


class _TiltedPrefixes:
    """Prefixes of a language model with next tokens tilted by a classifier."""

    def __init__(self, prefixes: Prefixes, scored: ScoredPrefixes, gamma: float) -> None:
        self._prefixes, self._scored, self._gamma = prefixes, scored, gamma

    def append(self, tokens: Tensor) -> Tensor:
        log_p = self._prefixes.append(tokens)
        scores = self._scored.append(tokens).to(log_p)
        # a row that can no longer reach y is continued without guidance
        possible = ((log_p > -torch.inf) & (scores > -torch.inf)).any(-1, keepdim=True)
        scores = torch.where(possible, scores, 0.0)
        return tilt(log_p[:, None], scores[:, None], self._gamma)[:, 0]

    def keep(self, rows: Tensor) -> None:
        self._prefixes.keep(rows)
        self._scored.keep(rows)

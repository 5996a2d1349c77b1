"""Guidance of a network that writes from left to right.

Classifier-free (D-CFG), from the conditional and the unconditional prediction of one network:

    log p_gamma(v | prefix) = gamma log p(v | prefix, y) + (1 - gamma) log p(v | prefix) + constant

FUDGE, from a classifier of prefixes that foresees the property of the finished row:

    log p_gamma(v | prefix) = log p(v | prefix) + gamma log p(y in S | prefix, v) + constant

At ``gamma = 1``, with the exact conditional or the exact classifier, both write rows from
``p(x | y)``. There is no clock, so ``gamma`` is a number. What is guided and what comes out are
both language models, so guidances nest.

References: Schiff et al., "Simple Guidance Mechanisms for Discrete Diffusion Models" (2024); Yang
and Klein, "FUDGE: Controlled Text Generation With Future Discriminators" (2021).
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from molgen.guidance.kernels import classifier_free_masked, tilt
from molgen.guidance.weighted_conditions import GoalWeights, parts, readings
from molgen.nn.language_model import LanguageModel, Prefixes


def number(gamma: object) -> float:
    """Return a strength that is a finite number.

    Raises:
        ValueError: if it is anything else, such as a function of ``alpha_t``.
    """
    if callable(gamma):
        raise ValueError(
            "gamma is a function of alpha_t, but an autoregressive network has no clock: "
            "expected a number"
        )
    if not isinstance(gamma, float | int) or not math.isfinite(gamma):
        raise ValueError(f"gamma is {gamma!r}, expected a finite number")
    return float(gamma)


class GuidedModel:
    """What all guided language models have: the shape and the cost of the one inside."""

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
            model: one that takes conditions.
            gamma: weight of the conditional prediction: 0 ignores the condition, more than 1
                exaggerates it.
            goal_weights: of goals whose weights differ; a forward more for each further weight.

        Raises:
            ValueError: if gamma is no finite number.
        """
        super().__init__(model)
        self.gamma, self.goal_weights = number(gamma), goal_weights
        asked = parts(goal_weights) + 1
        self.forwards = asked * model.forwards
        self.classifier_forwards = asked * model.classifier_forwards

    def begin(self, rows: int, condition: Tensor | None = None) -> Prefixes:
        """Begin rows; see :class:`molgen.nn.language_model.LanguageModel`.

        Raises:
            ValueError: if there is no condition to guide by.
        """
        if condition is None:
            raise ValueError("condition is None, but guidance needs one")
        told = readings(self.goal_weights, condition, free=True)
        begun = self.model.begin(len(told) * rows, torch.cat(told))
        return _Together(begun, rows, len(told), self)


class _Together:
    """Rows written once, and read with and without what they are told."""

    def __init__(
        self, prefixes: Prefixes, rows: int, readings: int, guided: ClassifierFreeModel
    ) -> None:
        self._prefixes, self._rows, self._readings = prefixes, rows, readings
        self._guided = guided

    def append(self, tokens: Tensor) -> Tensor:
        log_p = self._prefixes.append(tokens.repeat(self._readings))
        *told, free = log_p[:, None].split(self._rows)
        goal_weights = self._guided.goal_weights
        given = goal_weights.combine(told) if goal_weights else told[0]
        return classifier_free_masked(given, free, self._guided.gamma)[:, 0]

    def keep(self, rows: Tensor) -> None:
        self._prefixes.keep(torch.cat([rows + i * self._rows for i in range(self._readings)]))
        self._rows = len(rows)


class ScoredPrefixes(Protocol):
    """Rows that a classifier reads along with."""

    def append(self, tokens: Tensor) -> Tensor:
        """Take one more token of each row and score what may follow.

        Args:
            tokens: ids with shape (rows,), on the CPU; the first are all ``[MASK]``.

        Returns:
            ``log p(y | tokens so far, next token := v)`` on the CPU with shape (rows, vocab);
            ``[PAD]`` is the end.
        """
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone; see :class:`molgen.nn.language_model.Prefixes`."""
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
        """Most tokens a row may have."""
        ...

    def begin(self, rows: int) -> ScoredPrefixes:
        """Begin so many rows."""
        ...


class FudgeModel(GuidedModel):
    """FUDGE of a language model."""

    def __init__(self, model: LanguageModel, scores: PrefixScores, gamma: float = 1.0) -> None:
        """Wrap a model.

        Args:
            model: what is to be steered.
            scores: the classifier.
            gamma: strength; 0 is unguided, 1 is Bayes' rule.

        Raises:
            ValueError: if gamma is no finite number, or the classifier reads another vocabulary or
                too short rows.
        """
        super().__init__(model)
        if scores.vocab_size != model.vocab_size or scores.max_length < model.max_length:
            raise ValueError(
                f"the classifier reads {scores.max_length} of {scores.vocab_size} tokens, expected "
                f"at least {model.max_length} of {model.vocab_size}, as the network writes"
            )
        self.scores, self.gamma = scores, number(gamma)
        self.classifier_forwards += scores.forwards

    def begin(self, rows: int, condition: Tensor | None = None) -> Prefixes:
        """Begin rows; see :class:`molgen.nn.language_model.LanguageModel`."""
        return _Tilted(self.model.begin(rows, condition), self.scores.begin(rows), self.gamma)


class _Tilted:
    """Rows that a language model writes and a classifier reads along."""

    def __init__(self, prefixes: Prefixes, scored: ScoredPrefixes, gamma: float) -> None:
        self._prefixes, self._scored, self._gamma = prefixes, scored, gamma

    def append(self, tokens: Tensor) -> Tensor:
        log_p = self._prefixes.append(tokens)
        scores = self._scored.append(tokens).to(log_p)
        # a row from which y is out of reach is written on as if nothing were asked
        within = ((log_p > -torch.inf) & (scores > -torch.inf)).any(-1, keepdim=True)
        scores = torch.where(within, scores, 0.0)
        return tilt(log_p[:, None], scores[:, None], self._gamma)[:, 0]

    def keep(self, rows: Tensor) -> None:
        self._prefixes.keep(rows)
        self._scored.keep(rows)

"""The noisy classifier: properties of the final molecule from noised tokens and candidates.

Its input is ``x_t``, and its output a histogram over bins of each property, in two forms:

    log p(y | x_t)                              one row, one number a bin
    log p(y | x_t, token l := v)                for every l and v, in the same forward

Classifier-based guidance needs the second at every step; enumeration takes one classifier row per
candidate. Here a head *learns* it without enumeration: the token of a training molecule at ``l`` is
a draw of ``v``, so the optimum of a head that predicts the molecule's ``y`` from ``(features_l,
v)`` is this conditional.

The candidate is a token of a state ``x_s`` that is a little less noised than ``x_t``: for masked
noise the clean token; for uniform noise that after one step; without noise (a prefix) the next
token, as in a future discriminator (Yang and Klein, "FUDGE: Controlled Text Generation With Future
Discriminators", 2021).

The noisy classifier is used for guidance only; final molecules are scored by RDKit or a property
predictor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
from msgspec import Meta, field
from torch import Tensor, nn
from torch.nn import functional as F

from molgen.errors import MolgenError
from molgen.nn.config import DenoiserConfig
from molgen.nn.micro_batches import LEAST_TOKENS, filling
from molgen.nn.stored import Name, StoredShape
from molgen.nn.trunk import Trunk
from molgen.targets import Target
from molgen.utils.threads import wide
from property_models.classifiers.bins import Bins

SIZES = {"hidden_size": 128, "num_layers": 4, "num_heads": 4, "condition_size": 32}
CANDIDATE_WIDTH = 2  # of the candidate head's hidden layer, in units of the trunk's width
AT_ONCE = 64  # positions whose candidates a CPU predicts together
TYPICAL = 32  # tokens: scale of a sum over a row


class NoisyClassifierConfig(DenoiserConfig):
    """Shape of a :class:`NoisyClassifier`, with its bins."""

    model_type = "molgen_guide"

    def __init__(
        self,
        labels: list[str] | None = None,
        edges: list[list[float]] | None = None,
        mass: list[list[float]] | None = None,
        sums: bool = False,
        **kwargs: Any,
    ) -> None:
        """Set the shape.

        Args:
            labels: the properties it predicts.
            edges: of each property's bins; see :class:`property_models.classifiers.bins.Bins`.
            mass: fraction of the training molecules in each bin.
            sums: whether rows are pooled by the sum of features in addition to the mean: many
                properties are sums over a molecule. Classifiers of prefixes have neither.
            **kwargs: as for :class:`molgen.nn.config.DenoiserConfig`, without ``properties``.
        """
        self.labels, self.edges, self.mass = labels or [], edges or [], mass or []
        self.sums = sums
        super().__init__(**{**SIZES, **kwargs})


class StoredClassifier(StoredShape, kw_only=True):
    """The shape of a classifier in ``config.json``; see :class:`NoisyClassifierConfig`."""

    model_type: Annotated[str, Meta(pattern="^molgen_guide$")]
    labels: list[Name] = field(default_factory=list)
    edges: list[list[float]] = field(default_factory=list)
    mass: list[list[float]] = field(default_factory=list)
    sums: bool = False

    def __post_init__(self) -> None:
        """Check that each label has its bins.

        Raises:
            MolgenError: with the keys' names.
        """
        super().__post_init__()
        if not len(set(self.labels)) == len(self.labels) == len(self.edges) == len(self.mass):
            raise MolgenError("labels, edges and mass have different lengths or repeated labels")
        for edges, mass in zip(self.edges, self.mass, strict=True):
            Bins(edges, mass)
            if not np.isfinite(edges).all() or not (np.array(mass) >= 0).all():
                raise MolgenError("edges and mass have a number that is not finite or is below 0")


class NoisyClassifier(Trunk):
    """Histograms of properties from noised tokens."""

    config_class = NoisyClassifierConfig  # type: ignore[assignment]
    config: NoisyClassifierConfig
    stored = StoredClassifier
    base_model_prefix = "guide"

    def __init__(self, config: NoisyClassifierConfig) -> None:
        super().__init__(config)
        self.bins = tuple(Bins(*pair) for pair in zip(config.edges, config.mass, strict=True))
        self.most = max((len(b) for b in self.bins), default=1)
        width, hidden = config.hidden_size, CANDIDATE_WIDTH * config.hidden_size
        outputs = len(config.labels) * self.most
        whole = 2 * width if config.sums else width
        self.row = nn.Sequential(nn.Linear(whole, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
        self.place = nn.Linear(width, hidden)
        self.pooled = nn.Linear(whole, hidden)
        self.value = nn.Embedding(config.vocab_size, hidden)
        self.candidate = nn.Linear(hidden, outputs)
        self.post_init()

    def _zero_layers(self) -> set[nn.Module]:
        """Return the layers that are initialised to zero, so that all bins are equally likely."""
        return super()._zero_layers() | {self.row[2], self.candidate}

    @property
    def noise(self) -> str:
        """Noise of training: ``"masked"``, ``"uniform"`` or ``"none"``."""
        return self.config.noise

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties it predicts."""
        return tuple(self.config.labels)

    def wanted(self, name: str, target: Target) -> Tensor:
        """Return the fraction of each bin that meets a target, with shape (bins,).

        Raises:
            MolgenError: if the property is not predicted, or no bin meets the target.
        """
        share = self.bins[self.index(name)].share(target)
        if not share.any():
            raise MolgenError(
                f"target {name}={target!r}: no molecule of the training data meets it"
            )
        return F.pad(torch.from_numpy(share).float(), (0, self.most - len(share)))

    def index(self, name: str) -> int:
        """Return the index of a property.

        Raises:
            MolgenError: if it is not predicted, with the predicted ones.
        """
        if name not in self.properties:
            predicted = ", ".join(self.properties) or "none"
            raise MolgenError(f"target is {name}, expected one of the classifier's: {predicted}")
        return self.properties.index(name)

    def log_prob(self, tokens: Tensor, alpha: Tensor | None = None) -> Tensor:
        """Return ``log p(y | x_t)``.

        Args:
            tokens: noised ids with shape (batch, length), or floats with shape (batch, length,
                vocab) that sum to one over the vocabulary; then differentiable in them.
            alpha: fraction kept with shape (batch,), for a classifier with a time input.

        Returns:
            Log-probabilities with shape (batch, properties, bins), -inf at bins a property lacks.
        """
        x, real = self._features(tokens, alpha)
        pooled = self._last(x, real) if self.causal else self._whole(x, real)
        return self._log_bins(_invariant(self.row, pooled))

    def candidate_log_prob(
        self,
        tokens: Tensor,
        indices: Sequence[int],
        alpha: Tensor | None = None,
        at: Tensor | None = None,
    ) -> Tensor:
        """Return ``log p(y | x_t, token l := v)`` of properties for every position and token.

        Args:
            tokens: noised ids with shape (batch, length); for prefixes, ``[MASK]`` and then the
                tokens: at position i the candidate is the token after it, with padding for the end.
            indices: of properties, from :meth:`index`.
            alpha: fraction kept with shape (batch,), for a classifier with a time input.
            at: positions to predict for, as indices into the flattened rows, with shape
                (positions,); None for all of them.

        Returns:
            Log-probabilities with shape (batch, length, vocab, properties, bins), or (positions,
            vocab, properties, bins).
        """
        x, real = self._features(tokens, alpha)
        context = self._context(x, real)
        if at is None:
            return self.candidate_bins(context, indices)
        return self.candidate_bins(context.flatten(0, 1)[at].unsqueeze(1), indices).squeeze(1)

    def candidate_bins(self, context: Tensor, indices: Sequence[int]) -> Tensor:
        """Return the candidate head's predictions for every token.

        Args:
            context: its input without the candidate, shape (batch, length, hidden); for prefixes
                ``place`` of the trunk's output.
            indices: of properties.

        Returns:
            Log-probabilities with shape (batch, length, vocab, properties, bins).
        """
        shape = len(self.bins), self.most
        weight = self.candidate.weight.unflatten(0, shape)[list(indices)].flatten(0, 1)
        bias = self.candidate.bias.unflatten(0, shape)[list(indices)].flatten()
        absent = self._absent()[list(indices)]

        def predicted(rows: Tensor) -> Tensor:
            hidden = torch.relu_(rows[..., None, :] + self.value.weight)
            hidden = hidden.square() if torch.is_grad_enabled() else hidden.square_()
            logits = wide(F.linear(hidden, weight, bias)).unflatten(-1, (len(indices), self.most))
            return logits.masked_fill_(absent, -torch.inf).log_softmax(-1)

        if context.device.type != "cpu":
            return predicted(context)
        # hidden values of all tokens take 100 KB a position: a few positions stay in the cache
        flat = [predicted(some) for some in context.flatten(0, 1).split(AT_ONCE)]
        return torch.cat(flat).unflatten(0, context.shape[:2])

    def given(self, tokens: Tensor, x_s: Tensor, alpha: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return both predictions of training, for all properties and one candidate a position.

        Args:
            tokens: noised ids with shape (batch, length).
            x_s: the candidate at each position, same shape.
            alpha: as for :meth:`log_prob`.

        Returns:
            ``log p(y | x_t)`` with shape (batch, 1, properties, bins), or for prefixes (batch,
            length, properties, bins), and ``log p(y | x_t, x_s at l)`` with shape (batch, length,
            properties, bins).
        """
        x, real = self._features(tokens, alpha)
        rows = x if self.causal else self._whole(x, real)[:, None]
        base = F.relu(self._context(x, real) + self.value(x_s)).square()
        return self._log_bins(self.row(rows)), self._log_bins(self.candidate(base))

    def _features(self, tokens: Tensor, alpha: Tensor | None) -> tuple[Tensor, Tensor]:
        soft = tokens.is_floating_point()
        embedded = tokens @ self.token.weight.to(tokens.dtype) if soft else self.token(tokens)
        real = (tokens.argmax(-1) if soft else tokens) != self.pad_id
        return self.features(embedded, real, None, alpha), real

    def _context(self, x: Tensor, real: Tensor) -> Tensor:
        """Return the candidate head's input without the candidate, (batch, length, hidden)."""
        at = self.place(x)
        return at if self.causal else at + _invariant(self.pooled, self._whole(x, real))[:, None]

    def _whole(self, x: Tensor, real: Tensor) -> Tensor:
        weight = real.to(x.dtype)[..., None]
        total = (x * weight).sum(1)
        mean = total / weight.sum(1)
        return torch.cat((mean, total / TYPICAL), -1) if self.config.sums else mean

    def _last(self, x: Tensor, real: Tensor) -> Tensor:
        return x[torch.arange(len(x), device=x.device), real.sum(1) - 1]

    def _log_bins(self, logits: Tensor) -> Tensor:
        shaped = wide(logits).unflatten(-1, (len(self.bins), self.most))
        return shaped.masked_fill(self._absent(), -torch.inf).log_softmax(-1)

    def _absent(self) -> Tensor:
        """Return True at bins that a property lacks, (properties, bins)."""
        counts = torch.tensor([len(b) for b in self.bins], device=self.device)
        return torch.arange(self.most, device=self.device) >= counts[:, None]


def _invariant(layer: nn.Module, rows: Tensor) -> Tensor:
    """Return a layer's output, with batch invariance."""
    fill = filling(len(rows), LEAST_TOKENS, rows.device)
    found: Tensor = layer(rows[fill.to(rows.device)] if len(fill) > len(rows) else rows)
    return found[: len(rows)]


def log_meets(log_bins: Tensor, wanted: Tensor) -> Tensor:
    """Return ``log p(y meets the target)``, the last axis summed over bins.

    Args:
        log_bins: log-probabilities with shape (..., bins).
        wanted: fraction of each bin that meets the target, shape (bins,).
    """
    return (log_bins + wanted.to(log_bins.device).log()).logsumexp(-1)

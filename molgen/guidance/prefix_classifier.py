"""A learned classifier of prefixes: the classifier of FUDGE.

    log p(y | prefix, v) = sum_k gamma_k log p(y_k in S_k | prefix, v)
    p(y_k in S_k | prefix, v) = sum over bins b of  p(b | prefix, v) * share of b that lies in S_k

The network (:mod:`property_models.classifiers.network`) has the trunk of every molgen network, so
it uses the same key-value cache; its candidate head scores all next tokens at once. One forward
covers all targets.

Reference: Yang and Klein, "FUDGE: Controlled Text Generation With Future Discriminators" (2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from molgen.errors import MolgenError
from molgen.guidance.classifier import ClassifierTarget
from molgen.guidance.next_token import ScoredPrefixes, number
from molgen.nn.kv_cache import KVCache
from molgen.nn.micro_batches import precision, prepared
from molgen.utils.threads import resolve_dtype
from property_models.classifiers.network import NoisyClassifier


class PrefixClassifierScores:
    """A classifier with its targets; a :class:`molgen.guidance.next_token.PrefixScores`."""

    forwards = 1

    def __init__(
        self,
        network: NoisyClassifier,
        targets: Sequence[ClassifierTarget],
        device: str = "cpu",
        dtype: str = "auto",
    ) -> None:
        """Prepare the classifier.

        Args:
            network: trained on prefixes (noise ``"none"``).
            targets: each property at most once.
            device: where to run.
            dtype: ``"bf16"``, ``"fp32"`` or ``"auto"``: of the matrix products.

        Raises:
            MolgenError: if the classifier was trained on another noise, there is no target, a
                property is named twice, the classifier does not predict it or has no bin that meets
                its target, or a strength is not a finite number.
        """
        if not network.causal:
            raise MolgenError(
                f"the classifier's noise is {network.noise!r}, expected 'none' (trained on "
                "prefixes), since the network is autoregressive"
            )
        names = [target.name for target in targets]
        if not names or len(set(names)) < len(names):
            raise MolgenError(f"targets name {names}, expected different properties, at least one")
        self.device, self.dtype = torch.device(device), resolve_dtype(dtype, device)
        self.network = prepared(network, self.device, self.dtype)
        self.vocab_size, self.max_length = network.vocab_size, network.max_length
        self._targets = [
            (
                network.index(target.name),
                network.wanted(target.name, target.target).double().log(),
                number(target.gamma),
            )
            for target in targets
        ]

    @torch.inference_mode()
    def begin(self, rows: int) -> ScoredPrefixes:
        """Begin rows; see :class:`molgen.guidance.next_token.PrefixScores`."""
        with precision(self.device, self.dtype):
            return _CachedPrefixes(self, KVCache(self.network, rows))

    def score(self, x: Tensor) -> Tensor:
        """Return the scores of all next tokens.

        Args:
            x: the input of the heads, with shape (rows, 1, hidden).

        Returns:
            ``log p(y | prefix, v)``, float64, on the CPU, with shape (rows, vocab).
        """
        total = torch.zeros(len(x), self.vocab_size, dtype=torch.float64)
        indices = [index for index, *_ in self._targets]
        bins = self.network.candidate_bins(self.network.place(x), indices)[:, 0].cpu().double()
        for k, (_, log_share, gamma) in enumerate(self._targets):
            total += gamma * (bins[:, :, k] + log_share).logsumexp(-1)
        return total


class _CachedPrefixes:
    """Prefixes in the key-value cache of the classifier."""

    def __init__(self, scores: PrefixClassifierScores, cache: KVCache) -> None:
        self._scores, self._cache = scores, cache

    @torch.inference_mode()
    def append(self, tokens: Tensor) -> Tensor:
        scores = self._scores
        with precision(scores.device, scores.dtype):
            return scores.score(self._cache.append(tokens.to(scores.device)))

    @torch.inference_mode()
    def keep(self, rows: Tensor) -> None:
        self._cache.keep(rows.to(self._scores.device))

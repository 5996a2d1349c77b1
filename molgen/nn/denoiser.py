"""The denoiser ``p(x_0 | x_t)``, which a masked diffusion model learns.

:class:`Denoiser` is the protocol that guidance and sampling use; :class:`MoleculeDenoiser` is
the compact bidirectional transformer that molgen trains, a ``transformers`` ``PreTrainedModel`` so
that ``save_pretrained``, ``from_pretrained`` and ``push_to_hub`` work. The network up to its heads
is in :mod:`molgen.nn.trunk`; pretrained masked language models are denoisers by
:mod:`molgen.nn.masked_lm`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM
from transformers.modeling_outputs import MaskedLMOutput

from molgen.nn.config import DenoiserConfig
from molgen.nn.trunk import Block, Trunk
from molgen.utils.threads import wide

__all__ = ["Block", "Denoiser", "DenoiserConfig", "MoleculeDenoiser", "noise_of"]


@dataclass(frozen=True)
class Answer:
    """The output of a network for noised rows.

    Attributes:
        logits: unnormalised ``log p(x_0 | x_t)`` with shape (batch, length, vocab), ``-inf`` at
            padding and mask tokens.
        quality: log-odds that each placed token is right given the others, shape (batch, length);
            undefined at masks. None without a quality head.
    """

    logits: Tensor
    quality: Tensor | None = None


class Denoiser(Protocol):
    """Interface of a network for guidance and sampling; plain attributes are allowed too."""

    @property
    def vocab_size(self) -> int:
        """Tokens including the special ones."""
        ...

    @property
    def mask_id(self) -> int:
        """Id of the mask token."""
        ...

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        ...

    @property
    def max_length(self) -> int:
        """Longest row in tokens."""
        ...

    @property
    def time_input(self) -> bool:
        """Whether the network is conditioned on ``alpha_t``."""
        ...

    def logits(
        self, tokens: Tensor, condition: Tensor | None = None, alpha: Tensor | None = None
    ) -> Tensor:
        """Return unnormalised ``log p(x_0 | x_t)``.

        Args:
            tokens: noised ids with shape (batch, length).
            condition: property values with shape (batch, properties), NaN where absent.
            alpha: fraction kept with shape (batch,), for networks with a time input.

        Returns:
            Logits with shape (batch, length, vocab), ``-inf`` at padding and mask tokens.
        """
        ...


def noise_of(model: Denoiser) -> str:
    """Return the noise that a network was trained on; by default masking."""
    return str(getattr(getattr(model, "config", None), "noise", "masked"))


class MoleculeDenoiser(Trunk):
    """Transformer denoiser with optional conditions and time input."""

    base_model_prefix = "denoiser"

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__(config)
        self.head = nn.Linear(config.hidden_size, config.vocab_size)
        self.quality_head = nn.Linear(config.hidden_size, 1) if config.quality else None
        self.post_init()

    def _zero_layers(self) -> set[nn.Module]:
        """Return the layers that are initialised to zero, so that all tokens are equally likely."""
        heads = (self.head, self.quality_head)
        return super()._zero_layers() | {head for head in heads if head is not None}

    def logits(
        self, tokens: Tensor, condition: Tensor | None = None, alpha: Tensor | None = None
    ) -> Tensor:
        """Return unnormalised ``log p(x_0 | x_t)``; see :class:`Denoiser`.

        The input of a causal network is ``[MASK]`` for the beginning, and then the tokens; its
        logits at each position are those of the next token, with padding for the end.

        Raises:
            MolgenError: if a row is longer than ``max_length``.
        """
        return self.answer(tokens, condition, alpha).logits

    def answer(
        self, tokens: Tensor, condition: Tensor | None = None, alpha: Tensor | None = None
    ) -> Answer:
        """Return logits and, with a quality head, the quality of placed tokens, in one forward.

        Arguments and errors are those of :meth:`logits`.
        """
        return self.heads(self.read(tokens, condition, alpha))

    def read(
        self, tokens: Tensor, condition: Tensor | None = None, alpha: Tensor | None = None
    ) -> Tensor:
        """Return the input of the heads, shape (batch, length, hidden); see :meth:`logits`."""
        return self.features(self.token(tokens), tokens != self.pad_id, condition, alpha)

    def heads(self, x: Tensor) -> Answer:
        """Return the output of the heads for the output of :meth:`read`."""
        logits = wide(self.head(x))
        first_special = self.mask_id if self.causal else self.pad_id
        special = torch.arange(self.vocab_size, device=x.device) >= first_special
        logits = logits.masked_fill(special, float("-inf"))
        if self.quality_head is None:
            return Answer(logits)
        return Answer(logits, wide(self.quality_head(x)).squeeze(-1))

    def forward(
        self,
        input_ids: Tensor,
        condition: Tensor | None = None,
        alpha: Tensor | None = None,
        **_: Any,
    ) -> MaskedLMOutput:
        """Return :meth:`logits` in the ``transformers`` form."""
        return MaskedLMOutput(logits=cast(Any, self.logits(input_ids, condition, alpha)))


def with_quality_head(model: MoleculeDenoiser) -> MoleculeDenoiser:
    """Return the network if it has a quality head, else a copy with an untrained one."""
    if model.quality_head is not None:
        return model
    config = copy.deepcopy(model.config)
    config.quality = True
    with torch.random.fork_rng(devices=[]):
        found = MoleculeDenoiser(config)
    found.load_state_dict(model.state_dict(), strict=False)
    return found


# After importing molgen.nn.denoiser, from_pretrained of transformers' auto classes works.
AutoConfig.register(DenoiserConfig.model_type, DenoiserConfig, exist_ok=True)
for auto in (AutoModel, AutoModelForMaskedLM):
    auto.register(DenoiserConfig, MoleculeDenoiser, exist_ok=True)

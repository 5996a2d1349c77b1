"""Masked language models as denoisers: a network trained to fill masks predicts ``p(x_0 | x_t)``.

Masked diffusion is trained with the targets of BERT and with other shares of masks, so that a
pretrained masked language model is a denoiser without any training (Wang and Cho, "BERT has a
Mouth, and It Must Speak", 2019; Sahoo et al., "Simple and Effective Masked Diffusion Language
Models", 2024). What it was not trained for is a row of masks alone.

:class:`MaskedLM` is a network of ``transformers``, :class:`PublishedLM` one of
:mod:`molgen.nn.published`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from molgen.errors import MolgenError
from molgen.nn.published import PublishedDenoiser
from molgen.utils.threads import wide

MODEL_TYPES = (
    *("albert", "bert", "camembert", "deberta-v2", "distilbert", "electra", "esm", "modernbert"),
    *("mpnet", "roberta", "roformer", "xlm-roberta"),
)
"""Model types of ``transformers``, of which tests draw from a network each."""
AFTER_PADDING = ("camembert", "esm", "roberta", "xlm-roberta")
"""Model types that number positions from the id behind the padding token's."""
FIRST_OF_MPNET = 2  # its number of the first position, whatever the id of the padding token


class MaskedLM(nn.Module):
    """A masked language model of ``transformers`` as a :class:`molgen.nn.denoiser.Denoiser`.

    It has no conditions and no time input.
    """

    time_input = False

    def __init__(
        self,
        model: PreTrainedModel | PublishedDenoiser,
        pad_id: int,
        mask_id: int,
        max_length: int,
        never: Sequence[int] = (),
    ) -> None:
        """Wrap a network.

        Args:
            model: the network.
            pad_id: id of its padding token.
            mask_id: id of its mask token.
            max_length: longest row in tokens.
            never: ids that are never drawn, beside those of padding and mask.
        """
        super().__init__()
        self.model, self.pad_id, self.mask_id, self.max_length = model, pad_id, mask_id, max_length
        self.vocab_size = int(model.config.vocab_size)
        ids = torch.arange(self.vocab_size)
        excluded = torch.isin(ids, torch.tensor([pad_id, mask_id, *never]))
        self.register_buffer("_excluded", excluded, persistent=False)
        self._excluded: Tensor

    def logits(
        self, tokens: Tensor, condition: Tensor | None = None, alpha: Tensor | None = None
    ) -> Tensor:
        """Return unnormalised ``log p(x_0 | x_t)``; see :class:`molgen.nn.denoiser.Denoiser`.

        Raises:
            MolgenError: if a condition is given.
        """
        if condition is not None and not bool(condition.isnan().all()):
            raise MolgenError("condition is given, expected None for a masked language model")
        return wide(self._raw(tokens, alpha)).masked_fill(self._excluded, float("-inf"))

    def _raw(self, tokens: Tensor, alpha: Tensor | None) -> Tensor:
        """Return the output of the network, shape (batch, length, vocab)."""
        attention_mask = (tokens != self.pad_id).long()
        return cast(Tensor, self.model(input_ids=tokens, attention_mask=attention_mask).logits)


class PublishedLM(MaskedLM):
    """A network in the published layout of discrete diffusion, of masked noise."""

    def __init__(
        self, model: PublishedDenoiser, pad_id: int, mask_id: int, never: Sequence[int] = ()
    ) -> None:
        """Wrap a network; see :class:`MaskedLM`."""
        super().__init__(model, pad_id, mask_id, model.config.model_length, never)
        self.time_input = model.config.time_conditioning

    def _raw(self, tokens: Tensor, alpha: Tensor | None) -> Tensor:
        return cast(Tensor, self.model(tokens, alpha))


def longest_row(model: PreTrainedModel) -> int:
    """Return the number of positions of a network.

    Raises:
        MolgenError: if its configuration has none.
    """
    config = model.config
    found = getattr(config, "max_position_embeddings", None)
    if not isinstance(found, int):
        raise MolgenError(f"max_position_embeddings is {found!r}, expected a whole number")
    if config.model_type in AFTER_PADDING:
        found -= int(config.pad_token_id) + 1
    if config.model_type == "mpnet":
        found -= FIRST_OF_MPNET
    return found

"""Pretrained masked language models, from objects or by name."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.data.tokenizer import MASK
from molgen.errors import MolgenError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from molgen.data.sequence_tokenizer import SequenceTokenizer
    from molgen.nn.masked_lm import MaskedLM
    from molgen.nn.published import PublishedDenoiser
    from molgen.sampling.sequence_model import SequenceModel


def denoiser_from(
    model: PreTrainedModel | PublishedDenoiser | str | Path,
    tokenizer: PreTrainedTokenizerBase | str | Path | None = None,
) -> SequenceModel:
    """Return a pretrained masked model as a denoiser that draws texts; nothing is trained.

        masked = molgen.denoiser_from(model, tokenizer)      # of transformers
        masked = molgen.denoiser_from("hf:owner/name")       # or a folder
        masked.sample(10, template="Paris is the [MASK] of France.", steps=8)

    No code of a folder runs, and weights are read from safetensors alone.

    Args:
        model: a masked language model of ``transformers``, such as BERT, RoBERTa, ESM or ModernBERT
            (an error lists the types); its folder, or ``hf:owner/name[@revision]``; or a network in
            the published layout of masked discrete diffusion, ``mdlm``.
        tokenizer: its tokenizer, or the folder or name of one; by default that of the model's
            folder.

    Raises:
        MolgenError: if the model is of another type, or cannot be read, or has no tokenizer.
    """
    from molgen.checkpoints.masked_lm import folder_of, load_network, load_tokenizer, supported
    from molgen.data.sequence_tokenizer import SequenceTokenizer
    from molgen.sampling.sequence_model import SequenceModel

    name, folder = type(model).__name__, None
    if isinstance(model, str | Path):
        name, folder = folder_of(model)
        tokenizer = folder if tokenizer is None else tokenizer
        model = load_network(folder)
    if isinstance(tokenizer, str | Path):
        tokenizer = load_tokenizer(tokenizer)
    network, backend = supported(model), _with_mask(tokenizer)
    own = SequenceTokenizer(backend, network.config.vocab_size)
    return SequenceModel.of(name, _wrapped(network, own), own, folder)


def _with_mask(tokenizer: Any) -> PreTrainedTokenizerBase:
    """Return a tokenizer, with a mask behind its tokens if it has none, as published networks do.

    Raises:
        MolgenError: if it is no tokenizer.
    """
    from transformers import PreTrainedTokenizerBase

    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise MolgenError(
            f"tokenizer is {type(tokenizer).__name__}, expected the model's, one of transformers, "
            "or its folder"
        )
    if tokenizer.mask_token_id is None:
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.add_special_tokens({"mask_token": MASK})
    return tokenizer


def _wrapped(model: PreTrainedModel | PublishedDenoiser, tokenizer: SequenceTokenizer) -> MaskedLM:
    """Return a network as a denoiser that draws no special token.

    Raises:
        MolgenError: if the longest row is no number.
    """
    from molgen.nn.masked_lm import MaskedLM, PublishedLM, longest_row
    from molgen.nn.published import PublishedDenoiser

    pad, mask, never = tokenizer.pad_id, tokenizer.mask_id, sorted(tokenizer.special)
    if isinstance(model, PublishedDenoiser):
        return PublishedLM(model, pad, mask, never)
    longest, limit = longest_row(model), tokenizer.backend.model_max_length
    if not isinstance(limit, int | float) or not limit >= 1:
        raise MolgenError(f"model_max_length of the tokenizer is {limit!r}, expected a number")
    return MaskedLM(model, pad, mask, int(min(longest, limit)), never)

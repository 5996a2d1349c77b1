"""Tiny masked language models with random weights and their tokenizers, of every supported type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = tuple("ACDEFG")
WORDS = ("big", "blue", "boat", "cat", "is", "sea", "the")
LONGEST = 24  # tokens of a row


def tokenizer(words: tuple[str, ...] = LETTERS) -> PreTrainedTokenizerFast:
    """A tokenizer of words between blanks, with BERT's special tokens around a text."""
    ids = {token: i for i, token in enumerate((*SPECIAL, *words))}
    backend = Backend(models.WordLevel(ids, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    around = [(token, ids[token]) for token in ("[CLS]", "[SEP]")]
    backend.post_processor = TemplateProcessing("[CLS] $A [SEP]", special_tokens=around)
    names = zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True)
    marks = {f"{name}_token": token for name, token in names}
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=LONGEST, **marks)


def network(kind: str = "bert", vocab_size: int = len(SPECIAL) + len(LETTERS)) -> PreTrainedModel:
    """A network whose predictions depend strongly on the row; each type names its sizes itself."""
    sizes: dict[str, Any] = {
        "vocab_size": vocab_size,
        "max_position_embeddings": LONGEST + 8,
        "pad_token_id": 0,
        "cls_token_id": 2,
        "bos_token_id": 2,
        "sep_token_id": 3,
        "eos_token_id": 3,
        "mask_token_id": 4,
        "type_vocab_size": 2,
        "embedding_size": 32,
    }
    sizes |= {name: 32 for name in ("hidden_size", "dim")}
    sizes |= {name: 32 for name in ("intermediate_size", "hidden_dim")}
    sizes |= {name: 1 for name in ("num_hidden_layers", "n_layers")}
    sizes |= {name: 4 for name in ("num_attention_heads", "n_heads")}
    if kind == "modernbert":
        sizes["reference_compile"] = False
    if kind == "esm":
        sizes["position_embedding_type"] = "rotary"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = AutoConfig.for_model(kind, **sizes)
        made: Any = MODEL_FOR_MASKED_LM_MAPPING[type(config)]
        model: PreTrainedModel = made(config)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.data = torch.randn(parameter.shape) * 0.6
    return model.eval()


def save(folder: Path, kind: str = "bert", words: tuple[str, ...] = LETTERS) -> Path:
    """Write a folder of ``transformers``."""
    network(kind, len(SPECIAL) + len(words)).save_pretrained(folder)
    tokenizer(words).save_pretrained(folder)
    return folder

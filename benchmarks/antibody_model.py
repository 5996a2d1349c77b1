"""AntiBERTy's masked language model as a folder of transformers, from the wheel that contains it.

    pip download --no-deps antiberty==0.1.3 -d out
    python benchmarks/antibody_model.py out/antiberty-0.1.3-py3-none-any.whl out/antiberty

The wheel (MIT, 26 million parameters; Ruffolo et al., "Deciphering antibody affinity maturation
with language models and weakly supervised learning", 2021) contains the weights of a BERT with
three further heads, for species, chain and grafting, which are left out. Nothing of the wheel is
installed or runs: weights are read with ``weights_only=True`` and written as safetensors.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

INSIDE = "antiberty/trained_models"
NETWORK = f"{INSIDE}/AntiBERTy_md_smooth"
SHAPE = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "hidden_act"),
    *("intermediate_size", "max_position_embeddings", "type_vocab_size", "layer_norm_eps"),
    *("pad_token_id",),
)
"""Keys of the wheel's ``config.json`` that shape the network."""


def main() -> None:
    """Read the wheel and write the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    with zipfile.ZipFile(options.wheel) as wheel:
        shape = json.loads(wheel.read(f"{NETWORK}/config.json"))
        weights = io.BytesIO(wheel.read(f"{NETWORK}/pytorch_model.bin"))
        vocabulary = wheel.read(f"{INSIDE}/vocab.txt")
    network = BertForMaskedLM(BertConfig(**{name: shape[name] for name in SHAPE}))
    state: dict[str, Any] = torch.load(weights, weights_only=True, map_location="cpu")
    kept = network.state_dict().keys()
    network.load_state_dict({name: tensor for name, tensor in state.items() if name in kept})
    network.save_pretrained(options.folder)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_bytes(vocabulary)
        tokenizer = BertTokenizer(vocab=str(path), do_lower_case=False)
    tokenizer.model_max_length = network.config.max_position_embeddings
    tokenizer.save_pretrained(options.folder)
    print(f"wrote {options.folder}; left out: {', '.join(sorted(state.keys() - kept))}")


if __name__ == "__main__":
    main()

"""Folders of masked language models made elsewhere, read without running any of their code.

| layout | files |
|---|---|
| ``transformers``, model types of :data:`molgen.nn.masked_lm.MODEL_TYPES` | ``config.json``, \
``model.safetensors``, the tokenizer |
| published discrete diffusion, ``mdlm`` (:mod:`molgen.nn.published`) | the first two |

Keys of ``config.json`` that name code, kernels or another way of loading are left out, sizes have
limits, and weights are read from safetensors alone. A network without weights for its head, which
``transformers`` would draw at random, is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from molgen.checkpoints.files import CONFIG, INFO, TOKENIZER, WEIGHTS
from molgen.checkpoints.folder import quiet
from molgen.checkpoints.hub import HUB, bundled_names, fetch, resolve
from molgen.errors import ModelError
from molgen.nn.masked_lm import MODEL_TYPES
from molgen.utils.array_files import safetensors_layout
from molgen.utils.hints import one_of
from molgen.utils.json_files import checked, read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from molgen.nn.published import PublishedDenoiser

TOKENIZER_FILES = (
    *(TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt"),
)
FILES = (CONFIG, WEIGHTS, *TOKENIZER_FILES)
"""All files that are read from a folder; nothing else is fetched."""
PUBLISHED = "mdlm"
ELSEWHERE = (
    *("auto_map", "quantization_config", "attn_implementation", "_attn_implementation", "dtype"),
    *("torch_dtype", "_name_or_path", "architectures", "transformers_version", "model_type"),
)
"""Keys that are left out: code, kernels, precision and the place that a model comes from."""

_Count = Annotated[int, Meta(ge=1, le=2**20)] | UnsetType


class _Sizes(Struct):
    """Sizes, as far as they are there; memory is proportional to each."""

    model_type: str
    vocab_size: _Count = UNSET
    hidden_size: _Count = UNSET
    num_hidden_layers: Annotated[int, Meta(ge=1, le=1024)] | UnsetType = UNSET
    intermediate_size: _Count = UNSET
    max_position_embeddings: _Count = UNSET


def folder_of(name: str | Path) -> tuple[str, Path]:
    """Return the permanent name of a masked language model, and its folder.

    Args:
        name: a folder, or ``hf:owner/name[@revision]``, whose files are downloaded.

    Raises:
        MolgenError: if there is no such folder, or the hub cannot be reached.
    """
    text = resolve(name)
    folder = fetch(text, FILES) if text.startswith(HUB) else Path(text)
    if text in bundled_names() or (folder / INFO).is_file():
        raise ModelError(f"{text!r} is a model of molecules, expected a masked language model")
    if not (folder / CONFIG).is_file():
        raise ModelError(f"no {CONFIG} in {text!r}, expected the folder of a masked language model")
    return text, folder


def load_network(folder: Path) -> PreTrainedModel | PublishedDenoiser:
    """Return a network in single precision and evaluation mode.

    Raises:
        MolgenError: if it is of another type, or a file is missing or damaged.
    """
    try:
        values = read_json(folder / CONFIG, dict)
        kind = checked(values, _Sizes, folder / CONFIG).model_type
        if kind == PUBLISHED:
            from molgen.nn.published import PublishedDenoiser

            return PublishedDenoiser.from_folder(folder)
        _check_type(kind)
        if not (folder / WEIGHTS).is_file():
            raise ModelError(
                f"no {WEIGHTS}, expected weights as one safetensors file: save_pretrained of "
                "transformers writes it"
            )
        safetensors_layout(folder / WEIGHTS)
        return _pretrained(kind, values, folder)
    except Exception as error:  # of a library, which checks few of the keys
        raise ModelError(f"model {str(folder)!r} cannot be read: {_line(error)}") from error


def supported(model: object) -> PreTrainedModel | PublishedDenoiser:
    """Return a network that is supported.

    Raises:
        MolgenError: if it is none, with the model types that are.
    """
    from transformers import MODEL_FOR_MASKED_LM_MAPPING, PreTrainedModel

    from molgen.nn.published import PublishedDenoiser

    if isinstance(model, PublishedDenoiser):
        return model
    if not isinstance(model, PreTrainedModel):
        raise ModelError(f"model is {type(model).__name__}, expected one of transformers")
    _check_type(model.config.model_type)
    expected: Any = MODEL_FOR_MASKED_LM_MAPPING[type(model.config)]
    if not isinstance(model, expected):
        raise ModelError(f"model is {type(model).__name__}, expected {expected.__name__}")
    return model


def _check_type(kind: str) -> None:
    """Check a model type.

    Raises:
        MolgenError: if it is not supported, with those that are.
    """
    if kind not in MODEL_TYPES:
        raise ModelError(f"model_type is {kind!r}, {one_of(kind, (*MODEL_TYPES, PUBLISHED))}")


def _pretrained(kind: str, values: dict[str, Any], folder: Path) -> PreTrainedModel:
    """Return a network of ``transformers``, by its own classes."""
    import torch
    from transformers import MODEL_FOR_MASKED_LM_MAPPING, AutoConfig

    own = {key: value for key, value in values.items() if key not in ELSEWHERE}
    with quiet():
        config = AutoConfig.for_model(kind, **own)
        network: Any = MODEL_FOR_MASKED_LM_MAPPING[type(config)]
        model, found = network.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    missing = sorted(found["missing_keys"])
    if missing:
        raise ModelError(f"{WEIGHTS} has no {missing[0]}, expected all weights of {kind}")
    with torch.inference_mode():  # keys that make no network are found by running it
        shape = tuple(model.eval()(input_ids=torch.ones(1, 2, dtype=torch.long)).logits.shape)
    if shape != (1, 2, config.vocab_size):
        raise ModelError(f"its output has shape {shape}, expected (1, 2, {config.vocab_size})")
    return model  # type: ignore[no-any-return]


def load_tokenizer(name: str | Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a folder, or of ``hf:owner/name[@revision]``.

    Raises:
        MolgenError: if there is none, or it cannot be read.
    """
    from transformers import AutoTokenizer

    text = resolve(name)
    folder = fetch(text, TOKENIZER_FILES) if text.startswith(HUB) else Path(text)
    if not any((folder / each).is_file() for each in TOKENIZER_FILES):
        raise ModelError(f"no tokenizer in {text!r}, expected {TOKENIZER} or vocab.txt")
    try:
        with quiet():
            found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
            found.decode(found.all_special_ids)  # what is no special token is found by using it
            return found
    except Exception as error:  # of a library, which raises nothing more special
        raise ModelError(f"tokenizer of {text!r} cannot be read: {_line(error)}") from error


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

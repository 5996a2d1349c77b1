"""A model folder: all files of a model, none of which runs code.

| file | content |
|---|---|
| ``config.json``, ``model.safetensors`` | the network, in the format of ``transformers`` |
| ``tokenizer.json``, ``tokenizer_config.json`` | the tokenizer, likewise |
| ``prior.safetensors`` | lengths and property values of training rows, from which to draw |
| ``training_index.safetensors`` | tests novelty without the training data |
| ``molgen.json`` | representation, data, recipe, default sampling, measured numbers |
| ``README.md`` | the model card |
| ``diversity.json`` | presets by the diversity of their molecules (optional) |
| ``classifier/`` | a noisy classifier for guidance (optional) |
| ``joint/`` | a joint block for draws of several tokens at once (optional) |

Baselines of one data set share one prior and one index: ``shares`` in ``molgen.json`` is the name
of the sibling folder that has them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from molgen.checkpoints.files import CARD, INDEX, INFO, PRIOR
from molgen.checkpoints.info import FORMAT, read_info
from molgen.data.prior import Prior
from molgen.data.tokenizer import Tokenizer
from molgen.errors import MolgenError
from molgen.utils.files import staged

if TYPE_CHECKING:
    # imports RDKit, which training and saving do not need
    from molgen.molecules.training_index import TrainingIndex
    from molgen.nn.denoiser import Denoiser, MoleculeDenoiser
    from molgen.nn.joint_block import JointBlock
    from molgen.nn.trunk import Trunk
    from property_models.classifiers.network import NoisyClassifier

__all__ = [
    "load_classifier",
    "load_joint_block",
    "load_network",
    "read_info",
    "save_checkpoint",
    "save_network",
]

Network = TypeVar("Network", bound="Trunk")


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress progress bars and warnings of transformers.

    A damaged checkpoint, which it warns about, is raised as an error.
    """
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


def save_checkpoint(
    folder: str | Path,
    denoiser: MoleculeDenoiser,
    tokenizer: Tokenizer,
    prior: Prior,
    training_index: TrainingIndex | None,
    info: Mapping[str, Any],
    card: str = "",
) -> None:
    """Write a checkpoint; weights as bfloat16.

    Args:
        folder: created if it is missing.
        denoiser: the network.
        tokenizer: its tokenizer.
        prior: distribution of targets and lengths.
        training_index: canonical SMILES of all molecules given to training, held-out part included.
        info: content of ``molgen.json``.
        card: text of the model card.
    """
    with staged(folder, last=INFO) as aside:
        save_network(denoiser, aside)
        tokenizer.save(aside)
        prior.save(aside / PRIOR)
        if training_index is not None:
            training_index.save(aside / INDEX)
        text = json.dumps({"format": FORMAT, **info}, indent=2) + "\n"
        (aside / INFO).write_text(text, encoding="utf-8")
        if card:
            (aside / CARD).write_text(card, encoding="utf-8")


def save_network(network: Trunk, folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors``, weights as bfloat16."""
    import copy

    import torch
    from torch import nn

    with quiet(), staged(folder) as aside:
        rounded: nn.Module = copy.deepcopy(network)
        cast(Any, rounded.to(torch.bfloat16)).save_pretrained(aside)


@functools.cache
def load_classifier(folder: Path, vocab_size: int) -> NoisyClassifier:
    """Load a noisy classifier.

    Args:
        folder: of the classifier.
        vocab_size: of the network to be guided.

    Raises:
        MolgenError: if it cannot be read, or was trained on another vocabulary.
    """
    from property_models.classifiers.network import NoisyClassifier

    try:
        classifier = load_network(NoisyClassifier, folder)
    except (OSError, ValueError) as error:
        raise MolgenError(f"classifier {str(folder)!r} cannot be read: {error}") from error
    if classifier.vocab_size != vocab_size:
        raise MolgenError(
            f"vocabulary of classifier {str(folder)!r} is {classifier.vocab_size}, "
            f"expected the network's {vocab_size}"
        )
    return classifier


def load_joint_block(folder: Path, denoiser: Denoiser) -> JointBlock:
    """Load a joint block.

    Args:
        folder: of the block.
        denoiser: that it was trained for.

    Raises:
        MolgenError: if it cannot be read, or was trained for a denoiser of another shape.
    """
    from molgen.nn.joint_block import JointBlock, check_shape

    try:
        block = load_network(JointBlock, folder)
    except (OSError, ValueError) as error:
        raise MolgenError(f"joint block {str(folder)!r} cannot be read: {error}") from error
    fields = ("vocab_size", "max_position_embeddings", "denoiser_size", "properties")
    shape = cast("MoleculeDenoiser", denoiser).config
    check_shape(block.config, shape, f"joint block {str(folder)!r}", fields)
    return block


def load_network(kind: type[Network], folder: Path) -> Network:
    """Return a network in evaluation mode, read from checked keys and safetensors only.

    Raises:
        MolgenError: if shape or weights are damaged or inconsistent.
        OSError: if a file cannot be opened.
    """
    from molgen.nn.stored import WEIGHTS, read_shape
    from molgen.nn.weights import with_weights

    shape = read_shape(folder, kind.stored)
    config = kind.config_class(**shape.arguments())
    return with_weights(lambda: kind(config), folder / WEIGHTS)

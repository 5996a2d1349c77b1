"""Models by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from molgen.checkpoints.hub import bundled_names, locate, resolve
from molgen.errors import MolgenError

if TYPE_CHECKING:
    from molgen.api.progress import Progress
    from molgen.checkpoints.checkpoint import Checkpoint
    from molgen.model import Model

ModelLike: TypeAlias = Union["Model", str, Path]
"""A loaded model, or its bundled name, its folder, or ``hf:owner/name[@revision]``."""


def load(name: str | Path) -> Model:
    """Load a model by bundled name, folder or name on the hub (``hf:owner/name[@revision]``).

    Args:
        name: of the model; :func:`molgen.models` returns the bundled ones.

    Raises:
        MolgenError: if there is no such model, or it cannot be read.
    """
    name = resolve(name)
    folder = locate(name)  # before torch, which takes seconds to import

    from molgen.model import Model

    return Model.load(name, folder)


def models() -> tuple[str, ...]:
    """Return the names of the models that come with molgen."""
    return bundled_names()


def loaded(model: ModelLike, progress: Progress | None = None) -> Model:
    """Return a model, loaded if it is given by name.

    Args:
        model: a model or its name.
        progress: receives a warning if its training-set index does not fit this RDKit.

    Raises:
        MolgenError: if there is no such model, it cannot be read, or it is something else.
    """
    if isinstance(model, str | Path):
        model = load(model)
    from molgen.model import Model

    if not isinstance(model, Model):
        raise MolgenError(f"model is {model!r}, expected a model of molgen.load, or its name")
    identify(model)
    warning = model.training_index.check() if model.training_index is not None else None
    if warning and progress is not None:
        progress.warn(warning)
    return model


def identify(model: Checkpoint) -> None:
    """Record the model and the versions in the journal of the run, if one is kept.

    Raises:
        MolgenError: if the journal is of another model or other versions.
    """
    from molgen.utils.journal import active

    journal = active()
    if journal is not None:
        journal.identify(identity(model))


def identity(model: Checkpoint) -> dict[str, str]:
    """Return the versions and the content of the model, which rows depend on."""
    import numpy
    import rdkit
    import torch

    from molgen.version import __version__

    libraries = {lib.__name__: lib.__version__ for lib in (numpy, rdkit, torch)}
    return {"molgen": __version__, **libraries, "content of model": model.digest()}

"""molgen: guided molecule design by remasking diffusion.

    import molgen
    model = molgen.load("qm9")
    table = model.sample(100, targets={"qed": "max"})

Importing molgen is instant; what is heavy is imported by the first call that needs it.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.version import __version__

if TYPE_CHECKING:
    from molgen.errors import MolgenError
    from molgen.model import Model
    from molgen.sampling.settings import Settings
    from molgen.targets import Range
    from property_models.property import Property

__all__ = ["Model", "MolgenError", "Property", "Range", "Settings", "__version__", "load", "models"]

_HOMES = {
    "Model": "molgen.model",
    "MolgenError": "molgen.errors",
    "Property": "property_models.property",
    "Range": "molgen.targets",
    "Settings": "molgen.sampling.settings",
}


def load(name: str | Path) -> Model:
    """Load a model by bundled name, folder or name on the hub (``hf:owner/name[@revision]``).

    Raises:
        MolgenError: if there is no such model, or it cannot be read.
    """
    from molgen.checkpoints.hub import locate, resolve

    name = resolve(name)
    folder = locate(name)  # before torch, which takes seconds to import

    from molgen.model import Model

    return Model.load(name, folder)


def models() -> tuple[str, ...]:
    """Return the names of the models that come with molgen."""
    from molgen.checkpoints.hub import bundled_names

    return bundled_names()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'molgen' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

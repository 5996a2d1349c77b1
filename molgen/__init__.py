"""molgen: guided molecule design by remasking diffusion.

    import molgen
    model = molgen.load("qm9")
    table = model.sample(100, targets={"qed": "max"})

Importing molgen is instant; what is heavy is imported by the first call that needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molgen.model import Model
    from molgen.targets import Range

__version__ = "0.1.0"
__all__ = ["Range", "load", "models"]


def load(name: str | Path) -> Model:
    """Load a model by bundled name, folder or hub id (``owner/name``).

    Raises:
        ValueError: if there is no such model, or it cannot be read.
    """
    from molgen.checkpoints.hub import locate

    folder = locate(name)  # before torch, which takes seconds to import

    from molgen.model import Model

    return Model.load(name, folder)


def models() -> tuple[str, ...]:
    """Return the names of the models that come with molgen."""
    from molgen.checkpoints.hub import bundled_names

    return bundled_names()


def __getattr__(name: str) -> Any:
    if name == "Range":
        from molgen.targets import Range

        return Range
    raise AttributeError(f"module 'molgen' has no attribute {name!r}")

"""Properties of molecules, and the models that guide towards them.

:mod:`property_models.property` says what a property is; :mod:`property_models.registry` turns a
name into one: RDKit's descriptors, similarity and substructures, any Python function, and what was
learned from a table. Those names are loaded when they are first asked for, so that guides
(:mod:`property_models.classifiers.network`) can be trained where RDKit is missing. Nothing here
imports scikit-learn before it is needed, and only guides import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from property_models.callables import described, from_function, vectorised
    from property_models.property import Property
    from property_models.registry import compute, get, names

__all__ = ["Property", "compute", "described", "from_function", "get", "names", "vectorised"]

_HOMES = {
    "Property": "property",
    "compute": "registry",
    "described": "callables",
    "from_function": "callables",
    "get": "registry",
    "names": "registry",
    "vectorised": "callables",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'property_models' has no attribute {name!r}")
    return getattr(importlib.import_module(f"property_models.{_HOMES[name]}"), name)

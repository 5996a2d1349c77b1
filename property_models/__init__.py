"""Properties of molecules, and the models that guide towards them.

:mod:`property_models.property` says what a property is; :mod:`property_models.registry` turns a
name into one: RDKit's descriptors, similarity and substructures, any Python function, and what was
learned from a table. Importing this package imports RDKit, and neither torch nor scikit-learn.
"""

from property_models.callables import described, from_function, vectorised
from property_models.property import Property
from property_models.registry import compute, get, names

__all__ = ["Property", "compute", "described", "from_function", "get", "names", "vectorised"]

"""Properties of molecules, and the models that guide towards them.

:mod:`property_models.property` says what a property is; :mod:`property_models.descriptors` is the
registry of those that RDKit computes. Learned properties join here too. Importing this package
imports RDKit and never torch.
"""

from property_models.descriptors import compute, get, names
from property_models.property import Property

__all__ = ["Property", "compute", "get", "names"]

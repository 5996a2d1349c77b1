"""Properties of molecules, and the models that guide towards them.

:mod:`property_models.property` says what a property is; :mod:`property_models.registry` turns a
name into one: RDKit's descriptors, similarity and substructures, any Python function, and what was
learned from a table. Those names are loaded when they are first asked for, so that guides
(:mod:`property_models.classifiers.network`) can be trained where RDKit is missing. Nothing here
imports scikit-learn before it is needed, and only guides import torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Properties of molecules, property predictors, and noisy classifiers for guidance.

:mod:`property_models.property` defines a property; :mod:`property_models.registry` returns one by
name: RDKit's descriptors, similarity and substructures, any Python function, and learned property
predictors. Names are loaded lazily, so that noisy classifiers
(:mod:`property_models.classifiers.network`) can be trained without RDKit. scikit-learn is imported
only when needed, and torch only by noisy classifiers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

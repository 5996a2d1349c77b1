"""Property predictors: models of a property of clean molecules, fitted to measured values."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""A string becomes a molecule or a reason; filter, draw, count, compare. Never torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

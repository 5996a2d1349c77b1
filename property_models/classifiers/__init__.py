"""Noisy classifiers: networks that tell from a noised row what it will turn out to be."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

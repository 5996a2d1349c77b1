"""Campaigns: one request for many molecules, stored in one file, drawn by many processes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Scorers: values of molecules from outside of Python. Commands, HTTP endpoints, docking."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Scaffolds, motifs, linkers and parts of leads: what stays, and what is drawn around it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Reports: one HTML page on a table of molecules, readable with the network off."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Lead optimisation: what to open of a lead, and what becomes of it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

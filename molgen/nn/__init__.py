"""Networks and their execution, without RDKit."""

import warnings

import lazy_loader

# tqdm's, as transformers imports it in a notebook without ipywidgets; molgen's own bars need none
warnings.filterwarnings("ignore", "IProgress not found")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

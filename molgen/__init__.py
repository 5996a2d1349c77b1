"""molgen: guided molecule design by remasking diffusion.

    import molgen
    model = molgen.load("zinc250k")
    rows = model.sample(100, {"qed": "max"}, gamma=2, remask="rescale:eta=.1")
    found = molgen.design(model, {"qed": ".6..", "sa": "..3"}, n=50, filters=["pains"])

Importing molgen is instant; what is heavy is imported by the first call that needs it. The public
names and their modules are listed in ``__init__.pyi``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Names of the files of a model folder, each in this place alone."""

from __future__ import annotations

from molgen.nn.stored import CONFIG as CONFIG
from molgen.nn.stored import WEIGHTS as WEIGHTS

INFO, CARD = "molgen.json", "README.md"
TOKENIZER = "tokenizer.json"
PRIOR, INDEX = "prior.safetensors", "known.safetensors"
GUIDE = "guide"  # a folder

ALL = (
    *(CONFIG, WEIGHTS, TOKENIZER, "tokenizer_config.json", PRIOR, INDEX, INFO, CARD),
    *(f"{GUIDE}/{name}" for name in (CONFIG, WEIGHTS)),
)
"""Everything that is read of a folder: nothing else is fetched."""

"""Names of the files of a model folder, each in this place alone."""

from __future__ import annotations

from pathlib import Path

from molgen.nn.stored import CONFIG as CONFIG
from molgen.nn.stored import WEIGHTS as WEIGHTS

INFO, CARD = "molgen.json", "README.md"
TOKENIZER = "tokenizer.json"
PRIOR, INDEX = "prior.safetensors", "training_index.safetensors"
CLASSIFIER = "classifier"  # a folder
FORMER = {INDEX: "known.safetensors", CLASSIFIER: "guide"}
"""Names of before, which are still read."""

ALL = (
    *(CONFIG, WEIGHTS, TOKENIZER, "tokenizer_config.json", PRIOR, INDEX, INFO, CARD),
    *(f"{CLASSIFIER}/{name}" for name in (CONFIG, WEIGHTS)),
    FORMER[INDEX],
    *(f"{FORMER[CLASSIFIER]}/{name}" for name in (CONFIG, WEIGHTS)),
)
"""Everything that is read of a folder: nothing else is fetched."""


def find(folder: Path, name: str) -> Path:
    """Return where a file of a folder is, under its name or the one it had before."""
    place = folder / name
    former = folder / FORMER.get(name, name)
    return former if former.exists() and not place.exists() else place

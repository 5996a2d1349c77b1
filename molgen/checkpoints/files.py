"""Names of the files of a model folder, each defined here only."""

from __future__ import annotations

from pathlib import Path

from molgen.nn.stored import CONFIG as CONFIG
from molgen.nn.stored import WEIGHTS as WEIGHTS

INFO, CARD, DIVERSITY = "molgen.json", "README.md", "diversity.json"
TOKENIZER = "tokenizer.json"
PRIOR, INDEX = "prior.safetensors", "training_index.safetensors"
CLASSIFIER, JOINT = "classifier", "joint"  # folders
FORMER = {INDEX: "known.safetensors", CLASSIFIER: "guide"}
"""Former names, which are still read."""

ALL = (
    *(CONFIG, WEIGHTS, TOKENIZER, "tokenizer_config.json", PRIOR, INDEX, INFO, CARD, DIVERSITY),
    *(f"{folder}/{name}" for folder in (CLASSIFIER, JOINT) for name in (CONFIG, WEIGHTS)),
    FORMER[INDEX],
    *(f"{FORMER[CLASSIFIER]}/{name}" for name in (CONFIG, WEIGHTS)),
)
"""All files that are read from a folder; nothing else is fetched."""


def find(folder: Path, name: str) -> Path:
    """Return the path of a file of a folder, under its name or its former one."""
    place = folder / name
    former = folder / FORMER.get(name, name)
    return former if former.exists() and not place.exists() else place

"""The files that a request names, by which an unfinished run is recognised as the same one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from molgen.utils.files import digest
from property_models.registry import files

NAMED = ("leads", "donors", "preset", "scaffold_file", "template")
"""Arguments that may be paths."""
CLASSIFIER = re.compile(r"\bclassifier=([^,]+)")


def contents(named: Iterable[str], guidance: str, properties: Iterable[str]) -> dict[str, str]:
    """Return digests of the files, by ``content of NAME``.

    Args:
        named: values of the arguments :data:`NAMED`; some may be no path, such as a lead.
        guidance: in words, which may name the folder of a classifier.
        properties: names of goals and columns, which may name files of functions or predictors.
    """
    found = [Path(text) for text in named if text]
    for text in CLASSIFIER.findall(guidance):
        found += sorted(Path(text).glob("*"))
    for name in properties:
        found += files(name)
    # os.path: a lead may be a name that no system allows, for which Path raises
    paths = [path for path in dict.fromkeys(found) if os.path.isfile(path)]
    return {
        f"content of {name}": digest(path for path in paths if path.name == name)
        for name in {path.name for path in paths}
    }

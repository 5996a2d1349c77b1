"""Presets: sampling settings for a target, as a file and in ``molgen.json``.

    {"format": 1, "model": "qm9", "target": "qed=max",
     "sampling": {"remask": "rescale:eta=0.1", "weights": "uniform", "gamma": "1..3", "steps": 64},
     "measured": {"n": 1024, "seeds": "0,1,2", "score": 0.02},
     "molgen": "0.1.0"}

``sampling`` has the form of ``molgen.json``; settings that it omits are those that the model
recommends. A file may have any origin, so it is checked: JSON with known keys, words and finite
numbers, nothing else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from molgen.errors import MolgenError
from molgen.sampling.settings import OPTIONS, from_words
from molgen.targets import Range, Target, read_targets
from molgen.utils.arguments import checked
from molgen.utils.files import replacing
from molgen.utils.hints import one_of
from molgen.utils.json_files import parse_json, read_bytes
from molgen.utils.options import EITHER, WORDS

FORMAT = 1
KEYS = ("format", "model", "target", "sampling", "measured", "molgen")
SAMPLING = {key: option for key, option in OPTIONS.items() if option.preset}


@checked
def read_preset(path: str | Path) -> dict[str, Any]:
    """Return a checked preset.

    Raises:
        MolgenError: naming the file and its first error.
        OSError: if it cannot be read.
    """
    preset = parse_json(read_bytes(path), path)
    try:
        check(preset)
    except ValueError as error:
        raise MolgenError(f"{path} is not a preset: {error}") from error
    return dict(preset)


def write_preset(path: str | Path, preset: Mapping[str, Any]) -> None:
    """Write a preset, whole or not at all.

    Raises:
        MolgenError: if :func:`read_preset` would reject it.
        OSError: if it cannot be written.
    """
    check(preset)
    with replacing(path) as temporary:
        text = json.dumps(dict(preset), indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def check(preset: object) -> None:
    """Check the contents of a file.

    Raises:
        MolgenError: naming the first entry that is invalid.
    """
    if not isinstance(preset, Mapping) or preset.get("format") != FORMAT:
        found = preset.get("format") if isinstance(preset, Mapping) else None
        raise MolgenError(f"format is {found!r}, expected {FORMAT}")
    _known("", preset, KEYS)
    for name in ("model", "target", "molgen"):
        if not isinstance(preset.get(name), str):
            raise MolgenError(f"{name} is {_shown(preset.get(name))}, expected words")
    read_key(preset["target"])
    for name in ("sampling", "measured"):
        part = preset.get(name)
        if not isinstance(part, Mapping):
            raise MolgenError(f"{name} is {_shown(part)}, expected names with values")
        for key, value in part.items():
            if not _plain(value):
                raise MolgenError(f"{name} {key} is {_shown(value)}, expected a word or a number")
    check_sampling(preset["sampling"])


def check_sampling(sampling: Mapping[str, Any]) -> None:
    """Check sampling settings, as they are written.

    Raises:
        MolgenError: naming the invalid entry.
    """
    _known("sampling ", sampling, SAMPLING)
    for name, value in sampling.items():
        kind = SAMPLING[name].kind
        if kind != EITHER and (kind == WORDS) != isinstance(value, str):
            expected = "words" if kind == WORDS else "a number"
            raise MolgenError(f"sampling {name} is {_shown(value)}, expected {expected}")
    from_words(sampling)


def match(
    presets: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Target]
) -> dict[str, Any] | None:
    """Return the preset for targets, or None.

    A preset matches if it has the same properties with the same kind of target for each: ``max``,
    ``min``, or a value. Any number or range is a value; of several matching presets, one for
    exactly these targets comes first.

    Args:
        presets: by their targets, ``PROP=VALUE`` or ``PROP=VALUE; PROP=VALUE``.
        wanted: the targets.

    Raises:
        MolgenError: if the targets of a preset cannot be read.
    """
    if not wanted:
        return None
    fitting = [
        (read_key(key), preset)
        for key, preset in presets.items()
        if _kinds(read_key(key)) == _kinds(wanted)
    ]
    exact = [preset for targets, preset in fitting if targets == wanted]
    found = exact or [preset for _, preset in fitting]
    return dict(found[0]) if found else None


def read_key(text: str) -> dict[str, Target]:
    """Read the targets of a preset: ``PROP=VALUE``, separated by semicolons.

    Raises:
        MolgenError: if it cannot be read.
    """
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.rpartition("=")
        if not equals or not name.strip() or name.strip() in found:
            raise MolgenError(f"target is {text!r}, expected PROP=VALUE such as qed=max")
        found[name.strip()] = value
    return read_targets(found)


def _kinds(targets: Mapping[str, Target]) -> dict[str, str]:
    """Return the kind of each target: ``max``, ``min`` or ``value``."""
    return {
        name: "value" if isinstance(target, Range | float | int) else target
        for name, target in targets.items()
    }


def _known(where: str, part: Mapping[str, Any], allowed: Iterable[str]) -> None:
    for name in part:
        if name not in allowed:
            raise MolgenError(f"{where}{name!r} is unknown, {one_of(name, allowed)}")


def _plain(value: object) -> bool:
    """Return whether a value is a word or a finite number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) <= sys.float_info.max  # false for NaN and for larger whole numbers
    return isinstance(value, str)


def _shown(value: object) -> str:
    """Return a value for an error message, truncated."""
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."

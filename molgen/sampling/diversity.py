"""Stops on a model's front of quality and diversity: presets, by the diversity of their molecules.

    quality    share of the molecules with QED >= 0.6 and SA <= 4
    diversity  1 - mean Tanimoto similarity of all pairs (Morgan fingerprints, radius 2, 2,048 bits)

One can be had for the other, by temperature, targets, conditions and guidance. ``diversity.json``
in a model folder has the best settings found for some diversities:

    {"format": 1, "stops": {"high": PRESET, ...}}

Each preset is as in :mod:`molgen.sampling.preset_file`, with diversity and quality among what was
measured, and with targets: they guide the draws, and filter nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.checkpoints.files import DIVERSITY
from molgen.errors import MolgenError
from molgen.sampling.preset_file import check, read_key
from molgen.targets import Target
from molgen.utils.arguments import checked
from molgen.utils.files import replacing
from molgen.utils.hints import hint
from molgen.utils.json_files import parse_json, read_bytes

if TYPE_CHECKING:
    from molgen.checkpoints.checkpoint import Checkpoint

FORMAT = 1
MEASURED = "diversity", "quality"
"""What must have been measured for a stop, each between 0 and 1."""


@dataclass(frozen=True)
class Stop:
    """Settings for one diversity.

    Attributes:
        name: of the stop.
        preset: its settings, targets and measurements.
    """

    name: str
    preset: Mapping[str, Any]

    @property
    def sampling(self) -> dict[str, Any]:
        """Its settings of sampling, in words."""
        return dict(self.preset["sampling"])

    @property
    def targets(self) -> dict[str, Target]:
        """What guides the draws if nothing else is asked for."""
        return read_key(self.preset["target"])

    @property
    def diversity(self) -> float:
        """Of its molecules, as measured."""
        return float(self.preset["measured"]["diversity"])

    def __str__(self) -> str:
        """Return what was measured, in one line."""
        measured = self.preset["measured"]
        return (
            f"{self.name}: diversity {self.diversity:.3f} and quality {measured['quality']:.1%} of "
            f"{measured.get('n', '?')} molecules guided by {self.preset['target']}"
        )


def read_stops(path: str | Path) -> tuple[Stop, ...]:
    """Return the stops of a file, by rising diversity.

    Raises:
        MolgenError: naming the file and its first error.
        OSError: if it cannot be read.
    """
    content = parse_json(read_bytes(path), path)
    try:
        return _checked(content)
    except ValueError as error:
        raise MolgenError(f"{path} has no stops of diversity: {error}") from error


def write_stops(path: str | Path, presets: Mapping[str, Mapping[str, Any]]) -> None:
    """Write stops, whole or not at all.

    Args:
        path: of the file.
        presets: by the names of their stops.

    Raises:
        MolgenError: if :func:`read_stops` would reject them.
        OSError: if the file cannot be written.
    """
    content = {"format": FORMAT, "stops": {name: dict(each) for name, each in presets.items()}}
    _checked(content)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@checked
def nearest(stops: Sequence[Stop], diversity: float | str) -> Stop:
    """Return the stop of a name, or the one nearest to a diversity.

    Args:
        stops: at least one.
        diversity: a name, or a number between 0 and 1, also as text.

    Raises:
        MolgenError: for anything else.
    """
    named = {stop.name: stop for stop in stops}
    if diversity in named:
        return named[str(diversity)]
    try:
        wanted = float(diversity)
    except ValueError:
        wanted = -1.0
    if not 0 < wanted < 1:
        raise MolgenError(
            f"diversity is {diversity!r}, expected a number between 0 and 1 or one of "
            f"{', '.join(named)}{hint(diversity, named)}"
        )
    return min(stops, key=lambda stop: abs(stop.diversity - wanted))


def stop_of(model: Checkpoint, diversity: float | str, given: Mapping[str, Any]) -> Stop:
    """Return a model's stop; settings that are given, too, replace its own.

    Args:
        model: with stops.
        diversity: see :func:`nearest`.
        given: settings by name, of which none may be a preset.

    Raises:
        MolgenError: if the model has no stops, there is none of this name, or a preset is given.
    """
    if "preset" in given:
        raise MolgenError("preset and diversity are both given, expected one of them")
    path = model.folder and model.folder / DIVERSITY
    if path is None or not path.is_file():
        raise MolgenError(
            f"diversity is {diversity!r}, but model {model.name!r} has no {DIVERSITY}: expected "
            "none, or a model with stops such as zinc250k"
        )
    return nearest(read_stops(path), diversity)


def _checked(content: Any) -> tuple[Stop, ...]:
    """Return the stops of a file's content.

    Raises:
        MolgenError: naming the first entry that is invalid.
    """
    known = isinstance(content, dict) and set(content) == {"format", "stops"}
    if not known or content["format"] != FORMAT:
        raise MolgenError(f"expected format {FORMAT} with stops")
    presets = content["stops"]
    if not isinstance(presets, dict) or not presets:
        raise MolgenError("stops are missing, expected names with presets")
    for name, preset in presets.items():
        check(preset)
        for key in MEASURED:
            value = preset["measured"].get(key)
            if not isinstance(value, float | int) or not 0 <= value <= 1:
                raise MolgenError(f"stop {name}: {key} is {value!r}, expected a share")
    return tuple(sorted((Stop(*item) for item in presets.items()), key=lambda s: s.diversity))

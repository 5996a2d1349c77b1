"""Presets: files are read back, invalid ones refused, and matched to targets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from molgen.sampling.preset_file import match, read_preset, write_preset
from molgen.targets import Range, read_targets

SAMPLING = {
    "remask": "loop:t_on=0.55,t_off=0.05,eta=0.02", "weights": "sharpened:tau=0.5",
    "guidance": "cfg", "corrector": "none", "gamma": "1..3", "steps": 64, "temperature": 0.9,
}  # fmt: skip
PRESET: dict[str, Any] = {
    "format": 1,
    "model": "qm9",
    "target": "qed=max",
    "sampling": SAMPLING,
    "measured": {"n": 1024, "seeds": "0,1,2", "score": 0.0123, "convention": "strict"},
    "molgen": "0.1.0",
}


def test_a_preset_is_read_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    write_preset(path, PRESET)
    assert read_preset(path) == PRESET
    assert [item.name for item in tmp_path.iterdir()] == ["p.json"]
    assert path.read_text().startswith('{\n  "format": 1,\n')


BAD: dict[str, tuple[object, str]] = {
    "nothing": ("", "Expecting value"),
    "no object": ([1], "format is None, expected 1"),
    "nested without end": ("[" * 100_000, "deeper"),
    "another format": ({**PRESET, "format": 2}, "format is 2, expected 1"),
    "a further key": ({**PRESET, "run": "rm"}, "'run' is unknown, expected one of format, model"),
    "no model": ({**PRESET, "model": None}, "model is None, expected words"),
    "no target": ({**PRESET, "target": "qed"}, "target is 'qed', expected PROP=VALUE"),
    "a target of nonsense": ({**PRESET, "target": "qed=high"}, "target qed: value is 'high'"),
    "a target twice": ({**PRESET, "target": "qed=1; qed=2"}, "expected PROP=VALUE"),
    "no sampling": ({k: v for k, v in PRESET.items() if k != "sampling"}, "sampling is None"),
    "a list": ({**PRESET, "sampling": [1]}, r"sampling is \[1\], expected names with values"),
    "something nested": ({**PRESET, "measured": {"n": [1]}}, r"measured n is \[1\], expected a"),
    "a truth value": ({**PRESET, "measured": {"n": True}}, "measured n is True, expected a word"),
    "no number": ({**PRESET, "measured": {"n": float("nan")}}, "measured n is nan, expected a"),
    "a number too large": ({**PRESET, "measured": {"n": 10**400}}, "measured n is 1000"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_files_that_are_refused(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    path = tmp_path / "p.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ValueError, match=f"^{path} is (not a preset|damaged).*{message}"):
        read_preset(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 3}, "sampling 'batch_size' is unknown, expected one of remask"),
        ({"remask": "rescal"}, "remask strategy is 'rescal', .*did you mean rescale"),
        ({"remask": 1}, "sampling remask is 1, expected words"),
        ({"weights": "best"}, "weights is 'best'"),
        ({"gamma": "high"}, "gamma is 'high', expected a number or START..END"),
        ({"steps": 0}, "steps is 0, expected a whole number"),
        ({"steps": 1.5}, "steps is 1.5, expected a whole number"),
        ({"temperature": "hot"}, "sampling temperature is 'hot', expected a number"),
    ],
)
def test_sampling_that_is_refused_is_not_written(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_preset(tmp_path / "p.json", {**PRESET, "sampling": {**SAMPLING, **change}})
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nothing\.json"):
        read_preset(tmp_path / "nothing.json")


PRESETS: dict[str, dict[str, Any]] = {
    "qed=max": {"steps": 1},
    "qed=min": {"steps": 2},
    "ring_count=5": {"steps": 3},
    "ring_count=4..9": {"steps": 4},
    "qed=max; ring_count=5": {"steps": 5},
}


@pytest.mark.parametrize(
    ("targets", "steps"),
    [
        ({"qed": "max"}, 1),
        ({"qed": "min"}, 2),
        ({"qed": 0.5}, None),
        ({"logp": "max"}, None),
        ({"ring_count": "max"}, None),
        ({"ring_count": 5}, 3),
        ({"ring_count": "4..9"}, 4),
        ({"ring_count": Range(4, 9)}, 4),
        ({"ring_count": 2.0}, 3),
        ({"ring_count": "0..1"}, 3),
        ({"ring_count": 6, "qed": "max"}, 5),
        ({"ring_count": 6, "qed": "min"}, None),
        ({}, None),
    ],
)
def test_which_preset_matches(targets: dict[str, Any], steps: int | None) -> None:
    assert match(PRESETS, read_targets(targets)) == (None if steps is None else {"steps": steps})


def test_a_match_is_a_copy() -> None:
    found = match(PRESETS, {"qed": "max"})
    assert found is not None
    found["steps"] = 9
    assert PRESETS["qed=max"]["steps"] == 1


def test_presets_for_invalid_targets() -> None:
    with pytest.raises(ValueError, match="target is 'qed', expected PROP=VALUE"):
        match({"qed": {}}, {"qed": "max"})

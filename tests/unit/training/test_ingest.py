from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from molgen.training.ingest import Options, ingest
from molgen.training.pipeline import shape_for
from small_data import dataset


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_out": 1.0}, "held_out is 1.0"),
        ({"held_out": math.nan}, "held_out is nan"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"properties": ("qed", "qed")}, "properties has a repeated name: qed, qed"),
        ({"properties": ("qed", "")}, "property is '', expected"),
        ({"properties": ("a=b",)}, "property is 'a=b', expected"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Options(**options)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("smiles,words\nCC,a\n", {"properties": ("words",)}, "column 'words' has no number"),
        ("smiles,x\nCC,\nCCC,nan\nCO,?\n", {"properties": ("x",)}, "column 'x' has no number"),
        ("smiles\nCC\nCCC\n", {"max_tokens": 1}, r"no molecule left of 2 rows \(2 too long\)"),
        ("smiles\nCC\n", {"properties": ("qedd",)}, "property 'qedd' is unknown"),
    ],
)
def test_a_file_without_the_requested_data(
    tmp_path: Path, content: str, options: dict[str, Any], message: str
) -> None:
    path = tmp_path / "set.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        ingest(path, Options(**options))


def test_heads_divide_the_width() -> None:
    with pytest.raises(ValueError, match="width is 10"):
        shape_for(dataset(), layers=1, width=10, heads=3)

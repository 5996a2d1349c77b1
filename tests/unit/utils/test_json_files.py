from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta

from molgen.utils.json_files import DEEPEST, LARGEST, read_json


@dataclass(frozen=True)
class Thing:
    size: Annotated[int, Meta(ge=1, le=10)]
    rows: list[list[float]] = ()  # type: ignore[assignment]
    noise: Annotated[str, Meta(pattern="^(masked|none)$")] = "none"


HOSTILE = {
    b"[" * 100_000: "deeper",
    b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1): "deeper",
    b'{"size": 3': "expected JSON",
    b"\xff\xfe": "expected JSON",
    b'{"size": "\\ud800"}': "half a character",
    b"9" * 5000: "expected JSON",
    b"[1]": r"the content is \[1\], expected object",
    b"{}": "lacks the key size",
    b'{"size": "3"}': "size is '3', expected int",
    b'{"size": true}': "size is True, expected int",
    b'{"size": 11}': "size is 11, expected int <= 10",
    b'{"size": 1, "rows": [[1], [1, null]]}': r"rows\[1\]\[1\] is None, expected float",
    b'{"size": 1, "noise": "white"}': "noise is 'white', expected one of masked, none",
}


@pytest.mark.parametrize("content", HOSTILE)
def test_errors_name_file_and_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thing.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=HOSTILE[content]) as caught:
        read_json(path, Thing)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400


def test_expected_content_is_read(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    path.write_text(json.dumps({"size": 3, "rows": [[1, 2.5]], "further": {"a": 1}}))
    assert read_json(path, Thing) == Thing(3, [[1.0, 2.5]])
    assert read_json(path, dict)["further"] == {"a": 1}


def test_only_regular_files_of_limited_size_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # reading it would never end
    for name in ("pipe", "missing", "."):
        with pytest.raises(OSError, match=r"No such file|directory"):
            read_json(tmp_path / name, Thing)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(ValueError, match="has more than"):
        read_json(tmp_path / "large", Thing)

"""JSON that may come from anybody, checked against a type before anything uses it.

    read_json(path, kind) -> what the file holds, as ``kind`` (a msgspec Struct, a dataclass, ...)

Reading runs nothing and takes little: a file has a largest size, its values a greatest depth, and
its texts can be written again. What does not fit ends in one line that names the file, the key,
what came and what was allowed.
"""

from __future__ import annotations

import errno
import json
import os
import re
import reprlib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

LARGEST = 64 * 2**20  # bytes: a thousand times what molgen writes
DEEPEST = 32  # lists and objects within one another

T = TypeVar("T")

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `(?:key` in `)?\$(?P<place>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d*|\.\.\.)\]")
_CHOICE = re.compile(r"str matching regex '\^\(?([\w|]+)\)?\$'")
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # half a character, which no file can hold


def read_json(path: str | Path, kind: type[T]) -> T:
    """Return what a JSON file holds.

    Args:
        path: of the file.
        kind: what it must be: any type that msgspec converts to. Keys it does not name are left
            out; ``object`` is for whatever there is.

    Raises:
        ValueError: naming the file, the key, what came and what was allowed.
        OSError: if the file cannot be opened.
    """
    return checked(parse_json(read_bytes(path), path), kind, path)


def read_bytes(path: str | Path, largest: int = LARGEST) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        ValueError: if there are more than ``largest``.
        OSError: if it cannot be opened, or is a folder, a pipe or a device.
    """
    path = existing(path)
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"{path} is larger than {largest:,} bytes, which no such file is")
    return content


def existing(path: str | Path) -> Path:
    """Return the path of a regular file.

    Raises:
        OSError: if it is none: a pipe would wait for ever, and a device never ends.
    """
    path = Path(path)
    if not path.is_file():
        code = errno.EISDIR if path.is_dir() else errno.ENOENT
        raise OSError(code, os.strerror(code), str(path))
    return path


def parse_json(text: str | bytes, source: str | Path) -> Any:
    """Return JSON's value.

    Args:
        text: in UTF-8 where it is bytes.
        source: what an error names.

    Raises:
        ValueError: if it is no JSON, or deeper or stranger than any that molgen writes.
    """
    try:
        value = json.loads(text.decode("utf-8") if isinstance(text, bytes) else text)
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        reason = f"it is deeper than {DEEPEST} levels" if deep else str(error)
        raise ValueError(f"{source} is damaged, expected JSON: {reason}") from error
    _check_plain(value, source, 0)
    return value


def checked(value: Any, kind: type[T], source: str | Path) -> T:
    """Return a value as a type.

    Args:
        value: as JSON gives it.
        kind: see :func:`read_json`.
        source: what an error names.

    Raises:
        ValueError: naming the key, what came and what was allowed.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{source} is damaged: {_told(error, value)}") from error


def shown(value: object) -> str:
    """Return a value for an error, cut short."""
    text = reprlib.repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def _check_plain(value: Any, source: str | Path, depth: int) -> None:
    if depth >= DEEPEST and isinstance(value, dict | list):
        raise ValueError(f"{source} is damaged: it is deeper than {DEEPEST} levels")
    if isinstance(value, str) and _SURROGATE.search(value):
        raise ValueError(f"{source} is damaged: {shown(value)} holds half a character")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(key, source, depth)
            _check_plain(item, source, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item, source, depth + 1)


def _told(error: msgspec.ValidationError, value: Any) -> str:
    """Return what msgspec found wrong: the key first, then what came, then what was allowed."""
    match = _PLACE.match(str(error))
    what, place = (match["what"], match["place"] or "") if match else (str(error), "")
    what = what.replace("`", "").replace("Object missing required field", "it lacks the key")
    what = _CHOICE.sub(lambda match: f"one of {match[1].replace('|', ', ')}", what)
    name = place.lstrip(".").replace("[...]", "[]") or "the content"
    if not what.startswith("Expected"):
        return f"{what}{f' in {name}' if place else ''}"
    found, came = _at(value, place)
    expected = re.sub(r", got [a-z]+$", "", what) if found else what
    return f"{name} is {shown(came)}, e{expected[1:]}" if found else f"{name}: e{what[1:]}"


def _at(value: Any, place: str) -> tuple[bool, Any]:
    """Return whether a place of a value can be told, and what is there."""
    for step in _STEP.finditer(place):
        at = step["key"] if step["key"] is not None else step["index"]
        if at == "...":
            return False, None
        value = value[int(at) if step["key"] is None else at]
    return True, value

"""JSON from untrusted files, checked against a type before use.

    read_json(path, kind) -> the content, as ``kind`` (a msgspec Struct, a dataclass, ...)

Reading runs no code and is bounded: files have a largest size and a greatest depth, and texts are
valid Unicode. A mismatch is one line with the file, the key, its value and the expected one.
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

from molgen.errors import MolgenError

LARGEST = 64 * 2**20  # bytes: a thousand times the files of molgen
DEEPEST = 32  # nested lists and objects

T = TypeVar("T")

_PLACE = re.compile(r"(?P<reason>.*?)(?: - at `(?:key` in `)?\$(?P<place>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d*|\.\.\.)\]")
_CHOICE = re.compile(r"str matching regex '\^\(?([\w|]+)\)?\$'")
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # half of a surrogate pair, which UTF-8 cannot encode


def read_json(path: str | Path, kind: type[T]) -> T:
    """Return the content of a JSON file.

    Args:
        path: of the file.
        kind: expected type: any that msgspec converts to. Keys it does not name are left out;
            ``object`` allows any content.

    Raises:
        MolgenError: naming the file, the key, its value and the expected one.
        OSError: if the file cannot be opened.
    """
    return checked(parse_json(read_bytes(path), path), kind, path)


def read_bytes(path: str | Path, largest: int = LARGEST) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        MolgenError: if there are more than ``largest``.
        OSError: if it cannot be opened, or is a folder, a pipe or a device.
    """
    path = existing(path)
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise MolgenError(f"{path} has more than {largest:,} bytes, expected at most as many")
    return content


def existing(path: str | Path) -> Path:
    """Return the path of a regular file.

    Raises:
        OSError: if it is none: reading a pipe or a device may never end.
    """
    path = Path(path)
    if not path.is_file():
        code = errno.EISDIR if path.is_dir() else errno.ENOENT
        raise OSError(code, os.strerror(code), str(path))
    return path


def parse_json(text: str | bytes, source: str | Path) -> Any:
    """Return the value of a JSON text.

    Args:
        text: in UTF-8 where it is bytes.
        source: named in errors.

    Raises:
        MolgenError: if it is no JSON, too deep, or has invalid Unicode.
    """
    try:
        value = json.loads(text.decode("utf-8") if isinstance(text, bytes) else text)
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        reason = f"it is deeper than {DEEPEST} levels" if deep else str(error)
        raise MolgenError(f"{source} is damaged, expected JSON: {reason}") from error
    _check_plain(value, source, 0)
    return value


def checked(value: Any, kind: type[T], source: str | Path) -> T:
    """Return a value as a type.

    Args:
        value: of JSON.
        kind: see :func:`read_json`.
        source: named in errors.

    Raises:
        MolgenError: naming the key, its value and the expected one.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise MolgenError(f"{source} is damaged: {_mismatch(error, value)}") from error


def shown(value: object) -> str:
    """Return a value for an error, shortened."""
    text = reprlib.repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def _check_plain(value: Any, source: str | Path, depth: int) -> None:
    if depth >= DEEPEST and isinstance(value, dict | list):
        raise MolgenError(f"{source} is damaged: it is deeper than {DEEPEST} levels")
    if isinstance(value, str) and _SURROGATE.search(value):
        raise MolgenError(f"{source} is damaged: {shown(value)} has half a character")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(key, source, depth)
            _check_plain(item, source, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item, source, depth + 1)


def _mismatch(error: msgspec.ValidationError, value: Any) -> str:
    """Return the error of msgspec as key, value and expected value."""
    match = _PLACE.match(str(error))
    reason, place = (match["reason"], match["place"] or "") if match else (str(error), "")
    reason = reason.replace("`", "").replace("Object missing required field", "it lacks the key")
    reason = _CHOICE.sub(lambda match: f"one of {match[1].replace('|', ', ')}", reason)
    name = place.lstrip(".").replace("[...]", "[]") or "the content"
    if not reason.startswith("Expected"):
        return f"{reason}{f' in {name}' if place else ''}"
    found, actual = _at(value, place)
    expected = re.sub(r", got [a-z]+$", "", reason) if found else reason
    return f"{name} is {shown(actual)}, e{expected[1:]}" if found else f"{name}: e{reason[1:]}"


def _at(value: Any, place: str) -> tuple[bool, Any]:
    """Return whether a path into a value is complete, and the item there."""
    for step in _STEP.finditer(place):
        at = step["key"] if step["key"] is not None else step["index"]
        if at == "...":
            return False, None
        value = value[int(at) if step["key"] is None else at]
    return True, value

"""Arrays that may come from anybody: their types and shapes are checked before they are read.

    read_safetensors(path, {"lengths": Array("u", "rows"), "values": Array("f", "rows", 3)})

A safetensors file says in its first bytes what it holds, and so does each member of an ``.npz``;
both are compared with what is wanted before memory is taken. Nothing is unpickled.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molgen.utils.json_files import existing

KINDS = {"u": "whole numbers from 0", "i": "whole numbers", "f": "numbers", "b": "booleans"}
NAMES = KINDS | {"U": "text"}
FEW = 64 * 2**20  # bytes that a compressed file may unfold to, whatever its own size
FOLD = 50  # times its own size that a larger one may: tokens and masks stay below 20
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, NotImplementedError),
    *(RecursionError, SyntaxError, TypeError, tokenize.TokenError),  # of a member's own header
)


@dataclass(frozen=True)
class Layout:
    """What a file says of an array.

    Attributes:
        kind: of number: one of :data:`NAMES`, or a format's own name.
        shape: how many along each axis.
        size: bytes in memory.
    """

    kind: str
    shape: tuple[int, ...]
    size: int = 0


class Array:
    """What an array must be.

    Attributes:
        kinds: of number, one letter each; see :data:`NAMES`.
        shape: how many along each axis: a number, or a name for a size that axes share.
        optional: whether it may be missing.
    """

    def __init__(self, kinds: str, *shape: int | str, optional: bool = False) -> None:
        self.kinds, self.shape, self.optional = kinds, shape, optional


def read_safetensors(
    path: str | Path, wanted: Mapping[str, Array]
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the arrays of a safetensors file and what it says of itself.

    Args:
        path: of the file.
        wanted: the arrays by name; others are left aside.

    Raises:
        ValueError: naming the file, the array, what came and what was allowed.
        OSError: if the file cannot be opened.
    """
    from safetensors import SafetensorError, safe_open

    check_layout(safetensors_layout(path), wanted, path)
    try:
        with safe_open(path, framework="numpy") as file:
            there = set(file.keys())
            arrays = {name: file.get_tensor(name) for name in wanted if name in there}
            return arrays, dict(file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {reason(error)}") from error


def safetensors_layout(path: str | Path) -> dict[str, Layout]:
    """Return what a safetensors file says of its arrays; none of them is read.

    Raises:
        ValueError: if it is no such file, or was cut short.
        OSError: if it cannot be opened.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(existing(path), framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {
                name: Layout(_kind(part.get_dtype()), tuple(part.get_shape()))
                for name, part in slices.items()
            }
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, expected safetensors: {reason(error)}") from error


def read_npz(path: str | Path, wanted: Mapping[str, Array]) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz``; arguments and errors are those of :func:`read_safetensors`.

    Raises:
        ValueError: likewise, and if the file would unfold to far more than its own size.
        OSError: if the file cannot be opened.
    """
    existing(path)
    try:
        with zipfile.ZipFile(path) as packed:
            members = {i.filename.removesuffix(".npy"): i for i in packed.infolist()}
            layouts = {k: _npy_layout(packed, member) for k, member in members.items()}
    except UNREADABLE as error:
        raise ValueError(f"{path} is damaged, expected an .npz: {reason(error)}") from error
    check_layout(layouts, wanted, path)
    _check_fold(path, (layouts[name].size for name in wanted if name in layouts))
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in wanted if name in layouts}
    except UNREADABLE as error:
        raise ValueError(f"{path} is damaged: {reason(error)}") from error


def check_layout(
    found: Mapping[str, Layout], wanted: Mapping[str, Array], source: str | Path
) -> None:
    """Check what a file says of its arrays.

    Raises:
        ValueError: naming the first that is missing, of other numbers or of another shape.
    """
    sizes: dict[str, int] = {}
    for name, array in wanted.items():
        layout = found.get(name)
        if layout is None:
            if array.optional:
                continue
            there = ", ".join(sorted(found)[:8]) or "nothing"
            raise ValueError(f"{source} is damaged: it lacks {name!r} and holds {there}")
        if layout.kind not in array.kinds:
            expected = " or ".join(NAMES[kind] for kind in array.kinds)
            came = NAMES.get(layout.kind, layout.kind)
            raise ValueError(f"{source} is damaged: {name} holds {came}, expected {expected}")
        fits = len(layout.shape) == len(array.shape) and all(
            there == (sizes.setdefault(size, there) if isinstance(size, str) else size)
            for size, there in zip(array.shape, layout.shape, strict=True)
        )
        if not fits:
            expected = ", ".join(str(sizes.get(str(size), size)) for size in array.shape)
            raise ValueError(
                f"{source} is damaged: {name} has shape {layout.shape}, expected ({expected})"
            )


def _kind(dtype: str) -> str:
    """Return the kind of a number of the format's names (``F16``, ``U8``, ...)."""
    named = {"BOOL": "b", "F16": "f", "F32": "f", "F64": "f"}
    whole = dtype[1:].isdecimal() and dtype[0] in "IU"
    return named.get(dtype, dtype[0].lower() if whole else dtype)


def _npy_layout(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> Layout:
    with packed.open(member) as file:
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(np.lib.format.read_magic(file))
        if read is None:
            raise ValueError(f"{member.filename} is of another version")
        shape, _, dtype = read(file)
    size = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
    return Layout(dtype.kind, tuple(shape), size)


def _check_fold(path: str | Path, sizes: Iterable[int]) -> None:
    total, packed = sum(sizes), Path(path).stat().st_size
    if total > max(FEW, FOLD * packed):
        raise ValueError(
            f"{path} would unfold from {packed:,} to {total:,} bytes, expected at most {FOLD} times"
        )


def reason(error: Exception) -> str:
    """Return why a library could not read a file, on one short line."""
    return " ".join(str(error).split())[:200] or type(error).__name__

"""Arrays from untrusted files: types and shapes are checked before the data are read.

    read_safetensors(path, {"lengths": Array("u", "rows"), "values": Array("f", "rows", 3)})

The header of a safetensors file gives types and shapes, and so does each member of an ``.npz``;
both are compared with the expected ones before memory is allocated. Nothing is unpickled.
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

from molgen.errors import MolgenError
from molgen.utils.json_files import existing

KINDS = {"u": "whole numbers from 0", "i": "whole numbers", "f": "numbers", "b": "booleans"}
NAMES = KINDS | {"U": "text"}
SMALL = 64 * 2**20  # bytes that any compressed file may expand to
RATIO = 50  # largest expansion of a larger one: tokens and masks stay below 20
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, NotImplementedError),
    *(RecursionError, SyntaxError, TypeError, tokenize.TokenError),  # of a member's own header
)


@dataclass(frozen=True)
class Layout:
    """Type and shape of an array in a file.

    Attributes:
        kind: of number: one of :data:`NAMES`, or a format's own name.
        shape: size of each axis.
        size: bytes in memory.
    """

    kind: str
    shape: tuple[int, ...]
    size: int = 0


class Array:
    """The expected type and shape of an array.

    Attributes:
        kinds: of number, one letter each; see :data:`NAMES`.
        shape: size of each axis: a number, or a name for a size that axes share.
        optional: whether it may be missing.
    """

    def __init__(self, kinds: str, *shape: int | str, optional: bool = False) -> None:
        self.kinds, self.shape, self.optional = kinds, shape, optional


def read_safetensors(
    path: str | Path, wanted: Mapping[str, Array]
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the arrays of a safetensors file and its metadata.

    Args:
        path: of the file.
        wanted: the arrays by name; others are ignored.

    Raises:
        MolgenError: naming the file, the array, its type or shape, and the expected one.
        OSError: if the file cannot be opened.
    """
    from safetensors import SafetensorError, safe_open

    check_layout(safetensors_layout(path), wanted, path)
    try:
        with safe_open(path, framework="numpy") as file:
            present = set(file.keys())
            arrays = {name: file.get_tensor(name) for name in wanted if name in present}
            return arrays, dict(file.metadata() or {})
    except SafetensorError as error:
        raise MolgenError(f"{path} is damaged: {reason(error)}") from error


def safetensors_layout(path: str | Path) -> dict[str, Layout]:
    """Return types and shapes from the header of a safetensors file; no array is read.

    Raises:
        MolgenError: if the file is of another format, or truncated.
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
        raise MolgenError(f"{path} is damaged, expected safetensors: {reason(error)}") from error


def read_npz(path: str | Path, wanted: Mapping[str, Array]) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz``; arguments and errors are those of :func:`read_safetensors`.

    Raises:
        MolgenError: likewise, and if the file would expand to many times its own size.
        OSError: if the file cannot be opened.
    """
    existing(path)
    try:
        with zipfile.ZipFile(path) as packed:
            members = {i.filename.removesuffix(".npy"): i for i in packed.infolist()}
            layouts = {k: _npy_layout(packed, member) for k, member in members.items()}
    except UNREADABLE as error:
        raise MolgenError(f"{path} is damaged, expected an .npz: {reason(error)}") from error
    check_layout(layouts, wanted, path)
    _check_expansion(path, (layouts[name].size for name in wanted if name in layouts))
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in wanted if name in layouts}
    except UNREADABLE as error:
        raise MolgenError(f"{path} is damaged: {reason(error)}") from error


def check_layout(
    found: Mapping[str, Layout], wanted: Mapping[str, Array], source: str | Path
) -> None:
    """Check the types and shapes of a file's arrays.

    Raises:
        MolgenError: naming the first that is missing, of another type or of another shape.
    """
    sizes: dict[str, int] = {}
    for name, array in wanted.items():
        layout = found.get(name)
        if layout is None:
            if array.optional:
                continue
            present = ", ".join(sorted(found)[:8]) or "nothing"
            raise MolgenError(f"{source} is damaged: it lacks {name!r} and has {present}")
        if layout.kind not in array.kinds:
            expected = " or ".join(NAMES[kind] for kind in array.kinds)
            kind = NAMES.get(layout.kind, layout.kind)
            raise MolgenError(f"{source} is damaged: {name} has {kind}, expected {expected}")
        matches = len(layout.shape) == len(array.shape) and all(
            actual == (sizes.setdefault(size, actual) if isinstance(size, str) else size)
            for size, actual in zip(array.shape, layout.shape, strict=True)
        )
        if not matches:
            expected = ", ".join(str(sizes.get(str(size), size)) for size in array.shape)
            raise MolgenError(
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
            raise MolgenError(f"{member.filename} is of another version")
        shape, _, dtype = read(file)
    size = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
    return Layout(dtype.kind, tuple(shape), size)


def _check_expansion(path: str | Path, sizes: Iterable[int]) -> None:
    total, packed = sum(sizes), Path(path).stat().st_size
    if total > max(SMALL, RATIO * packed):
        raise MolgenError(
            f"{path} would expand from {packed:,} to {total:,} bytes, expected at most "
            f"{RATIO} times"
        )


def reason(error: Exception) -> str:
    """Return the reason why a library could not read a file, on one short line."""
    return " ".join(str(error).split())[:200] or type(error).__name__

"""Damaged and odd files: bytes of tables, JSON with other values, arrays that do not fit.

Every strategy changes a file that is good, so that most of a file is still as a reader expects it.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**30, 1e300, float("nan"), "", "../x", "/etc/passwd", "evil.py:run"),
    *([], [[]], {}, {"a": 1}, "é\udcff", "x" * 10_000, [0] * 1000, "max", 0.5, 3),
)
CELLS = (
    *("CCO", "c1ccccc1", "C1CC", "", " ", "C(", "[Na+].[Cl-]", "[CH3:1]O", "CC |$_R1;$|", "[2H]C"),
    *("N#N", "C" * 3000, "[" * 3000, "nan", "1,5", "1.234,5", "<5", "1e999", "=1+1", "\x00", "é"),
    *('"', '"CCO', "smiles", "C C", "[Og]", "[999C]", "C%99", "*", "[*:1]C", "\ufeffC", "1" * 400),
    *("[U]" * 50, "C" + "C1CC1" * 200, "InChI=1S/CH4/h1H4", "[C@@H](F)(Cl)Br", "[NH4+]", "[CH2]"),
)
HEADINGS = (
    *("smiles", "SMILES", "canonical_smiles", "structure", "id", "name", "qed", "logp", ""),
    *("a" * 200_000, "line\nbreak", "é", "status", "unique", "raw", "lost", "qed", "0", "  "),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw the name and the bytes of a table."""
    comma = draw(st.sampled_from([",", "\t", ";", " "]))
    width, height = draw(st.integers(1, 5)), draw(st.integers(0, 12))
    lines = [[draw(st.sampled_from(HEADINGS)) for _ in range(width)]]
    if draw(st.booleans()):
        lines[0][0] = "smiles"
    for _ in range(height):
        ragged = draw(st.sampled_from([0, 0, 0, 0, -1, 1]))
        lines.append([draw(st.sampled_from(CELLS)) for _ in range(max(1, width + ragged))])
    ending = draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    content = ending.join(comma.join(line) for line in lines)
    coding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]))
    data = damaged(draw, content.encode(coding, "replace"))
    suffix = draw(st.sampled_from([".csv", ".tsv", ".smi", ".txt", ".sdf", ".parquet", ".xlsx"]))
    if draw(st.integers(0, 5)) == 0:
        data, suffix = damaged(draw, gzip.compress(data, 1)), suffix + ".gz"
    return f"table{suffix}", data


def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Return bytes that are, most of the time, unchanged; cut, flipped, doubled or joined else."""
    kind = draw(st.integers(0, 11))
    at = draw(st.integers(0, max(0, len(data) - 1)))
    if kind == 0:
        return data[:at]
    if kind == 1 and data:
        return data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
    if kind == 2:
        return data * draw(st.integers(2, 4))
    if kind == 3:
        return data[:at] + draw(st.binary(max_size=40)) + data[at:]
    return data


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of each value of a JSON, a few of each list."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else ()
    for key, item in list(enumerate(value))[:3] if isinstance(value, list) else items:
        yield from places(item, (*path, key))


def change_json(draw: st.DrawFn, text: str) -> str:
    """Return a JSON text with up to three values removed or replaced."""
    content = json.loads(text)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(content))
        if not found:
            break
        *into, last = draw(st.sampled_from(found))
        at = content
        for step in into:
            at = at[step]
        if draw(st.integers(0, 3)) == 0:
            del at[last]
        else:
            at[last] = copy.deepcopy(draw(st.sampled_from(VALUES)))  # which later changes may enter
    return json.dumps(content)


def change_arrays(draw: st.DrawFn, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays of which one is missing, or has another type, shape or content."""
    name = draw(st.sampled_from(sorted(arrays)))
    array = arrays[name]
    kind = draw(st.integers(0, 6))
    others = {k: v for k, v in arrays.items() if k != name}
    if kind == 0:
        return others
    if kind == 1:
        types = [np.float16, np.float64, np.int8, np.uint8, np.int64, np.bool_]
        wanted = draw(st.sampled_from(types))
        numbers = array if array.dtype.kind in "biuf" else np.zeros(array.shape, np.uint8)
        with np.errstate(all="ignore"):
            return {**others, name: numbers.astype(wanted)}
    if kind == 2:
        return {**others, name: array.reshape(-1)[: array.size // 2].copy()}
    if kind == 3:
        return {**others, name: array[None].copy()}
    if kind == 4 and array.dtype.kind == "f":
        return {**others, name: np.full_like(array, draw(st.sampled_from([np.nan, np.inf, 1e9])))}
    if kind == 5 and array.dtype.kind in "iu":
        most = np.iinfo(array.dtype)
        return {**others, name: np.full_like(array, draw(st.sampled_from([most.min, most.max])))}
    return {**others, name: np.zeros((0, *array.shape[1:]), array.dtype)}


def change_file(draw: st.DrawFn, path: Path) -> None:
    """Change a file of a folder, as its kind is."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    if path.suffix == ".json" and draw(st.integers(0, 4)):
        path.write_text(change_json(draw, path.read_text()))
        return
    if path.suffix == ".safetensors" and draw(st.integers(0, 2)):
        with safe_open(path, framework="pt") as file:  # NumPy has no bfloat16
            about = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        arrays = {
            name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
            for name, tensor in tensors.items()
        }
        save_file(change_arrays(draw, arrays), path, about)
        return
    if path.suffix == ".npz" and draw(st.integers(0, 2)):
        with np.load(path) as found:
            arrays = dict(found)
        np.savez(path, **change_arrays(draw, arrays))  # type: ignore[arg-type]
        return
    path.write_bytes(damaged(draw, path.read_bytes()))

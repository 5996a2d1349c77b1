from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from molgen.utils.array_files import Array, read_npz, read_safetensors

WANTED = {"lengths": Array("u", "rows"), "values": Array("f", "rows", 3)}
GOOD: dict[str, Any] = {
    "lengths": np.arange(4, dtype=np.uint16),
    "values": np.zeros((4, 3), np.float16),
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"lengths": GOOD["lengths"]}, "lacks 'values'"),
    "dtype": ({**GOOD, "values": np.zeros((4, 3), np.int8)}, "values has whole numbers, exp"),
    "width": ({**GOOD, "values": np.zeros((4, 2), np.float32)}, r"shape \(4, 2\), expected \(4, 3"),
    "rows": ({**GOOD, "values": np.zeros((5, 3), np.float32)}, r"shape \(5, 3\), expected \(4, 3"),
    "axes": ({**GOOD, "lengths": np.zeros((4, 1), np.uint8)}, r"shape \(4, 1\), expected \(rows\)"),
}


def test_expected_arrays_are_read(tmp_path: Path) -> None:
    save_file(GOOD, tmp_path / "a", {"name": "x"})
    arrays, about = read_safetensors(tmp_path / "a", WANTED)
    assert about == {"name": "x"}
    np.savez_compressed(tmp_path / "a.npz", **GOOD)
    for found in (arrays, read_npz(tmp_path / "a.npz", WANTED)):
        assert all(np.array_equal(found[name], GOOD[name]) for name in WANTED)


@pytest.mark.parametrize("case", BAD)
def test_other_arrays_are_named(tmp_path: Path, case: str) -> None:
    arrays, message = BAD[case]
    save_file(arrays, tmp_path / "a")
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_safetensors(tmp_path / "a", WANTED)
    with pytest.raises(ValueError, match=message):
        read_npz(tmp_path / "a.npz", WANTED)


def test_truncated_files_or_other_formats_are_refused(tmp_path: Path) -> None:
    save_file(GOOD, tmp_path / "a")
    np.savez_compressed(tmp_path / "a.npz", **GOOD)
    path = tmp_path / "b"
    for source, read in (("a", read_safetensors), ("a.npz", read_npz)):
        whole = (tmp_path / source).read_bytes()
        cuts = [whole[:size] for size in (0, 5, 40, len(whole) // 2, len(whole) - 1)]
        deep = b"[" * 50_000
        for content in [*cuts, b"text", struct.pack("<Q", 2**60), struct.pack("<Q", 50_000) + deep]:
            path.write_bytes(content)
            with pytest.raises(ValueError, match="damaged") as caught:
                read(path, WANTED)
            assert len(str(caught.value).splitlines()) == 1
        with pytest.raises(OSError, match="No such file"):
            read(tmp_path / "missing", WANTED)


def test_a_header_with_large_sizes_allocates_no_memory(tmp_path: Path) -> None:
    header = {"lengths": {"dtype": "U8", "shape": [10**12], "data_offsets": [0, 10**12]}}
    text = json.dumps(header).encode()
    (tmp_path / "a").write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(ValueError, match="damaged"):
        read_safetensors(tmp_path / "a", WANTED)
    np.savez_compressed(tmp_path / "bomb.npz", lengths=np.zeros(200_000_000, np.uint8))
    with pytest.raises(ValueError, match=r"expand from .* to 200,000,000 bytes"):
        read_npz(tmp_path / "bomb.npz", {"lengths": Array("u", "rows")})


def test_pickled_members_are_never_read(tmp_path: Path) -> None:
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        member, {"descr": "|O", "fortran_order": False, "shape": (4,)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as packed:
        packed.writestr("lengths.npy", member.getvalue() + pickle.dumps([print] * 4))
    with pytest.raises(ValueError, match="lengths has O, expected"):
        read_npz(tmp_path / "a.npz", {"lengths": Array("u", "rows")})

"""Membership in the training-set index, and its round trip through a file."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import rdkit
from hypothesis import given, settings
from hypothesis import strategies as st

from molgen.errors import MolgenError
from molgen.molecules.inchi import inchikey
from molgen.molecules.parsing import canonical
from molgen.molecules.training_index import PROBES, TrainingIndex

CHAINS = ["C" * n + end for n in range(1, 40) for end in ("O", "N", "F")]


def test_membership() -> None:
    index = TrainingIndex.from_smiles(["OCC", "C1=CC=CC=C1", "CCO", "not a molecule"])
    assert len(index) == 2
    queries = ["CCO", "OCC", "c1ccccc1", "C", ""]
    assert index.contains(queries).tolist() == [True, False, True, False, False]
    assert index.contains([]).shape == (0,)


@settings(deadline=None)
@given(st.sets(st.text(max_size=5), max_size=30), st.lists(st.text(max_size=5), max_size=30))
def test_agrees_with_a_set(inside: set[str], queries: list[str]) -> None:
    index = TrainingIndex.from_smiles(inside, canonicalise=False)
    assert index.contains(queries).tolist() == [text in inside for text in queries]


def test_keys_are_blake2b() -> None:
    index = TrainingIndex.from_smiles(["C", "O"])
    digests = [hashlib.blake2b(s, digest_size=8).digest() for s in (b"C", b"O")]
    assert index.keys.tolist() == sorted(int.from_bytes(d, "little") for d in digests)


def test_without_stereochemistry() -> None:
    index = TrainingIndex.from_smiles(["C[C@H](N)O", "CCO", "[13CH4]"])
    assert index.contains(["CC(N)O", "C", "CCO"]).tolist() == [False, False, True]
    assert index.contains(["CC(N)O", "C", "CCO"], form="flat_keys").tolist() == [True] * 3


@pytest.mark.parametrize("extra", [[], ["C[C@H](N)O"]])
def test_round_trip(tmp_path: Path, extra: list[str]) -> None:
    index = TrainingIndex.from_smiles(CHAINS + extra)
    index.save(tmp_path / "training_index.safetensors")
    back = TrainingIndex.load(tmp_path / "training_index.safetensors")
    np.testing.assert_array_equal(back.keys, index.keys)
    np.testing.assert_array_equal(back.flat_keys, index.flat_keys)
    assert (back.rdkit_version, back.probes) == (rdkit.__version__, index.probes)
    assert back.inchi_keys is not None
    np.testing.assert_array_equal(back.inchi_keys, index.inchi_keys)
    assert (tmp_path / "training_index.safetensors").stat().st_size < 8 * len(index) * (
        2 + bool(extra)
    ) + 2500


def test_inchikeys_are_added_from_the_same_molecules() -> None:
    whole = TrainingIndex.from_smiles(CHAINS)
    old = TrainingIndex.from_smiles(CHAINS, inchi=False)
    assert old.inchi_keys is None
    with pytest.raises(MolgenError, match="no InChIKeys"):
        old.contains([inchikey("C")], "inchi_keys")
    made = old.with_inchikeys([*map(canonical, CHAINS), "BrBr"])
    np.testing.assert_array_equal(made.inchi_keys, whole.inchi_keys)
    keys = [inchikey("CO"), inchikey("BrBr"), ""]
    assert made.contains(keys, "inchi_keys").tolist() == [True, False, False]
    with pytest.raises(MolgenError, match="1 of the 117 molecules"):
        old.with_inchikeys([canonical(text) for text in CHAINS[1:]])


def test_a_union_has_inchikeys_if_both_have() -> None:
    one, two = TrainingIndex.from_smiles(["C", "CO"]), TrainingIndex.from_smiles(["N", "CO"])
    joined = one.union(two)
    keys = [inchikey(text) for text in ("C", "CO", "N", "O")]
    assert joined.contains(keys, "inchi_keys").tolist() == [True, True, True, False]
    old = dataclasses.replace(one, inchi_keys=None)
    assert old.union(two).inchi_keys is None
    assert two.union(old).inchi_keys is None


def test_empty_index(tmp_path: Path) -> None:
    index = TrainingIndex.from_smiles([])
    index.save(tmp_path / "none")
    assert TrainingIndex.load(tmp_path / "none").contains(["C"]).tolist() == [False]


def test_order_and_processes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("molgen.utils.parallel.CHUNK", 20)
    many = CHAINS * 2 + ["C" * n for n in range(50)]
    one = TrainingIndex.from_smiles(many)
    two = TrainingIndex.from_smiles(reversed(many), processes=2)
    np.testing.assert_array_equal(one.keys, two.keys)
    assert one.probes == two.probes
    assert len(one.probes) == PROBES
    assert set(one.probes) <= set(map(canonical, many))


def test_check_detects_other_canonical_smiles() -> None:
    index = TrainingIndex.from_smiles(CHAINS)
    assert index.check() is None
    # an RDKit that starts at the other end of two of the chains
    changed = tuple(p[::-1] if i in (3, 7) else p for i, p in enumerate(index.probes))
    old = dataclasses.replace(index, probes=changed, rdkit_version="1999.01.1")
    warning = old.check()
    assert warning is not None
    assert "written by RDKit 1999.01.1" in warning
    assert f"2 of {PROBES}" in warning


def test_files_that_are_not_an_index(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="No such file"):
        TrainingIndex.load(tmp_path / "missing")
    (tmp_path / "text").write_text("not safetensors")
    with pytest.raises(ValueError, match="damaged"):
        TrainingIndex.load(tmp_path / "text")
    TrainingIndex.from_smiles(CHAINS).save(tmp_path / "index")
    content = (tmp_path / "index").read_bytes()
    (tmp_path / "cut").write_bytes(content[:-100])
    with pytest.raises(ValueError, match="damaged"):
        TrainingIndex.load(tmp_path / "cut")
    from safetensors.numpy import save_file

    save_file({"keys": np.arange(3, dtype=np.uint64)}, tmp_path / "other")
    with pytest.raises(ValueError, match="has format None, expected"):
        TrainingIndex.load(tmp_path / "other")
    with pytest.raises(OSError, match="folder"):
        TrainingIndex.from_smiles(CHAINS).save(tmp_path / "no" / "folder")

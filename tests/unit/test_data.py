"""Fetching: only the expected content is ever handed on, and nothing half-done stays behind."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import pytest

import fetch
import prepare
from molgen.data.reading import read_table
from paths import ROOT
from sources import SOURCES, Source, checksum

SMILES = ("CCO", "c1ccccc1", "N")


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set called `tiny`, published as a plain file; nothing at hand yet."""
    path = tmp_path / "published.csv"
    path.write_text("id,SMILES\n" + "".join(f"{i},{s}\n" for i, s in enumerate(SMILES)))
    source = Source(path.as_uri(), len(SMILES), checksum(SMILES), "made up")
    monkeypatch.setitem(SOURCES, "tiny", source)
    monkeypatch.delenv("MOLGEN_DATA_DIR", raising=False)
    return path


def test_checksum_is_over_content() -> None:
    # printf 'C\nN' | sha256sum
    expected = "a378170b9acd4a12edcf0da07aac4627ef11150b8a1a30b5fba3c3ac3db46758"
    assert checksum(["C", "N"]) == expected


def test_download_is_checked_kept_and_not_repeated(published: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    path = fetch.fetch("tiny", cache)
    assert read_table(path).raw == SMILES
    assert os.listdir(cache) == ["tiny.csv.gz"]
    first = path.read_bytes()
    published.unlink()
    assert fetch.fetch("tiny", cache).read_bytes() == first


def test_other_content_is_refused_and_leaves_nothing(published: Path, tmp_path: Path) -> None:
    published.write_text("smiles\nCCO\n")
    with pytest.raises(fetch.FetchError, match="content differs: 1 rows"):
        fetch.fetch("tiny", tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


def test_the_data_folder_comes_first(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given" / "tiny.csv.gz"
    given.parent.mkdir()
    monkeypatch.setenv("MOLGEN_DATA_DIR", str(given.parent))
    assert fetch.fetch("tiny", tmp_path / "cache").parent == tmp_path / "cache"  # not there
    given.write_bytes(gzip.compress("\n".join(["smiles", *SMILES]).encode()))
    assert fetch.fetch("tiny", tmp_path / "cache") == given
    given.write_bytes(gzip.compress(b"smiles\nC\n"))
    with pytest.raises(fetch.FetchError, match="content differs"):
        fetch.fetch("tiny", tmp_path / "cache")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["qm8"], "no data set 'qm8', expected one of esol, qm9"),
        (["tiny"], "tiny: no download from"),
    ],
)
def test_errors_are_one_line_and_status_two(
    published: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    published.unlink()
    assert fetch.main([*arguments, "--cache", str(tmp_path / "cache")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.skipif(not os.environ.get("MOLGEN_DATA_DIR"), reason="no MOLGEN_DATA_DIR")
@pytest.mark.parametrize("name", sorted(SOURCES))
def test_the_checksums_are_those_of_the_real_data(name: str) -> None:
    path = Path(os.environ["MOLGEN_DATA_DIR"]) / f"{name}.csv.gz"
    assert len(fetch.verify(path, SOURCES[name])) == SOURCES[name].rows


def test_prepared_files_hold_distinct_canonical_molecules_with_properties(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    smiles = ("OCC", "c1ccccc1", "CCO", "C1CC1")
    (tmp_path / "qm9.csv.gz").write_bytes(gzip.compress("\n".join(["smiles", *smiles]).encode()))
    monkeypatch.setitem(SOURCES, "qm9", Source("", len(smiles), checksum(smiles), ""))
    monkeypatch.setenv("MOLGEN_DATA_DIR", str(tmp_path))
    out = tmp_path / "out" / "qm9.csv.gz"
    assert prepare.main(["qm9", "--out", str(out), "--processes", "1"]) == 0
    assert "3 of 4 rows kept; left out: 1 duplicate" in capsys.readouterr().out
    table = read_table(out, numbers=prepare.PROPERTIES["qm9"])
    assert table.raw == ("CCO", "c1ccccc1", "C1CC1")
    assert table.numbers["ring_count"].tolist() == [0, 1, 1]
    assert table.numbers["mw"] == pytest.approx([46.069, 78.114, 42.081], abs=1e-3)  # g/mol
    assert table.numbers["tpsa"] == pytest.approx([20.23, 0, 0], abs=1e-9)  # one hydroxyl
    assert os.listdir(out.parent) == [out.name]


def test_esol_is_bundled_with_its_measurements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page of the folder has the checksum of all columns, not of the SMILES alone."""
    monkeypatch.delenv("MOLGEN_DATA_DIR", raising=False)
    path = fetch.fetch("esol", tmp_path / "cache")
    assert path == ROOT / "data" / "esol.csv.gz"
    content = hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
    assert content in (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    column = "measured log solubility in mols per litre"
    measured = read_table(path, numbers=[column]).numbers[column]
    assert len(measured) == SOURCES["esol"].rows
    assert measured.mean() == pytest.approx(-3.05, abs=0.005)  # that of MoleculeNet's table


def test_a_bundled_set_that_was_deleted_is_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MOLGEN_DATA_DIR", raising=False)
    monkeypatch.setattr(fetch, "HERE", tmp_path)
    with pytest.raises(fetch.FetchError, match=r"esol.*esol\.csv\.gz is missing"):
        fetch.fetch("esol", tmp_path / "cache")


DRUG_LIKE = (
    "C[C@@H]1CC(Nc2cncc(-c3nncn3C)c2)C[C@@H](C)C1",
    "C/C=C/C(=O)N1CC[NH+](C)CC1",
    "O=C([O-])[C@H](F)Cl",
    "C1CC2CCC1C2",
)


def test_drug_like_molecules_keep_stereo_and_charges_and_are_prepared_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `prepare.py` writes is what `molgen train` reads: no property is computed again."""
    from molgen.training.ingest import Options, ingest

    text = "\n".join(["smiles", *DRUG_LIKE])
    (tmp_path / "zinc250k.csv.gz").write_bytes(gzip.compress(text.encode()))
    monkeypatch.setitem(SOURCES, "zinc250k", Source("", len(DRUG_LIKE), checksum(DRUG_LIKE), ""))
    monkeypatch.setenv("MOLGEN_DATA_DIR", str(tmp_path))
    out = tmp_path / "out" / "zinc250k.csv.gz"
    assert prepare.main(["zinc250k", "--out", str(out), "--processes", "1"]) == 0
    made = ingest(out, Options(properties=prepare.PROPERTIES["zinc250k"]))
    assert set(made.sources.values()) == {"column"}
    assert len(made.sources) == 10
    assert {"[C@@H]", "[C@H]", "[NH+]", "[O-]", "/"} <= set(made.data.vocab)
    hbd = made.data.values[:, made.data.properties.index("hbd")]
    assert hbd.tolist() == [1, 1, 0, 0]
    smiles = "".join(made.data.vocab[i] for i in made.data.tokens[1, : made.data.lengths[1]])
    assert smiles == "C/C=C/C(=O)N1CC[NH+](C)CC1"


def test_prepare_refuses_other_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare.main(["qm9", "--out", str(tmp_path / "qm9.xlsx")]) == 2
    assert "expected a name ending in .csv or .csv.gz" in capsys.readouterr().err

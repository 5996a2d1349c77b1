"""N rows stay N rows in every format, and a file is whole or not there."""

from __future__ import annotations

import gzip
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from molgen.data.formats import WRITTEN
from molgen.data.tables import check_extension, read_table, write_table
from molgen.utils.files import check_writable, replacing

RAWS = ["CCO", "", "1", "NaN", "C C\n", "true", "OC"]


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "index": range(7),
            "raw": RAWS,
            "smiles": ["CCO", "", "", "", "", "", "CO"],
            "status": ["ok", "empty", "parse", "parse", "parse", "parse", "ok"],
            "unique": [True, False, False, False, False, False, True],
            "novel": [True] + [False] * 6,
            "nfe": range(3, 10),
            "qed": [0.4068, *[np.nan] * 5, 0.39],
        }
    )


@pytest.mark.parametrize("extension", [".csv", ".csv.gz", ".tsv", ".parquet", ".xlsx"])
def test_round_trip(frame: pd.DataFrame, tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"rows{extension}"
    write_table(frame, path)
    back = read_table(path)
    pd.testing.assert_frame_equal(back, frame, check_dtype=False)
    assert back["unique"].dtype == bool
    assert os.listdir(tmp_path) == [path.name]


def test_csv_is_plain(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_table(frame, tmp_path / "rows.csv")
    lines = (tmp_path / "rows.csv").read_text().split("\n")
    assert lines[0] == "index,raw,smiles,status,unique,novel,nfe,qed"
    assert lines[1] == "0,CCO,CCO,ok,true,true,3,0.4068"
    assert lines[2] == "1,,,empty,false,false,4,"
    assert "True" not in frame["unique"].astype(str)[1]  # the caller's frame is as it was
    assert frame["unique"].dtype == bool


def test_smi_keeps_every_row(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_table(frame, tmp_path / "rows.smi")
    lines = (tmp_path / "rows.smi").read_text().splitlines()
    assert len(lines) == 7
    assert lines[0] == "CCO\t0\tok"
    assert lines[1] == "\t1\tempty"
    assert lines[4] == "C?C?\t4\tparse"
    back = read_table(tmp_path / "rows.smi")
    assert back["raw"].tolist() == ["CCO", "", "1", "NaN", "C?C?", "true", "OC"]
    assert back["name"].tolist() == [str(i) for i in range(7)]


def test_sdf_has_a_record_for_every_row(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_table(frame, tmp_path / "rows.sdf")
    records = list(Chem.SDMolSupplier(str(tmp_path / "rows.sdf")))
    assert [mol.GetNumAtoms() for mol in records] == [3, 0, 0, 0, 0, 0, 2]
    assert [mol.GetProp("_Name") for mol in records] == [str(i) for i in range(7)]
    assert records[0].GetPropsAsDict()["qed"] == 0.4068
    assert [mol.GetProp("status") for mol in records] == frame["status"].tolist()
    assert [mol.GetProp("unique") for mol in records] == ["true", *["false"] * 5, "true"]
    assert records[4].GetProp("raw") == "C C?"
    assert records[1].GetProp("raw") == ""
    assert Chem.MolToSmiles(records[0]) == "CCO"


@pytest.mark.parametrize("name", ["rows", "rows.txt", "rows.parquet.gz", "rows.CSVX"])
def test_unknown_extension(frame: pd.DataFrame, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"expected one of \.csv, \.csv\.gz, .*\.xlsx"):
        check_extension(name)
    with pytest.raises(ValueError, match="extension"):
        write_table(frame, tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_extension_in_capitals() -> None:
    assert check_extension("A.CSV") is check_extension("b.csv.Gz")


@pytest.mark.parametrize(("extension", "library"), [(".parquet", "pyarrow"), (".xlsx", "openpyxl")])
def test_without_its_library(monkeypatch: pytest.MonkeyPatch, extension: str, library: str) -> None:
    monkeypatch.setattr("molgen.data.formats.installed", lambda name: False)
    for act in (check_extension, read_table):
        with pytest.raises(ValueError, match=f"without {library}: pip install") as error:
            act(f"rows{extension}")
        assert f"[{extension[1:]}]" in str(error.value)
    assert check_extension("rows.csv").text


@pytest.fixture
def little_space() -> Iterator[None]:
    """A limit on the size of files, which fails a write as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("extension", WRITTEN)
@pytest.mark.usefixtures("little_space")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, extension: str) -> None:
    noise = np.random.default_rng(0).random(5000)  # numbers, because parquet would compress zeros
    many = pd.DataFrame({"raw": ["C"] * 5000, "smiles": "C", "status": "ok", "qed": noise})
    path = tmp_path / f"rows{extension}"
    path.write_text("old")
    with pytest.raises(OSError, match=r"(?i)too large|27"):
        write_table(many, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    check_writable(tmp_path / "fine.csv")
    with pytest.raises(ValueError, match="there is no folder"):
        check_writable(tmp_path / "no" / "rows.csv")
    with pytest.raises(ValueError, match="it is a folder"):
        check_writable(tmp_path)


def test_missing_column(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no column 'smiles', only qed"):
        write_table(pd.DataFrame({"qed": [1.0]}), tmp_path / "rows.sdf")
    assert os.listdir(tmp_path) == []


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1))
def test_any_text_survives_parquet_and_keeps_its_row_in_smi(raws: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        frame = pd.DataFrame({"raw": raws, "status": "parse"})
        write_table(frame, f"{folder}/a.parquet")
        assert read_table(f"{folder}/a.parquet")["raw"].tolist() == raws
        write_table(frame, f"{folder}/a.smi")
        assert len(Path(folder, "a.smi").read_text().splitlines()) == len(raws)


@pytest.mark.parametrize(
    ("name", "text", "column", "values"),
    [
        ("a.csv", "smiles\nC\n\nCC\n", "smiles", ["C", "", "CC"]),  # a drawn empty string is a row
        ("a.csv", "my name,smiles\nx,C\n\ny,CC\n", "smiles", ["C", "CC"]),
        ("a.csv", "\ufeffsmiles;n\r\nC;1\r\n", "n", [1]),
        ("a.tsv", "smiles\tn\nC\t1.5\nCC\t\n", "smiles", ["C", "CC"]),
        ("a.smi", "C methane\n\nCC  ethane gas\n", "raw", ["C", "", "CC"]),
        ("a.smi", "C methane\nCC  ethane gas\n", "name", ["methane", "ethane gas"]),
        ("a.smi", "smiles name\nC methane\n", "smiles", ["C"]),
        ("a.txt", "C\nN\n", "raw", ["C", "N"]),
        ("a.csv", "raw,ok\nN,TRUE\n1,false\n", "ok", [True, False]),
        ("a.csv", "raw,n\nN,1\n1,x\n", "n", ["1", "x"]),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_reading(
    tmp_path: Path, name: str, text: str, column: str, values: list[object], zipped: bool
) -> None:
    path = tmp_path / (name + ".gz" * zipped)
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if zipped else text.encode())
    assert read_table(path)[column].tolist() == values


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"\x00\x01"),
        ("a.csv.gz", gzip.compress(b"smiles\nC\n", mtime=0)[:-6]),
        ("a.parquet", b"not parquet at all"),
        ("a.xlsx", b"PK"),
        ("a.csv", b'smiles,b\n"C,1\n'),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name) as error:
        read_table(tmp_path / name)
    assert "\n" not in str(error.value)


def test_sdf_keeps_stereochemistry(tmp_path: Path) -> None:
    hands = ["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "C/C=C/C", "C/C=C\\C"]
    write_table(pd.DataFrame({"raw": hands, "smiles": hands, "status": "ok"}), tmp_path / "a.sdf")
    records = Chem.SDMolSupplier(str(tmp_path / "a.sdf"))
    assert [Chem.MolToSmiles(mol) for mol in records] == list(map(Chem.CanonSmiles, hands))

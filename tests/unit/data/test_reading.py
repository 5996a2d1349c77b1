"""Files as users have them: whatever the packaging, the same molecules and line numbers."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molgen.data.reading import read_header, read_table

PLAIN = "smiles\nCCO\nc1ccccc1\n"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", PLAIN),
        ("a.csv", "SMILES\nCCO\nc1ccccc1"),
        ("a.csv", PLAIN.replace("\n", "\r\n")),
        ("a.csv", PLAIN.replace("\n", "\r")),
        ("a.csv", b"\xef\xbb\xbf" + PLAIN.encode()),
        ("a.csv", PLAIN.encode("utf-16")),
        ("a.csv", 'id,"smiles"\n1,"CCO"\n2,"c1ccccc1"\n'),
        ("a.csv", 'name;Smiles\n"benzene; pure";CCO\nb;c1ccccc1\n'),
        ("a.csv", "name,smiles\nnaïve,CCO\nb,c1ccccc1\n".encode("latin-1")),
        ("a.tsv", "id\tsmiles\n1\tCCO\n2\tc1ccccc1\n"),
        ("a.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)),
        ("a.smi", "CCO\nc1ccccc1\n"),
        ("a.smi", "CCO\tethyl alcohol\nc1ccccc1 benzene\n"),
        ("a.smi", '"CCO"\n"c1ccccc1"\n'),
        ("a.smi", "SMILES name\nCCO  alcohol\nc1ccccc1 b\n"),
        ("a.txt", "CCO,alcohol\nc1ccccc1,benzene\n"),
        ("a.txt", "id,smiles\n1,CCO\n2,c1ccccc1\n"),
        ("a.SMI.GZ", gzip.compress(b"CCO\nc1ccccc1\n", mtime=0)),
        ("a.smi", gzip.compress(b"CCO\nc1ccccc1\n", mtime=0)),  # renamed without being unpacked
    ],
)
def test_every_packaging_gives_the_same_molecules(
    tmp_path: Path, name: str, content: str | bytes
) -> None:
    table = read_table(write(tmp_path / name, content))
    assert table.raw == ("CCO", "c1ccccc1")
    assert table.source == name


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.csv", "\n\nsmiles,x\nC,1\n\n  \nN,2\n", (4, 7)),
        ("a.smi", "\nC\n\n \nN\n", (2, 5)),
        ("a.csv", 'smiles,note\nC,"two\nlines"\nN,\n', (3, 4)),
    ],
)
def test_blank_lines_are_no_rows_and_line_numbers_are_the_files(
    tmp_path: Path, name: str, content: str, lines: tuple[int, ...]
) -> None:
    table = read_table(write(tmp_path / name, content))
    assert table.raw == ("C", "N")
    assert table.lines == lines


def test_an_empty_cell_is_a_row(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "a.csv", "id,smiles\n1,\n2,C\n3\n"))
    assert table.raw == ("", "C", "")


def test_columns_of_numbers_are_aligned_and_nan_where_there_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "smiles,QED,x\nC,0.5,1\nN,,2\nO,high,3\nF,inf\n")
    table = read_table(path, numbers=["qed", "x"])
    np.testing.assert_array_equal(table.numbers["qed"], [0.5, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(table.numbers["x"], [1, 2, 3, np.nan])


def test_a_named_column_is_taken_and_the_header_can_be_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "smiles,product\nC,CC\nN,NN\n")
    assert read_table(path, column="product").raw == ("CC", "NN")
    assert read_header(path) == ("smiles", "product")
    assert read_header(write(tmp_path / "b.smi", "C\nN\n")) == ()


@pytest.mark.parametrize(
    ("name", "content", "column", "message"),
    [
        ("a.csv", "", None, "the file is empty"),
        ("a.csv", "\n \r\n", None, "the file is empty"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), None, "the file is empty"),
        ("a.csv", "smiles\n\n", None, "a header line and no rows"),
        ("a.csv", "id,s\n1,C\n", None, "no column 'smiles' or the like; the columns are 'id', 's'"),
        ("a.csv", "smiles\nC\n", "product", "no column 'product'; the columns are 'smiles'"),
        ("a.smi", "C\nN\n", "product", "no column 'product'; the columns are 'C'"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", None, "not a text file"),
        ("a.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)[:-9], None, "damaged gzip file"),
        ("a.csv", 'smiles,note\nC,x\nN,"open\nO,y\n', None, "line 4: unexpected end of data"),
        ("a.parquet", "PAR1", None, "a.parquet: "),
        ("a.docx", "C", None, "ends in '.docx', expected one of .csv"),
        ("a", "C", None, "ends in '', expected one of .csv"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(
    tmp_path: Path, name: str, content: str | bytes, column: str | None, message: str
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        read_table(path, column=column)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@given(
    st.lists(st.text("CNOcn()[]=#@+-1234%/\\.", min_size=1), min_size=1),
    st.sampled_from(["\n", "\r\n"]),
)
def test_any_list_of_strings_survives(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], end: str
) -> None:
    folder = tmp_path_factory.mktemp("read")
    plain, table = end.join(rows), end.join(["smiles", *rows])
    assert read_table(write(folder / "a.smi", plain), check=False).raw == tuple(rows)
    assert read_table(write(folder / "a.csv", table), check=False).raw == tuple(rows)


def test_reading_and_cleaning_do_not_import_torch() -> None:
    code = "import sys, molgen.data.cleaning; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

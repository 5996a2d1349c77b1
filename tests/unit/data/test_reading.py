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


@pytest.mark.parametrize(
    ("name", "content", "raw"),
    [
        ("a.smi", "#SMILES\tName\nCCO\ta b\nCCN |x| q\tw\n", ("CCO", "CCN")),
        ("a.smi", "smiles name\nCCO a,b,c\nCCN d e\n", ("CCO", "CCN")),
        ("a.smi", "CCO |$;;x$| ethanol\nCCN\tamine\n", ("CCO", "CCN")),
        ("a.csv", "smiles\nCCO |$;;x$|\nCCN name\n", ("CCO", "CCN")),
        ("a.csv", "CCO\nCCN\n", ("CCO", "CCN")),  # no headings
        ("a.csv", "smiles;IC50, nM, mean;id\nCCO;1,5;a\nCCN;2;b\n", ("CCO", "CCN")),
        ("a.csv", '"a\nb";Canonical SMILES\n1;CCO\n2;CCN\n', ("CCO", "CCN")),
        ("a.csv", "raw,smiles\n.1,CCO\n.2,CCN\n", ("CCO", "CCN")),
        ("a.csv", "structure,PUBCHEM_SMILES\nx,CCO\ny,CCN\n", ("CCO", "CCN")),
        ("a.csv", "smiles,mol\n,CCO\n,CCN\n", ("CCO", "CCN")),  # nothing under the first
        ("a.csv", "smiles,x\nCCO\nCCN,1,2\n", ("CCO", "CCN")),
        ("a.csv", b"\xef\xbb\xbfsmiles,x\nCCO,1\nCCN,caf\xe9\n", ("CCO", "CCN")),
        ("a.csv", "smiles\nCCO\nCCN\n".encode("utf-32"), ("CCO", "CCN")),
        ("a.csv", 'smiles,x\nCCO,5" pipe\nCCN,\n', ("CCO", "CCN")),
    ],
)
def test_odd_tables(tmp_path: Path, name: str, content: str | bytes, raw: tuple[str, ...]) -> None:
    assert read_table(write(tmp_path / name, content)).raw == raw


def test_what_was_odd_is_counted_with_the_first_line(tmp_path: Path) -> None:
    content = "smiles,x\nCCO a\nCCN,1,2\nC,naïve\nCC,2\n".encode("latin-1")
    table = read_table(write(tmp_path / "a.csv", content), numbers=["x"])
    assert table.notes() == [
        "a.csv: 4 rows, SMILES in column 'smiles'",
        "a.csv: rows with fewer cells than headings: 1 (first: line 2)",
        "a.csv: rows with more cells than headings: 1 (first: line 3)",
        "a.csv: bytes that are not UTF-8, read as Latin-1: 1 (first: line 4)",
        "a.csv: cells with a name or a CXSMILES extension behind the SMILES: 1 (first: line 2)",
        "a.csv: x: 1 of 4 values read; 1 empty (first: in line 2); 1 in a row of more cells than "
        "headings (first: in line 3); 1 no number (first: 'naïve' in line 4)",
    ]
    assert table.facts()["values"]["x"]["read"] == 1
    assert len(table.facts()["odd"]) == 4


def test_raw_is_taken_as_it_stands_and_first_where_rows_are_judged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "smiles,raw\nCCO,OCC\nCC,C C\n")
    assert read_table(path).raw == ("CCO", "CC")
    assert read_table(path, drawn=True).raw == ("OCC", "C C")
    list_ = write(tmp_path / "a.smi", "C\n\nN\n")
    assert (len(read_table(list_)), len(read_table(list_, drawn=True))) == (2, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"smiles,{'x' * 200_000}\nC,1\n", "line 1: the headings cannot be read: field larger"),
        ("smiles" + ",x" * 20_000 + "\nC\n", "20,001 columns, expected at most 16,384"),
        ("smiles" + ",x" * 600_000 + "\nC\n", "a line of more than 1 MiB"),
        ("a" + ",x" * 3000 + "\nC\n", "'x' and 2,981 more"),
        (f"smiles\n{'C' * 140_000}\n", "line 2: field larger than field limit"),
        ('smiles,x\nC,1\n"C"C,1\n', "line 3: "),
        ('"smiles,x\nC,1\n', "line 1: the headings cannot be read"),
        ("CCO,1\nCCN,2\n", "a table without headings is read if its name ends in .smi"),
        ("smiles\nhello\n1.5\n", "no SMILES in column 'smiles' (2 rows; first: 'hello' in line 2)"),
        ("smiles,x\n,1\n", "no SMILES in column 'smiles' (1 rows; all are empty)"),
        ("smiles\nC\n".encode("utf-16") + b"\x00", "not UTF-16, as which the file begins"),
        (gzip.compress(b"smiles\nC\n", mtime=0) + b"junk", "damaged gzip file"),
        (gzip.compress(b"smiles\n" + b"C\n" * 30_000, mtime=0), "more than 10,000 lines"),
        (gzip.compress(b"smiles\n" + b"CCCCCCC\n" * 900_000, mtime=0), "more than 2 MiB unpacked"),
    ],
)
def test_limits_and_faults_are_one_short_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | bytes, message: str
) -> None:
    monkeypatch.setattr("molgen.data.text_file.MOST_BYTES", 2 * 2**20)
    monkeypatch.setattr("molgen.data.text_file.MOST_LINES", 10_000)
    if "unpacked" in message:
        monkeypatch.setattr("molgen.data.text_file.MOST_LINES", 10**9)
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(ValueError, match=r"^[^\n]{1,600}$") as caught:
        read_table(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.smi", "a.tsv", "a.csv.gz"]))
def test_any_bytes_are_a_table_or_one_clear_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = write(tmp_path_factory.mktemp("bytes") / name, b"smiles,x\nC,1\n" + content)
    told, raw = "", tuple("C")
    try:
        raw = read_table(path, numbers=["x"]).raw
    except ValueError as error:
        told = str(error)
    assert "\n" not in told
    assert raw[0] == "C"


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

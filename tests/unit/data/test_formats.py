"""1,000 molecules with identifiers through every format; damaged and malicious files."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from molgen.data.carried import carry
from molgen.data.cells import defuse, fuse, texts
from molgen.data.formats import WRITTEN
from molgen.data.reading import Table, read_table
from molgen.data.tables import write_table

ROWS = 1000


@pytest.fixture(scope="module")
def molecules() -> pd.DataFrame:
    """Molecules with identifiers, as a user has them: names, numbers, formulas."""
    smiles = _smiles()
    odd = ["=1+2", "-3-oxo", "@home", "+", "'quoted", "a, b", 'say "x"', "007", "naïve", "-5.2"]
    names = [odd[i] if i < len(odd) else f"CHEMBL{i} (batch {i % 7})" for i in range(ROWS)]
    return pd.DataFrame(
        {
            "raw": smiles,
            "smiles": smiles,
            "status": "ok",
            "name": names,
            "IC50 nM": [f"{i / 8:.3f}" for i in range(ROWS)],
            "plate": [f"{i:04d}" for i in range(ROWS)],
            "note": ["" if i % 3 else f"=HYPERLINK({i})" for i in range(ROWS)],
        }
    )


def _smiles() -> list[str]:
    """Return canonical SMILES: of ZINC250k if it is there, else alkyl amides with stereocentres."""
    path = Path(os.environ.get("MOLGEN_DATA_DIR") or "missing", "zinc250k.csv.gz")
    if path.is_file():
        given = pd.read_csv(path, nrows=ROWS).iloc[:, 0].str.strip().tolist()
    else:
        chains = ["C" * (1 + i % 10) for i in range(ROWS)]
        ends = ["C" * (i // 10 % 10) + "NOFS"[i // 100 % 4] for i in range(ROWS)]
        rings = ["c1ccccc1", "C1CC1", "c1ccncc1"]
        given = [
            f"C{a}[C@H](N{rings[i % 3]})C(=O)N{b}"
            for i, (a, b) in enumerate(zip(chains, ends, strict=True))
        ]
    found = list(map(Chem.CanonSmiles, given))
    assert len(found) == ROWS
    return found


@pytest.mark.parametrize("extension", WRITTEN)
def test_a_thousand_molecules_with_identifiers(
    molecules: pd.DataFrame, tmp_path: Path, extension: str
) -> None:
    path = tmp_path / f"rows{extension}"
    write_table(molecules, path)
    table = read_table(path, others=True)
    assert list(map(Chem.CanonSmiles, table.raw)) == molecules["smiles"].tolist()
    kept = ["name"] if extension.startswith(".smi") else ["name", "plate", "note", "IC50 nM"]
    for name in kept:
        expected = molecules[name].tolist()
        if name == "IC50 nM":  # numbers in typed formats
            assert list(map(float, table.others[name])) == list(map(float, expected))
        else:
            assert list(table.others[name]) == expected


@pytest.mark.parametrize("extension", WRITTEN)
def test_rdkit_and_pandas_open_each(
    molecules: pd.DataFrame, tmp_path: Path, extension: str
) -> None:
    path = tmp_path / f"rows{extension}"
    write_table(molecules, path)
    found: Any
    if extension.startswith(".sdf"):
        with gzip.open(path) if extension.endswith(".gz") else path.open("rb") as stream:
            found = list(Chem.ForwardSDMolSupplier(stream))
        assert [mol.GetProp("_Name") for mol in found] == molecules["name"].tolist()
        assert [mol.GetProp("plate") for mol in found] == molecules["plate"].tolist()
        found = list(map(Chem.MolToSmiles, found))
    elif extension.startswith(".smi"):
        content = gzip.decompress(path.read_bytes()) if "gz" in extension else path.read_bytes()
        supplier = Chem.SmilesMolSupplierFromText(content.decode(), "\t", titleLine=False)
        found = [Chem.MolToSmiles(mol) for mol in supplier]
        names = [mol.GetProp("_Name") for mol in supplier]
        assert names == molecules["name"].tolist()
    else:
        opened = {".parquet": pd.read_parquet, ".xlsx": pd.read_excel}.get(extension, pd.read_csv)
        more: dict[str, Any] = {"sep": "\t"} if ".tsv" in extension else {}
        if extension != ".parquet":
            more["dtype"] = {"plate": str}
        frame = opened(path, **more)
        found = frame["smiles"].tolist()
        assert frame["IC50 nM"].tolist() == molecules["IC50 nM"].astype(float).tolist()
        assert frame["plate"].tolist() == molecules["plate"].tolist()
    assert found == molecules["smiles"].tolist()


def test_floats_have_six_digits_in_text_and_all_in_binary_formats(tmp_path: Path) -> None:
    frame = pd.DataFrame({"raw": ["C"], "smiles": ["C"], "qed": [0.123456789], "mw": [1234567.5]})
    for extension in WRITTEN:
        path = tmp_path / f"a{extension}"
        write_table(frame, path)
        found = read_table(path, others=True).others
        exact = extension in (".parquet", ".xlsx")
        if "qed" in found:
            assert found["qed"] == (("0.123456789",) if exact else ("0.123457",))
            assert found["mw"] == (("1234567.5",) if exact else ("1.23457e+06",))


@given(st.text(max_size=12))
def test_defusing_can_be_undone_and_is_idempotent_on_reading(text: str) -> None:
    assert fuse(defuse(text)) == text or text != fuse(text)
    assert defuse(text) in (text, f"'{text}")


@pytest.mark.parametrize("text", ["=1+1", "+cmd|'/C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_are_defused_in_names_and_never_in_what_was_drawn(text: str) -> None:
    frame = pd.DataFrame({"raw": [text], "smiles": [text], "name": [text], text: ["x"]})
    cells = texts(frame, safe=True)
    assert cells["raw"].tolist() == cells["smiles"].tolist() == [text]
    assert cells["name"].tolist() == [f"'{text}"]
    assert f"'{text}" in cells


@pytest.mark.parametrize("text", ["-5.2", "+1e-3", "-1,5", "-", "--", "", "CC=O", "'a"])
def test_numbers_and_plain_text_are_not_defused(text: str) -> None:
    assert defuse(text) == text


def sdf(*records: str) -> bytes:
    return "".join(f"{record}$$$$\n" for record in records).encode()


def block(smiles: str, title: str = "") -> str:
    mol = Chem.MolFromSmiles(smiles)
    mol.SetProp("_Name", title)
    return str(Chem.MolToMolBlock(mol))


def test_a_damaged_record_is_a_row_and_not_the_end(tmp_path: Path) -> None:
    tags = ">  <id>\nA{}\n\n>  <note>  (1)\ntwo\nlines\n\n"
    records = [
        block("CCO", "first") + tags.format(1),
        "broken\n  x\n\n nonsense V2000\n" + tags.format(2),
        block("C").replace("0.0000 C ", "0.0000 Xx") + tags.format(3),
        block("CC").replace("  1  2  1  0", "  1  9  1  0") + tags.format(4),
        block("C[C@H](N)O", "last") + tags.format(5),
    ]
    path = tmp_path / "a.sdf"
    path.write_bytes(sdf(*records))
    table = read_table(path, others=True)
    assert table.raw[0] == "CCO"
    assert table.raw[1] == table.raw[3] == "damaged_record"
    assert Chem.CanonSmiles(table.raw[4]) == Chem.CanonSmiles("C[C@H](N)O")
    assert table.others["id"] == ("A1", "A2", "A3", "A4", "A5")
    assert table.others["note"][0] == "two\nlines"
    assert table.others["name"] == ("first", "broken", "", "", "last")
    where = f"(first: line {(records[0] + '$$$$').count(chr(10)) + 2})"
    assert any("RDKit cannot read" in line and where in line for line in table.notes())


def test_an_invalid_valence_keeps_its_reason(tmp_path: Path) -> None:
    from molgen.molecules.parsing import Status, interpret

    five = Chem.MolFromSmiles("CC(C)(C)(C)C", sanitize=False)
    (tmp_path / "a.sdf").write_bytes(sdf(Chem.MolToMolBlock(five, kekulize=False), block("C")))
    table = read_table(tmp_path / "a.sdf")
    assert interpret(table.raw[0]).status is Status.VALENCE
    assert table.raw[1] == "C"


def test_a_record_too_large_to_canonicalise_is_damaged(tmp_path: Path) -> None:
    count = 6000
    lines = ["", "", "", "  0  0  0     0  0            999 V3000", "M  V30 BEGIN CTAB"]
    lines += [f"M  V30 COUNTS {count} {count - 1} 0 0 0", "M  V30 BEGIN ATOM"]
    lines += [f"M  V30 {i + 1} C {i} 0 0 0" for i in range(count)]
    lines += ["M  V30 END ATOM", "M  V30 BEGIN BOND"]
    lines += [f"M  V30 {i} 1 {i} {i + 1}" for i in range(1, count)]
    lines += ["M  V30 END BOND", "M  V30 END CTAB", "M  END", ""]
    (tmp_path / "a.sdf").write_bytes(sdf("\n".join(lines), block("C")))
    assert read_table(tmp_path / "a.sdf").raw == ("damaged_record", "C")


def test_a_mol_file_and_the_last_record_without_an_end(tmp_path: Path) -> None:
    (tmp_path / "a.mol").write_text(block("CCO", "ethanol"))
    table = read_table(tmp_path / "a.mol", others=True)
    assert (table.raw, dict(table.others)) == (("CCO",), {"name": ("ethanol",)})


def workbook(rows: list[list[object]]) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    for row in rows:
        book.active.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def edited(content: bytes, name: str, text: bytes) -> bytes:
    """Return a workbook with one of its parts replaced."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.infolist():
            new.writestr(part.filename, text if part.filename == name else old.read(part))
    return buffer.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
TABLE = workbook([["smiles", "n"], ["CCO", 1], ["=1+1", 2.5], [None, None], ["CC", True]])
BODY = (
    b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    b'<dimension ref="A1:XFD1048576"/><sheetData>%s</sheetData></worksheet>'
)
ROW = b'<row r="%d"><c r="A%d" t="inlineStr"><is><t>%s</t></is></c></row>'


def test_a_workbook_has_values_rather_than_formulas(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(TABLE)
    table = read_table(tmp_path / "a.xlsx", others=True)
    assert table.raw == ("CCO", "", "CC")  # the formula was never computed
    assert table.lines == (2, 3, 5)
    assert table.others["n"] == ("1", "2.5", "true")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged xlsx"),
        (b"PK\x03\x04", "damaged xlsx"),
        (TABLE[:-40], "damaged xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted"),
        (edited(TABLE, SHEET, b"<worksheet"), "damaged xlsx"),
        (edited(TABLE, SHEET, BODY % b""), "the first sheet is empty"),
        (edited(TABLE, "xl/workbook.xml", b"<workbook/>"), "damaged xlsx"),
        (
            edited(TABLE, SHEET, BODY % (ROW % (1, 1, b"smiles") + ROW % (10**12, 10**6, b"C"))),
            "more than 1,048,576 rows",
        ),
        (
            edited(
                TABLE,
                SHEET,
                b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]>'
                + BODY % (ROW % (1, 1, b"&b;")),
            ),
            "damaged xlsx",
        ),
    ],
)
def test_damaged_and_encrypted_workbooks_are_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^[^\n]{1,500}$") as caught:
        read_table(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("molgen.data.xlsx.MOST_BYTES", 2**20)
    path = tmp_path / "a.xlsx"
    path.write_bytes(edited(TABLE, SHEET, BODY % (b" " * 2**22)))
    assert path.stat().st_size < 2**14
    with pytest.raises(ValueError, match=r"bytes unpacked, expected at most 1,048,576"):
        read_table(path)


@settings(max_examples=60)
@given(st.integers(0, len(TABLE) - 1), st.binary(min_size=1, max_size=4))
def test_any_change_to_a_workbook_is_a_table_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: bytes
) -> None:
    path = tmp_path_factory.mktemp("xlsx") / "a.xlsx"
    path.write_bytes(TABLE[:place] + change + TABLE[place + len(change) :])
    _is_table_or_one_line(path)


@settings(max_examples=60)
@given(st.data())
def test_any_change_to_the_xml_of_a_sheet_is_a_table_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    with zipfile.ZipFile(io.BytesIO(TABLE)) as archive:
        name = data.draw(st.sampled_from(sorted(archive.namelist())))
        text = archive.read(name)
    place = data.draw(st.integers(0, len(text)))
    change = data.draw(st.sampled_from([b"", b"<", b"9", b'"', b"</c>", b"r=", b"A", b"-"]))
    path = tmp_path_factory.mktemp("xml") / "a.xlsx"
    path.write_bytes(edited(TABLE, name, text[:place] + change + text[place + 1 :]))
    _is_table_or_one_line(path)


@pytest.mark.parametrize("content", [b"", b"<Types/>"])
def test_a_workbook_that_names_no_sheets_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(edited(TABLE, "[Content_Types].xml", content))
    with pytest.raises(ValueError, match=r"a\.xlsx: damaged xlsx file"):
        read_table(path)


@given(st.binary(max_size=300))
def test_any_bytes_of_an_sdf_are_a_table_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("sdf") / "a.sdf"
    path.write_bytes(sdf(block("CCO")) + content)
    _is_table_or_one_line(path)


def _is_table_or_one_line(path: Path) -> None:
    try:
        table: Table | str = read_table(path)
    except ValueError as error:
        table = str(error)
    assert table
    assert "\n" not in str(table) if isinstance(table, str) else len(table)


def test_columns_that_collide_are_renamed_and_equal_ones_are_not_repeated() -> None:
    ours = pd.DataFrame({"index": [0, 1], "smiles": ["C", "N"], "qed": [0.5, 0.25]})
    found = carry(
        ours,
        {"index": ("0", "1"), "QED": ("a", "b"), "qed_input": ("c", "d"), "id": ("x", "y")},
    )
    assert list(found) == ["index", "smiles", "qed", "QED_input", "qed_input_input", "id"]
    assert carry(ours, {"id": ("x",)}, [0, -1])["id"].tolist() == ["x", ""]


@pytest.mark.parametrize(
    ("content", "others"),
    [
        ("CCO ethyl alcohol\nC\n", {"name": ("ethyl alcohol", "")}),
        ("CCO\tethanol\t46.07\nC\n", {"name": ("ethanol", ""), "column_3": ("46.07", "")}),
        ("CCO |$;;x$| ethanol\nC m\n", {"name": ("ethanol", "m")}),
        ("SMILES Name\nCCO ethanol\nC m\n", {"Name": ("ethanol", "m")}),
        ("CCO\nC\n", {}),
    ],
)
def test_what_is_behind_a_smiles_in_a_list_is_a_name(
    tmp_path: Path, content: str, others: dict[str, tuple[str, ...]]
) -> None:
    (tmp_path / "a.smi").write_text(content)
    table = read_table(tmp_path / "a.smi", others=True)
    assert table.raw == ("CCO", "C")
    assert dict(table.others) == others

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import molgen as library
from commands import Run, names
from molgen.data.tables import write_table
from molgen.molecules.parsing import canonical
from molgen.utils.run_record import read_record
from pages import HOSTILE, Page, read_page
from small_data import SMILES


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    lines = ["OCC,a", "CCO,b", "C1CC,c", ",d", "CCN.Cl,e", "c1ccccc1,f"]
    path.write_text("smiles,name\n" + "\n".join(lines) + "\n")
    return path


def made(molgen: Run, *words: object) -> Page:
    ran = molgen("report", *words)
    assert ran.status == 0, ran
    return read_page(Path(str(words[words.index("--out") + 1])))


def values(page: Page, name: str) -> list[object]:
    (found,) = (column["values"] for column in page.data["columns"] if column["name"] == name)
    return list(found)


def funnel(page: Page) -> str:
    words = page.words
    return words[words.index("From ") : words.rindex("Distributions")]


def test_a_table_without_a_record(molgen: Run, table: Path) -> None:
    page = made(molgen, table, "--out", table.with_suffix(".html"), "--title", "Series 7")
    assert page.data["smiles"] == ["CCO", "CCO", "C1CC", "", "CCN", "c1ccccc1"]
    assert values(page, "status") == ["ok", "ok", "ring_closure", "empty", "ok", "ok"]
    assert values(page, "as_given") == ["", "", "", "", "CCN.Cl", ""]
    assert values(page, "name") == list("abcdef")
    assert "Series 7 6 rows of rows.csv: 3 distinct molecules." in page.words
    for part in ("rows 6", "invalid: ring_closure −1", "duplicate −1", "distinct molecules 3"):
        assert part in funnel(page)
    assert f"molgen report {table} --out {table.with_suffix('.html')}" in page.words


def test_the_record_of_a_run_is_in_the_page(molgen: Run, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    words = ("qm9", "--target", "qed=0.5..", "--n", 8, "--steps", 8, "--out", out)
    assert molgen("sample", *words).status == 0
    page = made(molgen, out, "--out", tmp_path / "page.html")
    record = read_record(f"{out}.json")
    fates = record.counts["fates"]
    assert f"rows drawn {record.counts['drawn']}" in funnel(page)
    for reason, count in fates.items():
        if count and reason != "ok":
            assert f"{reason} −{count}" in funnel(page)
    assert f"accepted {fates['ok']}" in funnel(page)
    assert "qed 0.5 at least" in page.words
    repeated = f"molgen sample qm9 --target qed=0.5.. --n 8 --steps 8 --out {out}"
    assert repeated in page.words
    assert f"molgen run {out}.json" in page.words
    assert page.data["training"] == "training set of qm9"
    assert page.data["axes"][0] == {"name": "qed", "sign": 1}
    assert [value is None for value in values(page, "qed")] == pd.read_csv(out)[
        "smiles"
    ].isna().tolist()


def test_a_record_that_is_none_is_noted(molgen: Run, table: Path) -> None:
    Path(f"{table}.json").write_text(json.dumps({"molgen_record": "x", "words": 3}))
    ran = molgen("report", table, "--out", table.with_suffix(".html"))
    assert ran.status == 0
    assert f"{table}.json is not used" in ran.err


def test_a_model_that_a_record_names_is_not_fetched(molgen: Run, tmp_path: Path) -> None:
    out = tmp_path / "designs.csv"
    assert molgen("sample", "qm9", "--n", 2, "--steps", 4, "--out", out).status == 0
    path = Path(f"{out}.json")
    record = json.loads(path.read_text())
    record["model"]["name"] = "hf:somebody/model"
    path.write_text(json.dumps(record))
    page = made(molgen, out, "--out", tmp_path / "page.html")
    assert page.data["training"] is None
    assert "hf:somebody/model" in page.words


def test_the_nearest_molecule_of_a_reference(molgen: Run, table: Path, smi: Path) -> None:
    page = made(molgen, table, "--out", table.with_suffix(".html"), "--reference", smi)
    smiles, near = page.data["structures"]["smiles"], values(page, "nearest")
    assert [None if i is None else smiles[int(str(i))] for i in near[:4]] == [
        "CCO", "CCO", None, None
    ]  # fmt: skip
    assert values(page, "nearest_similarity")[:2] == [1, 1]
    assert page.data["reference"] == page.data["training"] == smi.name
    assert not page.data["trained"]


def test_novelty_is_that_of_a_model(molgen: Run, tmp_path: Path) -> None:
    path = tmp_path / "rows.smi"
    path.write_text("\n".join(("CCO", "CCCCCCCCCCCCCCCCCCCC")) + "\n")
    page = made(molgen, path, "--out", tmp_path / "page.html", "--model", "qm9")
    assert "in training set −1" in funnel(page)
    assert "new molecules 1" in funnel(page)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".smi", ".sdf", ".csv.gz", ".parquet", ".xlsx"])
def test_every_format_that_is_read(molgen: Run, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"set{suffix}"
    frame = pd.DataFrame({"smiles": SMILES[:5], "name": [HOSTILE[0], *"bcde"]})
    write_table(frame.rename(columns={"smiles": "raw"}) if suffix == ".smi" else frame, path)
    page = made(molgen, path, "--out", tmp_path / "page.html")
    assert page.data["smiles"] == [canonical(smiles) for smiles in SMILES[:5]]


def test_parts_calls_and_further_properties(molgen: Run, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    frame = pd.DataFrame({"smiles": SMILES[:4], "R1": ["*C", "*C", "*O", "*N"]})
    frame.assign(calls=[1, 2, 3, 4], score=np.arange(4) / 4).to_csv(path, index=False)
    page = made(molgen, path, "--out", tmp_path / "p.html", "--property", "rdkit:TPSA")
    assert page.data["groups"][0]["title"] == "Parts at R1"
    assert page.data["history"]["score"] == [0, 0.25, 0.5, 0.75]
    assert "rdkit:TPSA" in [axis["name"] for axis in page.data["axes"]]


def test_a_long_table_is_cut_and_counted(molgen: Run, table: Path) -> None:
    page = made(molgen, table, "--out", table.with_suffix(".html"), "--rows", 2)
    assert page.data["smiles"] == ["CCO", "CCO"]
    assert "the first 2 of 6 rows" in page.words
    assert "distinct molecules 3" in funnel(page)


WRONG = {
    "out": ("FILE", "--out", "page.csv"),
    "--out": ("FILE", "--out", "no/such/folder/page.html"),
    "nope.csv": ("nope.csv", "--out", "PAGE"),
    "model": ("FILE", "--out", "PAGE", "--model", "nope"),
    "column": ("FILE", "--out", "PAGE", "--column", "nope"),
    "reference-column": ("FILE", "--out", "PAGE", "--reference-column", "smiles"),
    "nope.smi": ("FILE", "--out", "PAGE", "--reference", "nope.smi"),
    "rows": ("FILE", "--out", "PAGE", "--rows", "0"),
    "workers": ("FILE", "--out", "PAGE", "--workers", "0"),
}


@pytest.mark.parametrize("named", WRONG)
def test_bad_input_is_one_line_and_keeps_the_page(molgen: Run, table: Path, named: str) -> None:
    page = table.with_name("page.html")
    page.write_text("before")
    put = {"FILE": str(table), "PAGE": str(page)}
    line = molgen("report", *(put.get(word, word) for word in WRONG[named])).refused()
    assert named.strip("-") in line or "no/such" in line
    assert page.read_text() == "before"
    assert names(table.parent) == {"rows.csv", "page.html"}


def test_the_input_is_not_replaced(molgen: Run, table: Path) -> None:
    page = table.with_suffix(".html")
    shutil.copy(table, page)
    molgen("report", page, "--out", page).refused()
    assert page.read_text() == table.read_text()


def test_a_result_in_memory_has_its_request(qm9: library.Model, tmp_path: Path) -> None:
    found = qm9.sample(3, {"qed": ".5.."}, steps=8)
    made = library.report(found, tmp_path / "page.html")
    assert made.counts["rows"] == len(found) == 3
    assert made.output == tmp_path / "page.html"
    page = read_page(made.output)
    assert "qed 0.5 at least" in page.words
    assert page.data["training"] == "training set of qm9"
    assert f"rows drawn {found.counts.drawn}" in funnel(page)


def test_lists_frames_and_molecules_are_reported(tmp_path: Path) -> None:
    for given in (["CCO", "C1CC"], pd.DataFrame({"SMILES": ["CCO", None]}), "CCO"):
        page = tmp_path / "page.html"
        library.report(given, page)
        assert read_page(page).data["smiles"][0] == "CCO"

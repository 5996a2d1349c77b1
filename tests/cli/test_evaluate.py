from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from commands import Run

ROWS = [
    "CCO", "OCC", "CCO", "C(C)N", "c1ccccc1", "C1=CC=CC=C1", "c1cc", "CC.O", "", "C(C)(C)(C)(C)C"
]  # fmt: skip
"""Ethanol with two SMILES and once more, a training amine with another SMILES, benzene twice, a
ring left open, two fragments, nothing, and a carbon of five bonds."""
KNOWN = ["CCN", "CCO", "CCC"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("raw,index\n" + "".join(f"{raw},{i}\n" for i, raw in enumerate(ROWS)))
    return path


@pytest.fixture
def known(tmp_path: Path) -> Path:
    path = tmp_path / "known.smi"
    path.write_text("\n".join(KNOWN) + "\n")
    return path


def metrics(molgen: Run, *words: object) -> dict[str, Any]:
    ran = molgen("evaluate", *words, "--json")
    assert ran.status == 0
    assert " rows, SMILES " in ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def counts(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name[0].islower()}


def test_numbers_by_hand(molgen: Run, rows: Path, known: Path) -> None:
    found = metrics(molgen, rows, "--train", known)
    assert found["rows"] == 10
    assert found["status"] == {
        "ok": 6, "ring_closure": 1, "fragments": 1, "empty": 1, "valence": 1
    }  # fmt: skip
    # canonical: CCO, CCN, benzene; CCO and CCN are in the training set
    assert counts(found["strict"]) == {
        "rows": 10, "valid": 0.6, "unique": 0.3, "novel": 0.1,
        "valid_count": 6, "unique_count": 3, "novel_count": 1,
    }  # fmt: skip
    # as written: CCO, OCC, C(C)N and both benzenes; of these only CCO is in the training set
    assert counts(found["paper"]) == {
        "rows": 10, "valid": 0.6, "unique": 0.5, "novel": 0.4,
        "valid_count": 6, "unique_count": 5, "novel_count": 4,
    }  # fmt: skip
    assert found.keys() == {"read", "rows", "status", "strict", "paper", "inchikey"}
    assert found["read"]["file"] == {"file": "rows.csv", "column": "raw", "rows": 10}
    assert found["read"]["train"]["cleaned"]["kept"] == 3


def test_moses_and_guacamol_have_their_own_keys(molgen: Run, rows: Path, known: Path) -> None:
    words = ("--train", known, "--reference", known, "--conventions", "moses, guacamol")
    found = metrics(molgen, rows, *words)
    moses = found["moses"]
    keys = {"valid", "unique@1000", "unique@10000", "IntDiv", "IntDiv2", "SNN", "Frag", "Scaf"}
    assert keys | {"Filters"} <= moses.keys()
    assert moses["valid"] == 0.7, "fragments count as valid there"
    assert moses["unique@1000"] == moses["unique@10000"] == pytest.approx(4 / 7)
    assert moses["Scaf"] is None, "there is no scaffold of two rings"
    assert found["guacamol"]["valid"] == 0.7
    assert found["guacamol"]["unique"] == pytest.approx(4 / 7)
    assert found["guacamol"]["novel"] == pytest.approx(2 / 4)


def test_a_property_is_averaged_over_what_the_convention_counts(
    molgen: Run, rows: Path, known: Path
) -> None:
    words = ("--train", known, "--property", "ring_count", "--property", "mw")
    found = metrics(molgen, rows, *words, "--conventions", "strict,paper,moses")
    assert found["strict"]["ring_count_mean_unique"] == pytest.approx(1 / 3)
    assert found["strict"]["ring_count_mean_novel"] == 1
    assert found["strict"]["rings_cyclomatic_mean_novel"] == 1
    assert found["paper"]["ring_count_mean_unique"] == pytest.approx(2 / 5)
    assert found["paper"]["ring_count_mean_novel"] == pytest.approx(2 / 4)
    assert found["moses"]["ring_count_mean_unique"] == pytest.approx(1 / 3)
    assert found["strict"]["mw_mean_novel"] == pytest.approx(78.11, abs=0.01)


def test_the_distance_to_a_reference(molgen: Run, rows: Path, known: Path) -> None:
    words = ("--reference", known, "--no-fcd")
    found = metrics(molgen, rows, "--property", "ring_count", *words)
    assert found["ring_count_wasserstein"] == pytest.approx(2 / 6), "two rings among six molecules"
    assert found["strict"]["novel"] is None, "there is no index without --train"
    distances = {f"{name}_wasserstein" for name in ("logp", "sa", "qed", "mw")}
    assert distances <= metrics(molgen, rows, *words).keys()
    assert not distances & metrics(molgen, rows, *words, "--property", "none").keys()
    assert not distances & metrics(molgen, rows, *words, "--conventions", "moses").keys()


def test_the_set_of_each_convention(molgen: Run, rows: Path, known: Path) -> None:
    words = ("--conventions", "strict,paper,moses,guacamol", "--property", "none", "--no-fcd")
    found = metrics(molgen, rows, *words)
    keys = {"IntDiv", "IntDiv2", "SNN", "Frag", "Scaf", "Filters"}
    assert all(keys <= found[name].keys() for name in ("strict", "paper", "moses"))
    assert not keys & found["guacamol"].keys()
    assert found["strict"]["SNN"] is None, "without a reference"
    with_reference = metrics(molgen, rows, *words, "--reference", known)
    # propane is no nearest neighbour; ethanol and ethylamine are in the reference, benzene is not
    assert with_reference["strict"]["SNN"] == pytest.approx((1 + 1 + 0) / 3)
    assert with_reference["paper"]["SNN"] == pytest.approx((2 + 1 + 0) / 5), "spellings"
    # three of ethanol, one of ethylamine, two of benzene, and ethane with water
    two = with_reference["moses"]["SNN"] * 7 - 4
    assert 0 < two < 1, "the row of two fragments is like something, and only MOSES counts it"
    counted = metrics(molgen, rows, *words, "--reference", known, "--counts-only")
    assert not keys & counted["strict"].keys()
    assert counts(counted["strict"]) == counts(found["strict"])


@pytest.mark.slow
def test_processes_change_nothing(molgen: Run, tmp_path: Path) -> None:
    path = tmp_path / "many.smi"
    path.write_text("".join(f"{'C' * (1 + i % 30)}{'ON'[i % 2]}\n" for i in range(600)))
    words = ("--reference", path, "--no-fcd", "--conventions", "strict,moses")
    one, two = (metrics(molgen, path, *words, "--workers", n) for n in (1, 2))
    assert one == two
    assert one["read"]["reference"]["unreadable"] == 0
    assert one["moses"]["SNN"] == pytest.approx(1)
    assert one["moses"]["Frag"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "SMILES\nCCO\nC1CC\n\nc1ccccc1\n"),  # MOSES' header; an empty draw
        ("b.csv", 'SMILES\nCCO\nC1CC\n""\nc1ccccc1\n'),
        ("c.csv", "CCO\nC1CC\n\nc1ccccc1\n"),  # no header line
        ("d.csv", "molecule\nCCO\nC1CC\n\nc1ccccc1\n"),
        ("e.csv", "n,Smiles\n1,CCO\n2,C1CC\n3,\n4,c1ccccc1\n"),
        ("f.smi", "CCO\nC1CC\n\nc1ccccc1\n"),
        ("g.csv", "SMILES\r\nCCO \r\nC1CC\r\n\r\n c1ccccc1\r\n"),
    ],
)
def test_ways_to_write_the_same_rows(molgen: Run, tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, newline="")
    found = metrics(molgen, path, "--counts-only")
    assert found["rows"] == 4
    assert found["status"] == {"ok": 2, "ring_closure": 1, "empty": 1}


def test_a_readable_table(molgen: Run, rows: Path, known: Path) -> None:
    ran = molgen("evaluate", rows, "--train", known, "--property", "qed")
    assert ran.status == 0
    assert ran.err.splitlines() == [
        "rows.csv: 10 rows, SMILES in column 'raw'",
        "known.smi: 3 rows, SMILES first in each line",
        "known.smi: 3 of 3 rows kept",
    ]
    lines = ran.out.splitlines()
    assert lines[0] == "10 rows: 6 ok, 1 ring_closure, 1 fragments, 1 empty, 1 valence"
    table = {line.split()[0]: line.split()[1:] for line in lines[3:]}
    assert lines[2].split() == ["strict", "paper", "inchikey"]
    assert table["novel"] == ["0.1000", "0.4000", "0.1000"]
    assert table["unique_count"] == ["3", "5", "3"]
    assert table["no_inchikey"] == ["-", "-", "0"]
    assert len(table["qed_mean_novel"]) == 3
    assert table["SNN"] == ["-", "-", "-"]


def test_novelty_is_relative_to_the_models_training_set(
    molgen: Run, rows: Path, known: Path, tiny_model: Path, tmp_path: Path
) -> None:
    from tiny import KNOWN as TINY

    found = metrics(molgen, rows, "--train", tiny_model)
    assert found["strict"]["novel_count"] == 3 - len({"CCO", "CCN", "c1ccccc1"} & set(TINY))
    packed = tmp_path / "known.csv.gz"
    packed.write_bytes(gzip.compress(b"smiles\nCCN\nOCC\n"))
    assert metrics(molgen, rows, "--train", packed)["strict"]["novel_count"] == 1


def test_output_of_sample_can_be_evaluated(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    counts = []
    for name in ("a.csv", "a.smi", "a.parquet"):
        if name == "a.parquet":
            pytest.importorskip("pyarrow")
        words = ("--n", 20, "--steps", 6, "--out", tmp_path / name)
        assert molgen("sample", tiny_model, *words).status == 0
        counts.append(metrics(molgen, tmp_path / name, "--train", tiny_model)["strict"])
    assert counts[0]["rows"] == 20
    assert 0 < counts[0]["valid_count"] < 20
    assert all(count == counts[0] for count in counts)


@pytest.mark.parametrize("name", ["x.smi", "x.txt", "x.smi.gz", "x.csv", "x.tsv"])
def test_kinds_of_files(molgen: Run, tmp_path: Path, name: str) -> None:
    header = {"x.csv": "name,smiles\n", "x.tsv": "smiles\tname\n"}.get(name, "")
    line = {"x.csv": "a,{}\n", "x.tsv": "{}\ta\n"}.get(name, "{} a\n")
    text = (header + line.format("CCO") + line.format("C1CC")).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert metrics(molgen, path)["strict"]["valid"] == 0.5


def test_another_column(molgen: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("raw,smiles,mine\nCC,CCC,C1\nCC,CC,C\n")
    assert metrics(molgen, path)["strict"]["unique_count"] == 1
    assert metrics(molgen, path, "--column", "smiles")["strict"]["unique_count"] == 2
    assert metrics(molgen, path, "--column", "mine")["strict"]["valid_count"] == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("blank.smi", b"\n \n", "the file is empty"),
        ("header.csv", b"smiles,name\n", "a header line and no rows"),
        ("binary.csv", b"\x00\x01\x02PNG", "not a text file"),
        ("cut.smi.gz", gzip.compress(b"CCO\n" * 99, mtime=0)[:-9], "damaged gzip file"),
        ("x.parquet", b"PAR1 no", "x.parquet: "),
        ("x.docx", b"CCO", "ends in '.docx', expected one of .csv"),
        (
            "other.csv",
            b"name,price\na,1\n",
            "the columns are 'name', 'price'",
        ),
    ],
)
def test_files_that_cannot_be_read(
    molgen: Run, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert message in molgen("evaluate", path).refused()
    assert molgen("evaluate", path, "--json").out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--column", "price"], "no column 'price'; the columns are 'raw', 'index'"),
        (["--conventions", "strict,fair"], "convention is 'fair', expected one of strict, paper"),
        (["--conventions", ""], "convention is '', expected"),
        (["--property", "colour"], "property 'colour' is unknown"),
        (["--property", "qed", "--property", "none"], "property none cannot be combined"),
        (["--train", "nosuch"], "no model 'nosuch'"),
        (["--train-column", "raw"], "train-column is given without train"),
        (
            ["--train", "qm9", "--train-column", "raw"],
            "but 'qm9' is a model",
        ),
        (["--reference-column", "raw"], "reference-column is given without reference"),
        (["--reference", "nosuch.csv"], "No such file or directory: nosuch.csv"),
    ],
)
def test_bad_options(molgen: Run, rows: Path, words: list[str], message: str) -> None:
    ran = molgen("evaluate", rows, *words)
    assert message in ran.refused()
    assert ran.out == ""


def test_missing_files_and_folders(molgen: Run, tmp_path: Path, rows: Path) -> None:
    missing = tmp_path / "no.csv"
    assert f"No such file or directory: {missing}" in molgen("evaluate", missing).refused()
    (tmp_path / "folder.csv").mkdir()
    assert "Is a directory" in molgen("evaluate", tmp_path / "folder.csv").refused()
    assert "is not a molgen model" in molgen("evaluate", rows, "--train", tmp_path).refused()


def test_a_model_without_an_index(molgen: Run, rows: Path, tmp_path: Path) -> None:
    import tiny

    bare = tiny.save(tmp_path / "bare", index=False)
    assert "has no training-set index" in molgen("evaluate", rows, "--train", bare).refused()

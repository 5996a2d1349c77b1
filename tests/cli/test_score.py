from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest

from commands import Run

ROWS = ["CCO", "OCC", "CCCl", "C1CC", "", "N", "CC=O", "C" * 13]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("name,SMILES\n" + "".join(f"m{i},{s}\n" for i, s in enumerate(ROWS)))
    return path


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_for_every_row(molgen: Run, tiny_model: Path, rows: Path) -> None:
    ran = molgen("score", tiny_model, rows, "--draws", 3)
    assert ran.status == 0
    table = read(ran.out)
    assert [row["raw"] for row in table] == ROWS
    assert [row["status"] for row in table] == [
        "ok", "ok", "unknown_token", "ring_closure", "empty", "ok", "ok", "too_many_tokens"
    ]  # fmt: skip
    assert [bool(row["nats"]) for row in table] == [row["status"] == "ok" for row in table]
    assert [bool(row["reason"]) for row in table] == [row["status"] != "ok" for row in table]
    assert table[0]["nats"] == table[1]["nats"], "both are scored as CCO"
    assert float(table[0]["error"]) > 0
    assert float(table[0]["nats"]) > float(table[0]["length_nats"]) > 0
    assert ran.err.startswith("rows.csv: 8 rows, SMILES in column 'SMILES'\n8 rows: 4 ok")


def test_the_same_numbers_in_another_file(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    def scores(*smiles: str) -> dict[str, float]:
        path = tmp_path / "some.smi"
        path.write_text("\n".join(smiles) + "\n")
        table = read(molgen("score", tiny_model, path, "--seed", 5).out)
        return {row["smiles"]: float(row["nats"]) for row in table}

    many = scores("CCO", "CCN", "C", "CCCC=O")
    assert scores("CCN")["CCN"] == pytest.approx(many["CCN"], abs=1e-5)


def test_spellings(molgen: Run, tiny_model: Path, rows: Path) -> None:
    canonical, written, summed = (
        [row for row in read(molgen("score", tiny_model, rows, *words).out)]
        for words in ([], ["--as-written"], ["--spellings", 6])
    )
    assert written[1]["scored"] == "OCC"
    assert written[1]["nats"] != canonical[1]["nats"]
    assert written[3]["status"] == "unknown_token", "ring labels are not in this vocabulary"
    assert int(summed[0]["spellings"]) > 1
    assert float(summed[0]["nats"]) < float(canonical[0]["nats"]), "more SMILES, more probable"
    assert summed[0]["nats"] == summed[1]["nats"]


def test_json_and_a_file(molgen: Run, tiny_model: Path, rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    ran = molgen("score", tiny_model, rows, "--out", out, "--json")
    assert (ran.status, ran.err) == (0, "rows.csv: 8 rows, SMILES in column 'SMILES'\n")
    found: dict[str, Any] = json.loads(ran.out)
    table = [row for row in read(out.read_text()) if row["nats"]]
    nats, tokens = ([float(row[name]) for row in table] for name in ("nats", "tokens"))
    digits = 1e-5  # a table has six
    assert found["perplexity"] == pytest.approx(math.exp(sum(nats) / sum(tokens)), rel=digits)
    assert found["nats"] == pytest.approx(sum(nats) / len(nats), rel=digits)
    assert (found["rows"], found["scored"]) == (8, 4)
    assert found["read"] == {"file": "rows.csv", "column": "SMILES", "rows": 8}
    assert "molecules" not in found
    printed = json.loads(molgen("score", tiny_model, rows, "--json").out)
    assert [m["nats"] is None for m in printed["molecules"]] == [
        not s for s in (1, 1, 0, 0, 0, 1, 1, 0)
    ]


def test_a_condition_changes_the_score(molgen: Run, tiny_model: Path, rows: Path) -> None:
    words = ("score", tiny_model, rows)
    low, high = (read(molgen(*words, "--condition", f"qed={v}").out) for v in (0.1, 0.9))
    assert low[0]["nats"] != high[0]["nats"]


def test_nothing_to_score(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "none.smi"
    path.write_text("x\ny\n")
    assert "no SMILES in the first field" in molgen("score", tiny_model, path).refused()
    found = json.loads(molgen("score", tiny_model, path, "--as-written", "--json").out)
    assert (found["scored"], found["nats"], found["perplexity"]) == (0, None, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "x.smi"], "expected one of .csv"),
        (["--out", "no/such/x.csv"], "there is no folder"),
        (["--condition", "qed"], "condition is 'qed', expected PROP=NUMBER"),
        (["--condition", "qed=max"], "condition is 'qed=max', expected PROP=NUMBER"),
        (["--condition", "qed=nan"], "expected PROP=NUMBER"),
        (["--condition", "tpsa=1"], "the model is not conditioned on it; it knows qed"),
        (["--condition", "qed=.1", "--condition", "qed=.2"], "condition qed is given twice"),
        (["--column", "price"], "no column 'price'"),
        (["--device", "abacus"], "device 'abacus' cannot be used"),
    ],
)
def test_bad_options(
    molgen: Run, tiny_model: Path, rows: Path, words: list[str], message: str
) -> None:
    ran = molgen("score", tiny_model, rows, *words)
    assert message in ran.refused()
    assert ran.out == ""


def test_missing_files(molgen: Run, tiny_model: Path, rows: Path) -> None:
    assert "No such file" in molgen("score", tiny_model, "no.csv").refused()
    assert "no model 'nosuch'" in molgen("score", "nosuch", rows).refused()

"""Every row is either among the molecules or in the report, with the right reason."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molgen.data.cleaning import Reason, clean
from molgen.data.reading import Table


def table(*raw: str, **numbers: list[float]) -> Table:
    arrays = {name: np.array(values) for name, values in numbers.items()}
    return Table("mine.smi", raw, tuple(range(1, len(raw) + 1)), arrays)


def test_each_reason_is_counted_and_reported() -> None:
    rows = table("OCC", "", "C1CC", "C(C)(C)(C)(C)C", "CCO", "CCCCCC", "c1ccccc1", "C C")
    cleaned = clean(rows, max_tokens=5, count_tokens=lambda text: text.count("C"))
    assert cleaned.smiles == ["CCO", "c1ccccc1"]
    assert cleaned.index == [0, 6]
    assert [(row.line, row.reason) for row in cleaned.report] == [
        (2, Reason.EMPTY),
        (3, Reason.UNREADABLE),
        (4, Reason.UNREADABLE),
        (5, Reason.DUPLICATE),
        (6, Reason.TOO_LONG),
        (8, Reason.UNREADABLE),
    ]
    assert cleaned.report[3].detail == "of line 1"
    assert cleaned.report[4].detail == "6 tokens, at most 5"
    assert cleaned.counts == {
        "rows": 8,
        "kept": 2,
        "empty": 1,
        "unreadable": 3,
        "unknown token": 0,
        "too long": 1,
        "duplicate": 1,
        "salts removed": 0,
        "neutralised": 0,
    }
    assert cleaned.summary() == (
        "2 of 8 rows kept; left out: 1 empty, 3 unreadable, 1 too long, 1 duplicate"
    )


@pytest.mark.parametrize(
    ("raw", "smiles"),
    [
        ("CCO.Cl", "CCO"),  # hydrochloride
        ("[Na+].CC(=O)[O-]", "CC(=O)[O-]"),  # the charge stays unless asked for
        ("O.O.CCN", "CCN"),  # hydrate
        ("C.CCBr", "CCBr"),
        ("[Na+].[Cl-].CO", "CO"),  # organic before heavier counter-ions
    ],
)
def test_the_largest_organic_fragment_of_a_salt_stays(raw: str, smiles: str) -> None:
    cleaned = clean(table(raw))
    assert cleaned.smiles == [smiles]
    assert cleaned.counts["salts removed"] == 1
    assert clean(table(raw), keep_salts=True).counts["salts removed"] == 0


@pytest.mark.parametrize(
    ("raw", "smiles", "changed"),
    [
        ("CC(=O)[O-]", "CC(=O)O", 1),
        ("C[NH3+]", "CN", 1),
        ("[NH3+]CC(=O)[O-]", "NCC(=O)O", 1),
        ("C[N+](C)(C)C", "C[N+](C)(C)C", 0),  # no proton to give
        ("C[N+](=O)[O-]", "C[N+](=O)[O-]", 0),  # nitro: charges that cancel by bonds
        ("CCO", "CCO", 0),
        # aromatic only while charged: an uncharger that keeps the flags makes it unreadable
        ("[NH2+]=C1[CH-]C(=O)C=CN1", "N=C1CC(=O)C=CN1", 1),
    ],
)
def test_charges_are_neutralised_where_protons_can(raw: str, smiles: str, changed: int) -> None:
    cleaned = clean(table(raw), neutralise=True)
    assert cleaned.smiles == [smiles]
    assert cleaned.counts["neutralised"] == changed


def test_a_salt_and_its_free_base_are_the_same_molecule() -> None:
    cleaned = clean(table("CCN", "CC[NH3+].[Cl-]"), neutralise=True)
    assert cleaned.smiles == ["CCN"]
    assert cleaned.counts["duplicate"] == 1


def test_numbers_stay_with_their_molecules() -> None:
    cleaned = clean(table("C", "xx", "OC", "CO", "N", qed=[0.1, 0.2, 0.3, 0.4, 0.5]))
    assert cleaned.smiles == ["C", "CO", "N"]
    np.testing.assert_array_equal(cleaned.numbers["qed"], [0.1, 0.3, 0.5])


def test_a_text_the_tokenizer_does_not_know_is_left_out_with_its_message() -> None:
    def count(text: str) -> int:
        if "B" in text:
            raise ValueError("unknown token 'B'\n  ^")
        return len(text)

    cleaned = clean(table("CB", "CC"), count_tokens=count)
    assert cleaned.smiles == ["CC"]
    assert cleaned.report[0][1:] == ("CB", Reason.UNKNOWN_TOKEN, "unknown token 'B'")


def test_nothing_left_is_an_error_that_counts() -> None:
    message = r"^mine.smi: no molecule left of 3 rows \(1 empty, 2 unreadable\)$"
    with pytest.raises(ValueError, match=message):
        clean(table("", "C1", "hello"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"processes": 0}, "processes is 0, expected at least 1"),
        ({"max_tokens": 0}, "max_tokens is 0, expected at least 1"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clean(table("C"), **arguments)  # type: ignore[arg-type]


def test_processes_do_not_change_the_result() -> None:
    rows = table(*["C" * (i % 9) + "O" * (i % 4) for i in range(5000)])
    one, two = clean(rows), clean(rows, processes=2)
    assert (one.smiles, one.report, one.counts) == (two.smiles, two.report, two.counts)


def test_the_parser_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    clean(table("C1CC", "c1ccc1c", "C", "CN.Cl"), neutralise=True)
    assert capfd.readouterr() == ("", "")


def test_the_report_is_a_file(tmp_path: Path) -> None:
    cleaned = clean(table("C", 'odd,"one"', ""))
    cleaned.write_report(tmp_path / "left_out.csv")
    with (tmp_path / "left_out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["raw"] for row in rows] == ['odd,"one"', ""]
    assert [row["reason"] for row in rows] == ["unreadable", "empty"]


@given(st.lists(st.sampled_from(["C", "CO", "OC", "", "C1", "N.O", "[Na+].[Cl-]", "c1ccccc1"])))
def test_every_row_is_accounted_for(raw: list[str]) -> None:
    rows = table("CCCC", *raw)
    cleaned = clean(rows, neutralise=True)
    assert len(cleaned.smiles) + len(cleaned.report) == len(rows)
    assert len(set(cleaned.smiles)) == len(cleaned.smiles)
    reported = [row.line - 1 for row in cleaned.report]
    assert sorted(cleaned.index + reported) == list(range(len(rows)))
    again = clean(table(*cleaned.smiles), neutralise=True)
    assert again.smiles == cleaned.smiles

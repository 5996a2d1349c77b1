"""One verb for everything that can be drawn."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rdkit import Chem

from molgen.api import show
from molgen.model import Model
from molgen.molecules.grid import Grid
from molgen.molecules.parsing import interpret
from molgen.molecules.revision import Revision

TABLE = pd.DataFrame({"smiles": ["CCO", "", "c1ccccc1"], "raw": ["OCC", "C(", "c1ccccc1"]})
FORMS: dict[str, Callable[[], Any]] = {
    "a table": lambda: TABLE,
    "a result": lambda: SimpleNamespace(table=TABLE),
    "a list": lambda: ["CCO", "C(", "c1ccccc1"],
    "an array": lambda: np.array(["CCO", "C(", "c1ccccc1"]),
    "a series": lambda: pd.Series(["CCO", "C(", "c1ccccc1"]),
    "a generator": lambda: (s for s in ["CCO", "C(", "c1ccccc1"]),
    "molecules": lambda: [Chem.MolFromSmiles("CCO"), None, Chem.MolFromSmiles("c1ccccc1")],
    "missing values": lambda: pd.Series(["CCO", float("nan"), "c1ccccc1"]),
    "parsed rows": lambda: [interpret("CCO"), interpret("C("), interpret("c1ccccc1")],
}


@pytest.mark.parametrize("form", FORMS)
def test_anything_is_shown(form: str) -> None:
    picture = show(FORMS[form]())
    assert isinstance(picture, Grid)
    assert [card.caption for card in picture.cards] == ["1.", "2.", "3."]
    assert [bool(card.fault) for card in picture.cards] == [False, True, False]
    counts = [s.mol.GetNumAtoms() for s in picture.structures if s is not None]
    assert counts == [3, 6]


@pytest.mark.parametrize("one", ["CCO", Chem.MolFromSmiles("CCO"), interpret("CCO")])
def test_one_molecule_is_one_card(one: Any) -> None:
    picture = show(one)
    assert isinstance(picture, Grid)
    assert len(picture.cards) == 1
    assert picture.structures[0] is not None


def test_what_is_not_shown_is_counted(tmp_path: Path) -> None:
    picture = show(["C"] * 20, 3, tmp_path / "a.svg", title="Twenty")
    assert "and 17 more" in (tmp_path / "a.svg").read_text()
    assert Image.open(io.BytesIO(picture.png())).size == picture.size()  # type: ignore[attr-defined]


def test_a_trajectory_of_a_model(tiny: Model, tmp_path: Path) -> None:
    samples = tiny.draw(4, seed=1, record=True)
    assert samples.trajectory is not None
    picture = show(samples.trajectory, path=tmp_path / "a.gif")
    assert isinstance(picture, Revision)
    assert Image.open(tmp_path / "a.gif").n_frames == len(picture.frames)  # type: ignore[attr-defined]
    events = samples.trajectory.frame(tiny.tokenizer)
    events.to_csv(tmp_path / "events.csv", index=False)
    read = pd.read_csv(tmp_path / "events.csv", keep_default_na=False)
    for given in (samples, events, read):
        again = show(given)
        assert isinstance(again, Revision)
        assert again.frames == picture.frames
    texts = tiny.texts(samples.tokens)
    for row in range(4):
        last = show(samples, molecule=row).frames[-1]  # type: ignore[attr-defined]
        assert "".join(cell.token for cell in last.cells) == texts[row]
        assert last.smiles == interpret(texts[row]).smiles


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a number": (5, {}, "molecules is int, expected a table"),
    "a list of numbers": ([3], {}, r"molecules\[0\] is int"),
    "nothing": ([], {}, "got 0 molecules"),
    "no rows": (TABLE.head(0), {}, "no rows"),
    "no column of SMILES": (pd.DataFrame({"a": [1]}), {}, "no column 'smiles', only a"),
    "n of zero": ("C", {"n": 0}, "n is 0"),
    "n of a half": ("C", {"n": 2.5}, "n is 2.5"),
    "a suffix": ("C", {"path": "a.jpg"}, "'a.jpg', expected a file ending in .png"),
    "a gif of cards": ("C", {"path": "a.gif"}, "'a.gif', expected"),
    "a folder": ("C", {"path": "no/a.png"}, "there is no folder 'no'"),
    "a pattern": ("C", {"highlight": "c1cc"}, "highlight 'c1cc'"),
    "columns of a list": (["C"], {"columns": ["qed"]}, "columns is"),
    "a column": (TABLE, {"columns": ["qed"]}, "columns has 'qed'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given, options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        show(given, **options)
    assert list(tmp_path.iterdir()) == []


def test_no_such_molecule_in_a_trajectory(tiny: Model) -> None:
    with pytest.raises(ValueError, match="no event of molecule 9"):
        show(tiny.draw(2, record=True), molecule=9)

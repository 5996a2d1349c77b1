"""HTML of molecules: parsed as a browser does, with what is shown and counted."""

from __future__ import annotations

import re
import xml.dom.minidom
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molgen.molecules import gallery, markup
from molgen.molecules.captions import cards, formatted, value_columns
from molgen.molecules.cards import Card
from molgen.molecules.drawing import ATOM_COLOURS, HIGHLIGHT, svg
from molgen.molecules.grid import Grid

TABLE = pd.DataFrame(
    {
        "index": [0, 1, 2],
        "raw": ["OCC", "C1CC<b>", "c1ccncc1"],
        "smiles": ["CCO", "", "c1ccncc1"],
        "status": ["ok", "ring_closure", "ok"],
        "novel": [True, False, True],
        "nfe": [9, 12, 10],
        "qed": [0.40681, np.nan, 0.45],
        "my <value>": [1.0, 20.5, 3.25],
    }
)
VOID = {"path", "meta", "br", "rect", "ellipse"}


class Parsed(HTMLParser):
    """Elements that are open at the end, counts of elements, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += "" if self.open and self.open[-1] == "style" else data + " "


def test_a_table_has_a_drawing_beside_its_numbers() -> None:
    found = Parsed(gallery.html(TABLE, title="a < b"))
    assert found.open == []
    assert found.counts["svg"] == 2
    assert found.counts["tr"] == 4
    assert {"b", "script"} & set(found.counts) == set()
    for words in ("a < b", "my <value>", "0.407", "0.450", "invalid: ring closure", "C1CC<b>"):
        assert words in found.text
    assert "OCC" not in found.text  # raw, of a molecule that is drawn


def test_the_rest_is_counted() -> None:
    many = pd.concat([TABLE] * 700, ignore_index=True)
    found = Parsed(gallery.html(many, 5))
    assert found.counts["tr"] == 6
    assert "and 2,095 more of 2,100 rows" in found.text
    assert "more of" not in Parsed(gallery.html(TABLE)).text
    assert "no rows" in gallery.html(TABLE.head(0))


def test_columns_and_highlight() -> None:
    found = gallery.html(TABLE, columns=["qed"], highlight="c1ccncc1")
    assert "nfe" not in Parsed(found).text
    assert found.count(f'stroke="{HIGHLIGHT}" stroke-width') == 1
    scaffold = TABLE.assign(scaffold=["*CO", "*c1ccccc1", "not | one"])
    own = gallery.html(scaffold, columns=[])
    assert own.count(f'stroke="{HIGHLIGHT}" stroke-width') == 1  # what cannot be read is left out
    with pytest.raises(ValueError, match=r"columns has 'x', expected some of index, raw"):
        gallery.html(TABLE, columns=["x"])
    with pytest.raises(ValueError, match=r"no column 'smiles', only a"):
        gallery.html(pd.DataFrame({"a": [1]}))


def test_every_colour_of_a_drawing_has_one_for_the_dark() -> None:
    drawn = set(re.findall(r'="(#[0-9a-f]{6})"', svg("CNOC(F)(P)SC(Cl)(Br)I")))
    assert drawn == set(map(markup.hexadecimal, ATOM_COLOURS.values()))
    for colour in drawn:
        assert markup.style().count(f'[stroke="{colour}"]') == 2  # by theme and by system


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1.0, 22.0], ["1", "22"]),
        ([0.12345, 0.9], ["0.123", "0.900"]),
        ([0.12345, 1.0], ["0.123", "1.000"]),
        ([2.3149, -0.5], ["2.31", "-0.50"]),
        ([63.123, 9.1, np.nan], ["63.1", "9.1", "-"]),
        ([12345.67], ["12,345.7"]),
        ([0.00123, 0.00012], ["0.00123", "0.00012"]),
        ([1e-9], ["1.00e-09"]),
        ([np.inf, 0.5], ["inf", "0.500"]),
        ([True, False], ["true", "false"]),
        (["a", None, 3.5], ["a", "-", "3.5"]),
        ([], []),
    ],
)
def test_equal_digits_in_a_column(values: list[object], texts: list[str]) -> None:
    assert formatted(values) == texts


def test_captions_have_rank_and_values() -> None:
    assert value_columns(TABLE) == ["qed", "my <value>"]
    found = cards(TABLE)
    assert found[0].caption == "1.  qed 0.407  my <value> 1.0"
    assert (found[1].fault, found[1].molecule) == ("invalid: ring closure", "C1CC<b>")
    wide = TABLE.assign(logp=1.5, sa=2.5)
    assert cards(wide)[0].caption == "1.  qed 0.407  my <value> 1.0\nlogp 1.50  sa 2.50"
    assert cards(TABLE, columns=[], ranked=False)[0].caption == ""


def test_one_sheet_in_every_format(tmp_path: Path) -> None:
    grid = Grid(cards(TABLE, highlight="c1ccncc1"), "Title & more", more=7)
    for suffix in grid.suffixes:
        grid.save(tmp_path / f"a{suffix}")
    root = xml.dom.minidom.parse(str(tmp_path / "a.svg")).documentElement
    assert root is not None
    assert (int(root.getAttribute("width")), int(root.getAttribute("height"))) == grid.size()
    texts = re.findall(r">([^<]+)</text>", grid.svg())
    assert {"Title &amp; more", "invalid: ring closure", "C1CC&lt;b&gt;", "and 7 more"} <= set(
        texts
    )
    assert len(root.getElementsByTagName("svg")) == 2
    page = Parsed((tmp_path / "a.html").read_text())
    assert page.open == []
    assert page.counts["svg"] == 2
    assert "and 7 more of 10 rows" in page.text
    assert (tmp_path / "a.png").read_bytes() == grid.png() == grid._repr_png_()
    with pytest.raises(ValueError, match=r"'a.jpg', expected a file ending in .png, .svg, .html"):
        grid.save("a.jpg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.png", "a.svg"]


def test_a_sheet_of_faults_alone() -> None:
    grid = Grid([Card("x" * 100, "1.", "invalid: parse")])
    assert grid.png().startswith(b"\x89PNG")
    assert "x" * 41 + "..." in grid.svg()

"""Names of users stay text: in the page's title, data and chart, and in figures."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molgen.frontiers.frontier import hypervolumes, run_table
from molgen.frontiers.objective import Objective
from molgen.frontiers.page import frontier_html, plotly_script
from molgen.frontiers.plot import frontier_png
from molgen.frontiers.scaling import scaling_png, scaling_table
from molgen.frontiers.store import Record, Run, Store
from molgen.utils.figures import save_figure

pytest.importorskip("plotly")
pytest.importorskip("matplotlib")

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\"' onload='alert(1)",
    "{{PLOTLY}} {{DATA}} {{TITLE}}",
    "$x_{ $\\frac$",
    "<!--",
    "\\g<0> \\1 \\u003c",
)


class Scripts(HTMLParser):
    """Collects elements and their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def records(folder: Path, label: str, name: str) -> tuple[Store, list[Record]]:
    """Two stored runs of a method with a label; the property has a name."""
    store = Store(folder)
    smiles = ["CCO", "CN", "CF"]
    table = pd.DataFrame({"index": range(3), "raw": smiles, "smiles": smiles, "status": "ok"})
    table["unique"] = table["novel"] = table["novel_paper"] = True
    table["nfe"], table["classifier_nfe"], table[name] = 5, 0, np.array([1.0, 2.0, 3.0])
    counted = {"valid": 1.0, "unique": 1.0, "novel": 3, "property_mean": 2.0}
    figures = {
        "nfe": 5.0, "classifier_nfe": 0.0, "seconds_per_molecule": 0.1,
        "conventions": {"strict": counted, "paper": counted},
    }  # fmt: skip
    objective = Objective(name, "max", 3, 0.5, 1)
    made = []
    for gamma in (1.0, 2.0):
        run = Run({"label": label, "model": "m"}, gamma, 8, 0)
        made.append(Record(objective, run, {"model": "0"}, figures))
        store.save(made[-1], table)
    return store, store.records()


@pytest.mark.parametrize("text", HOSTILE)
def test_labels_stay_text_in_the_page(tmp_path: Path, text: str) -> None:
    store, found = records(tmp_path / "store", text, "qed")
    runs = run_table(found)
    path = tmp_path / "page.html"
    frontier_html(store, found, runs, hypervolumes(runs), path)
    page = path.read_text(encoding="utf-8")
    expected = path.with_name("plain.html")
    plain_store, plain = records(tmp_path / "plain", "plain", "qed")
    plain_runs = run_table(plain)
    frontier_html(plain_store, plain, plain_runs, hypervolumes(plain_runs), expected)
    for each in (page, expected.read_text(encoding="utf-8")):
        assert each.count(plotly_script()) == 1
    own, other = Scripts(), Scripts()
    own.feed(page)
    other.feed(expected.read_text(encoding="utf-8"))
    assert own.tags == other.tags
    assert not own.handlers
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)
    assert data is not None
    assert json.loads(data[1])["arms"][0]["label"] == text


def test_labels_stay_text_in_figures(tmp_path: Path) -> None:
    text = " ".join(text for text in HOSTILE if "$" in text or "\\" in text)  # as TeX
    _, found = records(tmp_path / "store", text, "qed")
    runs, objective = run_table(found), found[0].objective
    frontier_png(runs, hypervolumes(runs), objective, tmp_path / "a.png")
    scaling_png(scaling_table(found, (text,)), objective, tmp_path / "b.png")
    assert all((tmp_path / name).stat().st_size for name in ("a.png", "b.png"))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_title_stays_text(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, found = records(tmp_path / "store", "A", "qed")
    renamed = dataclasses.replace(found[0].objective, property=text)
    monkeypatch.setattr("molgen.frontiers.page.page_data", lambda *_: {"title": text})
    runs = run_table(found)
    path = tmp_path / "page.html"
    frontier_html(store, found, runs, hypervolumes(runs), path)
    page = path.read_text(encoding="utf-8")
    assert page.count(plotly_script()) == 1
    scripts = Scripts()
    scripts.feed(page)
    assert scripts.tags.count("script") == 3
    assert scripts.tags.count("title") == 1
    assert not scripts.handlers
    assert renamed.property == text


def test_a_figure_shows_dollars(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    figure.suptitle("$x_{ $")
    axes = figure.add_subplot()
    axes.set(xlabel="$\\nope$")
    axes.plot([1], [1], label="$a$ $\\b$")
    axes.legend()
    save_figure(figure, tmp_path / "a.png", 30)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

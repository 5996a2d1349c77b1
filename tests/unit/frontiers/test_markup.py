"""Names of users stay text: in the page's title, data and chart, and in figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from molgen.frontiers.frontier import hypervolumes, run_table
from molgen.frontiers.plot import frontier_png
from molgen.frontiers.scaling import scaling_png, scaling_table
from molgen.reports.frontier import frontier_html
from molgen.utils.figures import save_figure
from pages import checksum, read_page
from stored_runs import records

pytest.importorskip("matplotlib")

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\"' onload='alert(1)",
    "{{ content }} {% raw %}",
    "$x_{ $\\frac$",
    "<!--",
    "\\g<0> \\1 \\u003c",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_labels_stay_text_in_the_page(tmp_path: Path, text: str) -> None:
    store, found = records(tmp_path / "store", text, "qed")
    runs = run_table(found)
    path = tmp_path / "page.html"
    frontier_html(store, found, runs, hypervolumes(runs), path)
    page = read_page(path)
    plain_store, plain = records(tmp_path / "plain", "plain", "qed")
    plain_runs = run_table(plain)
    expected = path.with_name("plain.html")
    frontier_html(plain_store, plain, plain_runs, hypervolumes(plain_runs), expected)
    assert page.elements == read_page(expected).elements
    assert page.data["arms"][0]["label"] == text
    (program,) = page.programs
    assert f"script-src '{checksum(program)}'" in page.policy


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
    given = {"title": text, "subtitle": text, "property": text, "n": 3}
    monkeypatch.setattr("molgen.reports.frontier.page_data", lambda *_: given)
    runs = run_table(found)
    path = tmp_path / "page.html"
    frontier_html(store, found, runs, hypervolumes(runs), path)
    page = read_page(path)
    assert [tag for tag, _ in page.elements].count("title") == 1
    assert page.words.count(" ".join(text.split())) >= 3
    assert page.data == given


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

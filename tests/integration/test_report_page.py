"""The page of a report in a browser without a network: sort, filter, search, select, download."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from browser import Opened, chromium, opened
from molgen.api.report import report
from molgen.data.tables import read_table
from molgen.frontiers.frontier import hypervolumes, run_table
from molgen.molecules.parsing import canonical
from molgen.reports.frontier import frontier_html
from molgen.utils.pareto import nondominated
from pages import HOSTILE
from paths import DATA
from property_models import compute
from stored_runs import records

LARGEST = 12_000_000  # bytes of a page of 5,000 molecules
SECONDS = 3.0  # until a page can be used
ACIDS = (
    *("C", "CC", "C(C)C", "C1CC1", "CCOC", "c1ccccc1", "c1ccncc1", "c1ccc(F)cc1", "c1ccco1"),
    *("c1cccs1", "C(F)(F)F", "CC#N", "c1ccc(OC)cc1", "C1CCOCC1"),
)
AMINES = (
    *("NC", "NCC", "N(C)C", "NC1CC1", "N1CCOCC1", "N1CCCCC1", "Nc1ccccc1", "NCc1ccccc1", "NCCO"),
    *("N[C@@H](C)CO", "Nc1ccc(Cl)cc1", "Nc1nccs1", "N1CCN(C)CC1", "NC(C)(C)C", "NO"),
)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """A library of amides, with hostile names and its parts."""
    rows = [
        {"smiles": canonical(f"O=C({acid}){amine}"), "R1": f"*{acid}", "R2": f"*{amine}"}
        for acid, amine in itertools.product(ACIDS, AMINES)
    ]
    frame = pd.DataFrame(rows)
    frame["name"] = [f"{HOSTILE[i % len(HOSTILE)]} {i}" for i in range(len(frame))]
    frame["activity"] = np.random.default_rng(0).normal(size=len(frame)).round(4)
    frame.loc[3, "smiles"], frame.loc[5, "smiles"] = "C1CC<b>", ""
    frame[HOSTILE[1]] = HOSTILE[0]
    return frame


@pytest.fixture(scope="module")
def file(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "page.html"
    report(table, path, title=HOSTILE[0], reference=list(table["smiles"][:40]), workers=1)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Any, file: Path) -> Iterator[Opened]:
    """The page; at the end of a test no message may be on its console."""
    with opened(browser, file) as found:
        yield found
        assert found.messages == []


def column(page: Opened, field: str) -> list[str]:
    """Return the cells of a column on the table's page, top to bottom."""
    cells = page.page.locator(f".tabulator-row .tabulator-cell[tabulator-field={field}]")
    return [str(text) for text in cells.all_inner_texts()]


def field_of(page: Opened, name: str) -> str:
    """Return the field of a column in the table."""
    read = "JSON.parse(document.getElementById('data').textContent).columns.map(c => c.name)"
    return f"c{page.page.evaluate(read).index(name)}"


def values(table: pd.DataFrame, name: str) -> np.ndarray[Any, Any]:
    """Return a property of the rows; NaN for what is no molecule."""
    smiles = [canonical(text) for text in table["smiles"]]
    return compute([name], smiles)[name]


def header_filter(page: Opened, name: str, text: str) -> None:
    page.page.fill(f".tabulator-col[tabulator-field={field_of(page, name)}] input", text)


def test_the_page_has_its_sections(page: Opened, table: pd.DataFrame) -> None:
    assert page.text("h1") == HOSTILE[0]
    assert page.shown() == len(table)
    for section in (
        "request",
        "funnel",
        "distributions",
        "chart",
        "diverse",
        "groups",
        "molecules",
    ):
        assert page.page.is_visible(f"#{section} h2")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1400, "light")])
def test_the_page_fits_its_window(browser: Any, file: Path, width: int, scheme: str) -> None:
    with opened(browser, file, width, color_scheme=scheme) as page:
        assert page.page.evaluate("document.documentElement.scrollWidth") == width
        assert page.messages == []


def test_columns_are_sorted(page: Opened, table: pd.DataFrame) -> None:
    field = field_of(page, "activity")
    page.page.click(f".tabulator-col[tabulator-field={field}] .tabulator-col-title")
    best = sorted(table["activity"], reverse=True)[:25]
    assert [float(text) for text in column(page, field)] == pytest.approx(best, abs=0.005)
    page.page.click(f".tabulator-col[tabulator-field={field}] .tabulator-col-title")
    worst = sorted(table["activity"])[:25]
    assert [float(text) for text in column(page, field)] == pytest.approx(worst, abs=0.005)


def test_columns_are_sorted_by_keys(page: Opened, table: pd.DataFrame) -> None:
    field = field_of(page, "activity")
    page.page.focus(f".tabulator-col[tabulator-field={field}] .sort")
    page.page.keyboard.press("Enter")
    assert float(column(page, field)[0]) == pytest.approx(table["activity"].max(), abs=0.005)


RANGES = {"0.5..": (0.5, 9.0), "<=0.4": (-9.0, 0.4), "0.3..0.5": (0.3, 0.5)}


def test_numbers_are_filtered_by_ranges(page: Opened, table: pd.DataFrame) -> None:
    qed = values(table, "qed")
    for text, (low, high) in RANGES.items():
        header_filter(page, "qed", text)
        inside = int(((qed >= low) & (qed <= high)).sum())
        assert 0 < inside < len(table)
        assert page.shown() == inside
        # what is shown is what the charts are of
        assert page.text("#scatter-note").startswith(f"{inside} molecules")
        label = str(page.page.get_attribute("#histograms svg", "aria-label"))
        assert f"of {inside} molecules" in label
    page.page.click("#clear")
    assert page.shown() == len(table)


def test_text_is_searched(page: Opened, table: pd.DataFrame) -> None:
    page.page.fill("#search", "HYPERLINK")
    assert page.shown() == table["name"].str.contains("HYPERLINK").sum()
    page.page.fill("#search", "no such text")
    assert page.shown() == 0


def test_the_frontier_is_that_of_the_library(page: Opened, table: pd.DataFrame) -> None:
    def marked() -> int:
        return int(page.text("#scatter-note").split("◆ ")[1].split()[0])

    axes = page.page.locator("#chart-controls select")
    axes.nth(0).select_option(label="qed")
    axes.nth(2).select_option(label="sa")
    gains = np.stack([values(table, "qed"), -values(table, "sa")], axis=1)
    assert marked() == len(np.unique(gains[nondominated(gains)], axis=0))
    axes.nth(1).select_option(label="lower is better")
    gains[:, 0] *= -1
    assert marked() == len(np.unique(gains[nondominated(gains)], axis=0))


def test_a_molecule_is_shown_on_hover_and_by_keys(page: Opened) -> None:
    page.page.locator("#scatter svg").scroll_into_view_if_needed()
    page.page.focus("#scatter svg")
    page.page.keyboard.press("ArrowRight")
    page.page.wait_for_selector("#tip svg.structure", state="visible")
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector("#detail[open] svg.structure")
    assert page.page.locator("#detail .wall .tile").count() >= 3  # R1, R2 and the nearest
    page.page.keyboard.press("Escape")
    assert not page.page.is_visible("#detail")
    ring = page.page.locator("#scatter circle").bounding_box()
    page.page.mouse.move(0, 0)
    assert not page.page.is_visible("#tip")
    page.page.mouse.move(ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2)
    page.page.wait_for_selector("#tip svg.structure", state="visible")


def test_a_part_filters_the_table(page: Opened, table: pd.DataFrame) -> None:
    assert page.text("#groups h3:first-of-type") == "Parts at R1"
    tile = page.page.locator("#groups .tile").first
    assert tile.inner_text().startswith(f"{len(AMINES)} rows")
    tile.click()
    assert page.shown() == len(AMINES)


def test_structures_are_drawn_with_their_labels(page: Opened) -> None:
    row = page.page.locator(".tabulator-row").first
    row.scroll_into_view_if_needed()
    drawing = row.locator(".molecule svg.structure")
    drawing.wait_for()
    # N-methylacetamide: O, N with its hydrogen, and bonds
    assert sorted(drawing.locator("text").all_text_contents()) == ["H", "N", "O"]
    assert drawing.locator("path.bonds").get_attribute("d")
    assert page.page.locator(".tabulator-row .molecule code").first.inner_text() == "C1CC<b>"


def test_downloads_are_the_rows_that_are_shown(
    page: Opened, table: pd.DataFrame, tmp_path: Path
) -> None:
    header_filter(page, "activity", "0..")
    kept = table[table["activity"] >= 0]
    assert page.shown() == len(kept)
    whole = read_table(page.download("csv", tmp_path))
    assert whole["name"].map(str.strip).tolist() == kept["name"].map(str.strip).tolist()
    assert whole["R1"].tolist() == kept["R1"].tolist()
    assert whole["activity"].tolist() == pytest.approx(kept["activity"].tolist())
    text = (tmp_path / "page.csv").read_text(encoding="utf-8")
    assert "\"'=HYPERLINK" in text  # no formula in a spreadsheet
    molecules = [canonical(smiles) for smiles in kept["smiles"] if canonical(smiles)]
    listed = page.download("smi", tmp_path).read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 1)[0] for line in listed] == molecules
    records = list(Chem.SDMolSupplier(str(page.download("sdf", tmp_path))))
    assert [Chem.MolToSmiles(mol) for mol in records] == molecules
    assert [mol.GetProp("smiles") for mol in records] == molecules
    assert float(records[0].GetProp("activity")) == pytest.approx(kept["activity"].iloc[0])


def test_selected_rows_are_downloaded_alone(
    page: Opened, table: pd.DataFrame, tmp_path: Path
) -> None:
    boxes = page.page.locator(".tabulator-row .tabulator-row-header input[type=checkbox]")
    for i in (0, 2):
        boxes.nth(i).check()
    assert "2 selected" in page.text("#saved")
    whole = read_table(page.download("csv", tmp_path))
    assert whole["smiles"].tolist() == [canonical(table["smiles"][i]) for i in (0, 2)]


def test_the_page_of_a_frontier_lists_the_molecules_of_a_point(
    browser: Any, tmp_path: Path
) -> None:
    store, found = records(tmp_path / "store", HOSTILE[0], "qed")
    runs = run_table(found)
    path = tmp_path / "frontier.html"
    frontier_html(store, found, runs, hypervolumes(runs), path)
    with opened(browser, path) as page:
        assert page.page.locator(".point").count() == 2
        page.page.locator(".point").first.focus()
        page.page.wait_for_selector("#tip svg.structure", state="visible")
        page.page.keyboard.press("Enter")
        assert page.text("#panel h2").startswith(f"{HOSTILE[0]}, gamma 1")
        codes = page.page.locator("#panel .tile code").all_inner_texts()
        assert codes == ["CF", "CN", "CCO"]  # by their values, the best first
        page.page.click("#conventions button:last-child")
        assert page.text("#volumes-title") == "Hypervolume (strict)"
        page.page.click(".method")
        assert page.page.locator(".point").count() == 0
        assert page.messages == []


@pytest.mark.slow
def test_five_thousand_molecules(browser: Any, tmp_path: Path) -> None:
    source = DATA / "zinc250k.csv.gz"
    if not source.is_file():
        pytest.skip(f"no {source.name} in MOLGEN_DATA_DIR")
    rows = read_table(source).sample(5000, random_state=0)["smiles"].tolist()
    path = tmp_path / "page.html"
    made = report(rows, path, model="zinc250k", reference=rows[::7])
    assert made.counts["molecules"] == 5000
    assert path.stat().st_size == made.counts["bytes"] <= LARGEST
    seconds = []
    for _ in range(3):  # the machine may do something else meanwhile
        with opened(browser, path) as page:
            seconds.append(page.seconds)
    assert min(seconds) < SECONDS
    with opened(browser, path) as page:
        header_filter(page, "qed", "0.9..")
        assert (
            page.shown() == (compute(["qed"], [canonical(s) for s in rows], 2)["qed"] >= 0.9).sum()
        )
        page.page.click("#clear")
        field = field_of(page, "sa")
        page.page.click(f".tabulator-col[tabulator-field={field}] .tabulator-col-title")
        easiest = [float(text) for text in column(page, field)]
        assert easiest == sorted(easiest)
        records = list(Chem.SDMolSupplier(str(page.download("sdf", tmp_path))))
        assert len(records) == 5000
        same = [Chem.MolToSmiles(mol) == mol.GetProp("smiles") for mol in records if mol]
        # a layout of a few bridged rings does not carry their stereochemistry
        assert np.mean(same) > 0.99
        assert page.messages == []

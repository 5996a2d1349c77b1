"""The notebooks run from top to bottom, and are stored with outputs of the same kinds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import molgen

nbformat = pytest.importorskip("nbformat", reason="needs the extra 'notebooks'")
pytest.importorskip("nbclient", reason="needs the extra 'notebooks'")

import renew  # noqa: E402  the script beside the notebooks, which needs both

MODEL, ROWS = "MOLGEN_NOTEBOOK_MODEL", "MOLGEN_NOTEBOOK_ROWS"
FEW = {"01_quickstart": "24", "02_frontier": "8"}
"""Rows of a draw where twelve are too few for the pictures, or more than a sweep needs."""
SMALL_BATCHES = nbformat.v4.new_code_cell(
    "import molgen.nn.micro_batches\nmolgen.nn.micro_batches.LEAST_TOKENS = 1"
)  # as the fixture small_shards: quicker for so few rows
ANY_BATCH = "01_quickstart"
"""The notebook that draws a row again by itself, which needs padded micro-batches."""
SLOW = {"02_frontier", "03_property_models", "05_compare_generators", "06_campaign"}
MOST_BYTES = 1_000_000  # of a file, which code hosts show


def pictures(notebook: object) -> int:
    """Return the number of pictures that a notebook shows."""
    cells = notebook.cells  # type: ignore[attr-defined]
    return sum("image/png" in kind for cell in cells for kind in renew.kinds(cell))


def test_there_are_notebooks() -> None:
    assert [path.stem[:2] for path in renew.NOTEBOOKS] == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("path", renew.NOTEBOOKS, ids=lambda path: path.stem)
def test_is_stored_with_the_outputs_of_one_run(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert renew.faults(notebook, path.stem) == []
    assert pictures(notebook) >= 2
    assert path.stat().st_size < MOST_BYTES


@pytest.mark.skipif(
    MODEL not in os.environ and "qm9" not in molgen.models(), reason="no bundled qm9 model"
)
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] if path.stem in SLOW else [], id=path.stem)
        for path in renew.NOTEBOOKS
    ],
)
def test_a_run_has_outputs_of_the_stored_kinds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROWS, os.environ.get(ROWS, FEW.get(path.stem, "12")))
    stored, notebook = (nbformat.read(path, as_version=4) for _ in range(2))
    before = set(renew.FOLDER.iterdir())
    if path.stem != ANY_BATCH:
        first = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
        notebook.cells.insert(first + 1, SMALL_BATCHES)
    renew.execute(notebook)  # raises the exception of a cell
    assert renew.faults(notebook, path.stem) == []
    if path.stem != ANY_BATCH:
        del notebook.cells[first + 1]
    assert [renew.kinds(cell) for cell in notebook.cells] == [
        renew.kinds(cell) for cell in stored.cells
    ]
    assert set(renew.FOLDER.iterdir()) == before  # nothing is left behind


def test_what_differs_between_runs_is_removed_and_what_is_left_is_found() -> None:
    progress = "<div><progress value='1'></progress> 1 of 1 rows after 0:19</div>"
    outputs = [
        nbformat.v4.new_output("display_data", {"text/html": progress}),
        nbformat.v4.new_output("display_data", {"image/png": "iVBO", "text/html": "<svg/>"}),
        nbformat.v4.new_output("stream", name="stdout", text="CC at /home/me/a.csv, 3/4\n"),
        nbformat.v4.new_output("stream", name="stderr", text="DeprecationWarning: old\n"),
    ]
    cell = nbformat.v4.new_code_cell("1", outputs=outputs)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    renew.tidy(notebook)
    assert renew.kinds(cell) == ["display_data image/png", "stdout", "stderr"]
    found = renew.faults(notebook, "01_quickstart")
    assert found == ["DeprecationWarning: old\n", "/home/me/a.csv,"]

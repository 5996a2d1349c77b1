"""The notebooks run from top to bottom, show their pictures, and are stored without outputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import molgen
from paths import ROOT

nbformat = pytest.importorskip("nbformat", reason="needs the extra 'notebooks'")
nbclient = pytest.importorskip("nbclient", reason="needs the extra 'notebooks'")

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MODEL, ROWS = "MOLGEN_NOTEBOOK_MODEL", "MOLGEN_NOTEBOOK_ROWS"
FEW = {"01_quickstart": "24", "02_frontier": "8"}
"""Rows of a draw where twelve are too few for the pictures, or more than a sweep needs."""
SMALL_BATCHES = nbformat.v4.new_code_cell(
    "import molgen.nn.micro_batches\nmolgen.nn.micro_batches.LEAST_TOKENS = 1"
)  # as the fixture small_shards: quicker for so few rows
ANY_BATCH = "01_quickstart"
"""The notebook that draws a row again by itself, which needs padded micro-batches."""
SLOW = {"02_frontier", "03_property_models", "06_campaign"}  # they sweep, train, start processes
REPORTS = {"03_property_models": ["property 'first_atom'"]}
"""What notebooks are meant to print on stderr: the failures of a user's function."""
PICTURES = {
    "01_quickstart": 5,
    "02_frontier": 3,
    "03_property_models": 2,
    "04_scaffold_and_lead": 5,
    "06_campaign": 2,
}


def outputs(notebook: Any) -> list[Any]:
    return [out for cell in notebook.cells for out in cell.get("outputs", [])]


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(PICTURES)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_stored_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert outputs(notebook) == []
    assert all(cell.get("execution_count") is None for cell in notebook.cells)


@pytest.mark.skipif(
    MODEL not in os.environ and "qm9" not in molgen.models(), reason="no bundled qm9 model"
)
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] if path.stem in SLOW else [], id=path.stem)
        for path in NOTEBOOKS
    ],
)
def test_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROWS, os.environ.get(ROWS, FEW.get(path.stem, "12")))
    notebook = nbformat.read(path, as_version=4)
    if path.stem != ANY_BATCH:
        first = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
        notebook.cells.insert(first + 1, SMALL_BATCHES)
    client = nbclient.NotebookClient(
        notebook,
        timeout=500,  # of a cell, on a busy machine
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()  # raises the exception of a cell
    found = outputs(notebook)
    warnings = [out["text"] for out in found if out.get("name") == "stderr"]
    assert [text.partition(":")[0] for text in warnings] == REPORTS.get(path.stem, [])
    assert sum("image/png" in out.get("data", {}) for out in found) == PICTURES[path.stem]
    assert list(tmp_path.iterdir()) == []  # nothing is left behind

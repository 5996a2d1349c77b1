"""Run the notebooks and store their outputs in place, as the site and code hosts show them.

    python notebooks/renew.py                               # all
    python notebooks/renew.py notebooks/01_quickstart.ipynb

What differs from run to run or by machine is not stored: progress bars, the version of Python, and
the HTML beside a picture. A notebook whose run fails, or warns, stays as it was.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
TIMEOUT = 900  # seconds of a cell, on a busy machine
REPORTS = {"03_property_models": ["property 'first_atom'"]}
"""What notebooks are meant to print on stderr, by its beginning: failures of a user's function."""
MACHINE = re.compile(r"(?<![\w.<:/])/(?:home|root|tmp|work|Users|private|usr|var)/[^\s'\"]*")
"""Paths of the machine of the run."""


def execute(notebook: Any) -> None:
    """Run a notebook from top to bottom in this folder; its cells have their outputs then.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(FOLDER)}},
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute()
    tidy(notebook)


def tidy(notebook: Any) -> None:
    """Remove from a notebook what differs between two runs, in place."""
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if not _is_progress(out)]
            for out in cell.outputs:
                if "image/png" in out.get("data", {}):
                    out.data = {"image/png": out.data["image/png"]}


def kinds(cell: Any) -> list[str]:
    """Return the kind of each output of a cell: the stream, or the types of the content."""
    return [
        out.get("name") or " ".join([out.output_type, *sorted(out.get("data", {}))])
        for out in cell.get("outputs", [])
    ]


def faults(notebook: Any, name: str) -> list[str]:
    """Return what must not be stored: warnings, and paths of this machine.

    Args:
        notebook: after its run.
        name: the stem of its file.
    """
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    warned = [out.text for out in outputs if out.get("name") == "stderr"]
    expected = REPORTS.get(name, [])
    found = [] if [text.partition(":")[0] for text in warned] == expected else warned
    for out in outputs:
        data = out.get("data", {})
        texts = [out.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
        found += [path for text in texts for path in MACHINE.findall(text)]
    return found


def _is_progress(out: Any) -> bool:
    """Whether an output is a bar of :mod:`molgen.utils.progress`, seconds included."""
    return str(out.get("data", {}).get("text/html", "")).startswith("<div><progress ")


def main(paths: Sequence[Path]) -> int:
    """Run notebooks and write them; return the exit status."""
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        execute(notebook)
        if found := faults(notebook, path.stem):
            print(f"{path}: not stored: {found[0]}", file=sys.stderr)
            return 1
        nbformat.write(notebook, path)
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main([Path(word) for word in sys.argv[1:]] or NOTEBOOKS))

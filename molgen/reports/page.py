"""The page of a report.

What is known beforehand is in the HTML, readable without scripts; table, charts and structures are
made by the script from the data.
"""

from __future__ import annotations

from pathlib import Path

from molgen.reports.assembly import write
from molgen.reports.content import content
from molgen.reports.data import ReportData

SCRIPTS = ("core", "structure", "plot", "rows", "charts", "table", "groups", "main")
"""Files of the page's own script, in order."""


def write_page(data: ReportData, path: str | Path, workers: int = 1) -> int:
    """Write the page of a report.

    Args:
        data: of the report.
        path: of the file.
        workers: number of processes.

    Returns:
        The size of the page in bytes.

    Raises:
        OSError: if it cannot be written; no part of a file is left.
    """
    found, rows = content(data, workers), len(data.table)
    library = "tabulator/tabulator"
    return write(path, "page.html.jinja", SCRIPTS, found, library=library, data=data, rows=rows)

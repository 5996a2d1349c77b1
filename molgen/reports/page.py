"""The page: one HTML file with everything in it, that needs no network and is allowed none.

    page.html (Jinja, escaped) + style + script + data -> one file, written whole or not at all

What is known beforehand is in the HTML, readable without scripts; table, charts and structures are
made by the script from the data, in an element that browsers do not run. A Content-Security-Policy
allows this one script, by its checksum, and no connection: markup in a name of a molecule could do
nothing even if it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.molecules.drawing import ATOM_COLOURS
from molgen.molecules.markup import DARK_COLOURS, hexadecimal
from molgen.reports.content import content
from molgen.reports.data import ReportData
from molgen.utils.files import replacing
from molgen.version import __version__

if TYPE_CHECKING:
    from jinja2 import Template

FOLDER = Path(__file__).parent
VENDORED = FOLDER / "vendored"
TABULATOR = VENDORED / "tabulator"
SCRIPTS = ("core", "structure", "charts", "table", "groups", "main")
"""Files of the page's own script, in order."""
SOURCE_MAP = re.compile(r"\n?(//# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+ \*/)\s*$")
SYMBOLS = {6: "C", 7: "N", 8: "O", 9: "F", 15: "P", 16: "S", 17: "Cl", 35: "Br", 53: "I"}


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
    page = html(data, content(data, workers)).encode("utf-8")
    with replacing(path) as temporary:
        temporary.write_bytes(page)
    return len(page)


def html(data: ReportData, found: dict[str, Any]) -> str:
    """Return the page of a report, given the data of its script."""
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return _template().render(
        data=data,
        rows=len(found["smiles"]),
        content=embedded(found),
        script=script,
        script_hash=f"sha256-{digest}",
        style=_style(),
        licences=[_text(path) for path in sorted(VENDORED.glob("*/LICENSE"))],
        version=__version__,
    )


def embedded(found: object) -> str:
    """Return JSON that closes no element around it, whatever text is in it."""
    text = json.dumps(found, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _script() -> str:
    """Return the script: the vendored library, then the page's own."""
    library = SOURCE_MAP.sub("", _text(TABULATOR / "tabulator.min.js"))
    own = [_text(FOLDER / "script" / f"{name}.js") for name in SCRIPTS]
    whole = "\n".join([library, "(() => {", '"use strict";', *own, "})();"])
    return f"\n{whole}\n"


@cache
def _style() -> str:
    """Return the style: the vendored table's, the palette of atoms, the page's own."""
    library = SOURCE_MAP.sub("", _text(TABULATOR / "tabulator_simple.min.css"))
    return "\n".join([library, _palette(), _text(FOLDER / "page.css")])


def _palette() -> str:
    """Return the colours of atoms by day and by night, those of every picture of molgen."""
    rules = []
    for number, symbol in SYMBOLS.items():
        light, dark = hexadecimal(ATOM_COLOURS[number]), DARK_COLOURS[number]
        rules.append(f"--atom-{symbol}: light-dark({light}, {dark});")
    return f":root {{ {' '.join(rules)} }}"


@cache
def _template() -> Template:
    """Return the template; everything is escaped but what is marked as safe there."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["grouped"] = lambda number: f"{number:,}"
    return environment.get_template("page.html.jinja")

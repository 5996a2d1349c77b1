"""The parts of a page: style, script and data put into one HTML file that needs no network.

    template (Jinja, escaped) + style + script + data -> one file, written whole or not at all

A Content-Security-Policy allows the page's one script, by its checksum, and no connection: markup
in a name of a molecule could do nothing even if it were not escaped. Data are JSON in an element
that browsers do not run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.molecules.drawing import ATOM_COLOURS
from molgen.molecules.markup import DARK_COLOURS, hexadecimal
from molgen.utils.files import replacing
from molgen.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
VENDORED = FOLDER / "vendored"
SOURCE_MAP = re.compile(r"\n?(//# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+ \*/)\s*$")
SYMBOLS = {6: "C", 7: "N", 8: "O", 9: "F", 15: "P", 16: "S", 17: "Cl", 35: "Br", 53: "I"}


def write(
    path: str | Path,
    template: str,
    scripts: Sequence[str],
    content: object,
    styles: Sequence[str] = (),
    library: str = "",
    **values: Any,
) -> int:
    """Write a page; return its size in bytes.

    Args:
        path: of the file.
        template: name of the file.
        scripts: names of the page's own scripts, in order.
        content: data of the script.
        styles: names of further styles.
        library: vendored script and style that come first, as ``folder/name``; empty for none.
        **values: of the template, escaped there.

    Raises:
        OSError: if it cannot be written; no part of a file is left.
    """
    program = _script(tuple(scripts), library)
    digest = base64.b64encode(hashlib.sha256(program.encode("utf-8")).digest()).decode("ascii")
    text = _environment().get_template(template).render(
        content=embedded(content),
        script=program,
        script_hash=f"sha256-{digest}",
        style=_style(tuple(styles), library),
        licences=[_text(VENDORED / library.split("/")[0] / "LICENSE")] if library else [],
        version=__version__,
        **values,
    )  # fmt: skip
    page = text.encode("utf-8")
    with replacing(path) as temporary:
        temporary.write_bytes(page)
    return len(page)


def embedded(found: object) -> str:
    """Return JSON that closes no element around it, whatever text is in it."""
    text = json.dumps(found, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _script(names: tuple[str, ...], library: str) -> str:
    """Return the script: the vendored library, then the page's own."""
    first = SOURCE_MAP.sub("", _text(VENDORED / f"{library}.min.js")) if library else ""
    own = [_text(FOLDER / "script" / f"{name}.js") for name in names]
    whole = "\n".join([first, "(() => {", '"use strict";', *own, "})();"])
    return f"\n{whole}\n"


@cache
def _style(names: tuple[str, ...], library: str) -> str:
    """Return the style: the vendored table's, the palette of atoms, the page's own."""
    first = SOURCE_MAP.sub("", _text(VENDORED / f"{library}_simple.min.css")) if library else ""
    own = [_text(FOLDER / f"{name}.css") for name in ("page", *names)]
    return "\n".join([first, _palette(), *own])


def _palette() -> str:
    """Return the colours of atoms by day and by night, those of every picture of molgen."""
    rules = []
    for number, symbol in SYMBOLS.items():
        light, dark = hexadecimal(ATOM_COLOURS[number]), DARK_COLOURS[number]
        rules.append(f"--atom-{symbol}: light-dark({light}, {dark});")
    return f":root {{ {' '.join(rules)} }}"


@cache
def _environment() -> Environment:
    """Return the environment of templates; all is escaped but what they mark as safe."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["grouped"] = lambda number: f"{number:,}"
    return environment

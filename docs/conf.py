"""The documentation site: `make docs` builds it, warnings are errors."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from molgen.version import __version__  # noqa: E402
from rooms import draw_rooms  # noqa: E402  files beside this one
from site_pages import ARGUMENTS, RESULTS, write_pages  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx

UNDOCUMENTED = (
    "AnySampler|Canvas|Checkpoint|Engine|EngineLike|Filter|Function|Kind|Objective|Plan|PropertyPredictor|"
    "Record|Request|RunRecord|SampleRequest|TrainingIndex|Trajectory"
)
"""Classes of the library in signatures of the reference, which are no part of it."""
SECTION = re.compile(r"[A-Z][a-z]+:")  # of a docstring
project = "molgen"
author = "the molgen authors"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "sphinxarg.ext",
]
exclude_patterns = ["_build", "_static", "**/.ipynb_checkpoints"]

# Notebooks are shown as they are stored; `make notebooks` runs them.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
smartquotes = False  # options begin with two hyphens

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
LINKED = [name for name in (*ARGUMENTS, *RESULTS) if not name.endswith(".Samples")]  # two have it
autodoc_type_aliases = {name.rpartition(".")[2]: name for name in LINKED}
python_use_unqualified_type_names = True
# Every name of molgen in a docstring's role must be documented; types of signatures may be others.
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(?!(molgen|property_models)\.).*"),
    ("py:obj", r".*\.Counts"),  # the type variable of Result
    ("py:class", rf".*\.({UNDOCUMENTED})"),
]
autosummary_generate = True
autosummary_imported_members = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = "molgen"
html_static_path = ["_static"]
html_css_files = ["molgen.css"]
html_show_sphinx = False
html_theme_options = {"source_directory": "docs/"}

write_pages(HERE)
draw_rooms(HERE.parent / "pyproject.toml", HERE / "generated" / "rooms.svg")


def show_examples(*given: Any) -> None:
    """Mark indented paragraphs of a docstring before its sections as code, in place."""
    lines: list[str] = given[-1]
    at = 1
    while at < len(lines) and not SECTION.fullmatch(lines[at]):
        if lines[at].startswith("    ") and not lines[at - 1].strip():
            lines[at:at] = [".. code-block:: python", ""]
            at += 2
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
        at += 1


def keep_together(_app: Sphinx, _name: str, source: list[str]) -> None:
    """Keep a number and its spread on one line."""
    source[0] = source[0].replace(" ± ", "\u00a0±\u00a0")


def setup(app: Sphinx) -> None:
    """Connect the hooks of this file; before napoleon's, which reads sections."""
    app.connect("source-read", keep_together)
    app.connect("autodoc-process-docstring", show_examples, priority=400)

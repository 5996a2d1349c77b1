"""The model card, rendered from ``molgen.json`` alone with the template ``card.md.jinja``.

Numbers that are measured later are added to ``molgen.json``, and :func:`rewrite` renders the card
again: training writes ``measured.held_out``, :mod:`molgen.training.fine_tuning` writes
``measured.fine_tuning``, and ``measured.sampling`` (a list of rows, any columns) is added by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.checkpoints.folder import read_info
from molgen.utils.files import replacing

if TYPE_CHECKING:
    from jinja2 import Template

DATA = "original's data, held out"  # forgetting is measured on it where it is available, else:
DRAWN = "drawn by the original"


def card(name: str, info: Mapping[str, Any]) -> str:
    """Return the text of a model card.

    Args:
        name: of the model.
        info: the content of ``molgen.json``.
    """
    return _template().render(name=name, info=info)


def fine_tuning(found: Mapping[str, Any]) -> str:
    """Return the section of the card on fine-tuning.

    Args:
        found: the measurements of :mod:`molgen.training.fine_tuning`.
    """
    context = _template().new_context({"info": {"measured": {"fine_tuning": found}}})
    return "".join(_template().blocks["fine_tuning"](context)).strip()


def rewrite(folder: str | Path, name: str = "") -> None:
    """Render the card of a checkpoint again from its ``molgen.json``.

    Raises:
        MolgenError: if the folder is not a checkpoint.
        OSError: if the card cannot be written.
    """
    folder = Path(folder)
    text = card(name or folder.resolve().name, read_info(folder))
    with replacing(folder / "README.md") as part:
        part.write_text(text, encoding="utf-8")


@cache
def _template() -> Template:
    """Return the template with its filters and constants."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,  # a missing number is an error, not a gap in the text
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"DATA": DATA}
    environment.filters |= {
        "fmt": format,
        "flow": lambda text: " ".join(text.split()),
        "share": lambda value: "" if value is None else f"{100 * value:.1f} %",
        "figure": lambda value: "" if value is None else f"{value:.3g}",
    }
    return environment.get_template("card.md.jinja")

"""Figures of matplotlib as files, with every text as it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from molgen.utils.files import replacing


def save_figure(figure: Any, path: str | Path, dpi: int = 160) -> None:
    """Write a figure; dollar signs in names of users are no mathematics.

    Args:
        figure: of matplotlib.
        path: of the file; its extension is the format, by default PNG.
        dpi: dots an inch.

    Raises:
        OSError: if it cannot be written.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix.removeprefix(".") or "png", dpi=dpi)

"""A picture that displays in notebooks and writes PNG, SVG or HTML, by the suffix of a path."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from pathlib import Path

from molgen.errors import MolgenError
from molgen.molecules.canvas import Canvas, Pixels, Svg
from molgen.utils.files import check_writable, replacing

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>body {{ margin: 0; padding: 12px; background: #f3f5f8; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #11161b; }} }}</style>
</head>
<body>{body}</body>
</html>
"""


class Picture(ABC):
    """A picture of molecules."""

    suffixes: tuple[str, ...] = (".png", ".svg", ".html")
    """Of the files it can be written to."""

    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Return its width and height in pixels."""

    @abstractmethod
    def paint(self, canvas: Canvas) -> None:
        """Draw it on a canvas of its size."""

    @abstractmethod
    def html(self) -> str:
        """Return it as an HTML element that needs nothing else."""

    def png(self) -> bytes:
        """Return it as PNG."""
        canvas = Pixels(*self.size())
        self.paint(canvas)
        return canvas.data()

    def svg(self) -> str:
        """Return it as SVG."""
        canvas = Svg(*self.size())
        self.paint(canvas)
        return canvas.data().decode()

    def data(self, suffix: str) -> bytes:
        """Return the content of a file with one of :attr:`suffixes`."""
        if suffix == ".html":
            return self.page().encode()
        return self.png() if suffix == ".png" else self.svg().encode()

    def page(self, title: str = "molecules") -> str:
        """Return it as an HTML file."""
        return PAGE.format(title=html.escape(title), body=self.html())

    def save(self, path: str | Path) -> None:
        """Write it, in the format of the path's suffix.

        Raises:
            MolgenError: if the suffix is not one of :attr:`suffixes`, or the path is a folder or in
                none.
            OSError: if it cannot be written; no part of a file is left.
        """
        check_suffix(path, self.suffixes)
        check_writable(path)
        content = self.data(Path(path).suffix.lower())
        with replacing(path) as temporary:
            temporary.write_bytes(content)

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_png_(self) -> bytes:
        return self.png()


def check_suffix(path: str | Path, suffixes: tuple[str, ...] = Picture.suffixes) -> None:
    """Check that a picture can be written in the format of a path's suffix.

    Raises:
        MolgenError: if not.
    """
    if Path(path).suffix.lower() not in suffixes:
        raise MolgenError(f"path is {str(path)!r}, expected a file ending in {', '.join(suffixes)}")

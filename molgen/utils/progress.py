"""Progress: a bar on a terminal and in a notebook, plain lines elsewhere.

=====================  =====================================================================
standard error is      shown
=====================  =====================================================================
a terminal             tqdm's bar
that of a notebook     a bar in HTML, without widgets
a pipe or a file       a line every 30 s at most, all bars together, the first after 30 s
=====================  =====================================================================

Format, stream and visibility of all bars are defined here.
"""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self, TypeVar

Item = TypeVar("Item")
LINE_SECONDS = 30.0  # between two lines in a pipe
REDRAW_SECONDS = 0.25  # between two pictures of a bar in a notebook


class Display(Protocol):
    """What a bar is drawn with; tqdm's methods."""

    n: int

    def update(self, count: int) -> Any:
        """Add to the count."""

    def set_description(self, text: str) -> None:
        """Set the text before the bar."""

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Set the text after the bar."""

    def close(self) -> None:
        """End at the present count."""


class Bar:
    """A progress bar over a known number of items; a context manager.

    Args:
        total: number of items.
        unit: name of an item.
        label: shown before the bar.
        done: number of items finished before.
        shown: False for no progress at all.
    """

    def __init__(
        self, total: int, unit: str = "it", label: str = "", done: int = 0, shown: bool = True
    ) -> None:
        self.visible = shown and (_in_notebook() or _on_terminal())
        """Whether there is a bar, rather than lines or nothing."""
        self._display: Display | None = None
        if self.visible and not _in_notebook():
            from tqdm import tqdm  # takes a tenth of a second, which --help avoids

            self._display = tqdm(total=total, unit=unit, desc=label, initial=done)
        elif shown:
            kind = _Picture if self.visible else _Lines
            self._display = kind(total, unit, label, done)

    def add(self, count: int = 1) -> None:
        """Add to the count."""
        if self._display is not None:
            self._display.update(count)

    def to(self, count: int) -> None:
        """Set the count."""
        if self._display is not None:
            self._display.update(count - self._display.n)

    def label(self, text: str) -> None:
        """Set the text before the bar."""
        if self._display is not None:
            self._display.set_description(text)

    def note(self, text: str, refresh: bool = True) -> None:
        """Set the text after the bar: at once, or at its next update."""
        if self._display is not None:
            self._display.set_postfix_str(text, refresh=refresh)

    def close(self) -> None:
        """Close the bar at its present count."""
        if self._display is not None:
            self._display.close()

    def __enter__(self) -> Self:
        """Return the bar."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, also after an error."""
        self.close()


class _Text:
    """A progress in words: its label, count, time and note.

    Attributes:
        n: count so far.
    """

    def __init__(self, total: int, unit: str, label: str, done: int) -> None:
        self.total, self.unit, self.before, self.n, self.after = total, unit, label, done, ""
        self.begun = time.monotonic()
        self.start()

    def start(self) -> None:
        """Begin to draw."""

    def draw(self, last: bool = False) -> None:
        """Draw, if it is time to; ``last`` at the end."""

    def update(self, count: int) -> None:
        """Add to the count."""
        self.n += count
        self.draw()

    def set_description(self, text: str) -> None:
        """Set the text before the count."""
        self.before = text
        self.draw()

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Set the text after the count."""
        self.after = text
        if refresh:
            self.draw()

    def close(self) -> None:
        """End at the present count."""
        self.draw(last=True)

    @property
    def line(self) -> str:
        """The progress as a line of text."""
        seconds = round(time.monotonic() - self.begun)
        unit = "" if self.unit == "it" else f" {self.unit}s"
        share = f" ({100 * self.n / self.total:.0f} %)" if self.total else ""
        text = f"{self.n:,} of {self.total:,}{unit}{share} after {seconds // 60}:{seconds % 60:02d}"
        parts = [f"{self.before}: {text}" if self.before else text, self.after]
        return ", ".join(filter(None, parts))


class _Lines(_Text):
    """A line now and then, for a pipe or a log file."""

    last = -LINE_SECONDS
    """When any of them wrote a line: bars within bars share the pace."""

    def draw(self, last: bool = False) -> None:
        """Write a line if none was written for some time."""
        now = time.monotonic()
        if last or now - max(_Lines.last, self.begun) < LINE_SECONDS or sys.stderr is None:
            return
        _Lines.last = now
        print(self.line, file=sys.stderr, flush=True)


class _Picture(_Text):
    """A bar in HTML below the cell of a notebook."""

    def start(self) -> None:
        """Show the bar."""
        from IPython.display import HTML, display

        self.drawn, self.html = self.begun, HTML
        self.handle = display(HTML(self.content), display_id=True)

    def draw(self, last: bool = False) -> None:
        """Draw the bar again if it is time to."""
        now = time.monotonic()
        if last or now - self.drawn >= REDRAW_SECONDS:
            self.drawn = now
            self.handle.update(self.html(self.content))

    @property
    def content(self) -> str:
        """The bar and its line."""
        value = min(self.n, self.total)
        bar = f'<progress value="{value}" max="{max(1, self.total)}"></progress>'
        return f"<div>{bar} {html.escape(self.line)}</div>"


def _on_terminal() -> bool:
    """Return whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def _in_notebook() -> bool:
    """Return whether the program runs in the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def each(
    items: Sequence[Item], unit: str = "it", label: str = "", shown: bool = True
) -> Iterator[Item]:
    """Yield the items under a bar that counts them."""
    with Bar(len(items), unit, label, shown=shown) as bar:
        for item in items:
            yield item
            bar.add()

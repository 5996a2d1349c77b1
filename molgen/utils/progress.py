"""Progress bars on standard error, shown where that is a terminal.

Format, stream and visibility of all bars are defined here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self, TypeVar

Item = TypeVar("Item")


class Bar:
    """A progress bar over a known number of items; a context manager.

    Args:
        total: number of items.
        unit: name of an item.
        label: shown before the bar.
        done: number of items finished before.
        shown: False for no bar even on a terminal.
    """

    def __init__(
        self, total: int, unit: str = "it", label: str = "", done: int = 0, shown: bool = True
    ) -> None:
        from tqdm import tqdm  # takes a tenth of a second, which --help avoids

        self._bar = tqdm(
            total=total, unit=unit, desc=label, initial=done, disable=None if shown else True
        )

    @property
    def visible(self) -> bool:
        """Whether the bar is shown."""
        return not self._bar.disable

    def add(self, count: int = 1) -> None:
        """Add to the count."""
        self._bar.update(count)

    def to(self, count: int) -> None:
        """Set the count."""
        self._bar.update(count - self._bar.n)

    def label(self, text: str) -> None:
        """Set the text before the bar."""
        self._bar.set_description(text)

    def note(self, text: str, refresh: bool = True) -> None:
        """Set the text after the bar: at once, or at its next update."""
        self._bar.set_postfix_str(text, refresh=refresh)

    def close(self) -> None:
        """Close the bar at its present count."""
        self._bar.close()

    def __enter__(self) -> Self:
        """Return the bar."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, also after an error."""
        self.close()


def each(
    items: Sequence[Item], unit: str = "it", label: str = "", shown: bool = True
) -> Iterator[Item]:
    """Yield the items under a bar that counts them."""
    with Bar(len(items), unit, label, shown=shown) as bar:
        for item in items:
            yield item
            bar.add()

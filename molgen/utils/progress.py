"""How far something has come: one bar on standard error, shown where that is a terminal.

A caller says what it counts; how a bar looks, where it goes and when it is hidden is decided here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self, TypeVar

Item = TypeVar("Item")


class Bar:
    """A bar over a known number of things; a context manager.

    Args:
        total: how many there are.
        unit: what one of them is called.
        label: shown before the bar.
        done: how many were there before.
        shown: False for no bar even on a terminal.
    """

    def __init__(
        self, total: int, unit: str = "it", label: str = "", done: int = 0, shown: bool = True
    ) -> None:
        from tqdm import tqdm  # a tenth of a second, which --help need not pay

        self._bar = tqdm(
            total=total, unit=unit, desc=label, initial=done, disable=None if shown else True
        )

    @property
    def visible(self) -> bool:
        """Whether anybody can see it."""
        return not self._bar.disable

    def add(self, count: int = 1) -> None:
        """Count some more."""
        self._bar.update(count)

    def to(self, count: int) -> None:
        """Count up to a number."""
        self._bar.update(count - self._bar.n)

    def label(self, text: str) -> None:
        """Say before the bar what is being done."""
        self._bar.set_description(text)

    def note(self, text: str, refresh: bool = True) -> None:
        """Say something behind the bar: at once, or when it moves next."""
        self._bar.set_postfix_str(text, refresh=refresh)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()

    def __enter__(self) -> Self:
        """Return the bar."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, whatever happened."""
        self.close()


def each(
    items: Sequence[Item], unit: str = "it", label: str = "", shown: bool = True
) -> Iterator[Item]:
    """Yield the items under a bar, which counts those that are done."""
    with Bar(len(items), unit, label, shown=shown) as bar:
        for item in items:
            yield item
            bar.add()

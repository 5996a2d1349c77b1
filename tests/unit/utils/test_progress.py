"""Progress bars: counts, texts, and where they are hidden."""

from __future__ import annotations

import io
import sys

import pytest

from molgen.utils.progress import Bar, each


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def watched(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make standard error a terminal; no fixture, because pytest replaces it after those."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def last(screen: Terminal) -> str:
    return screen.getvalue().split("\r")[-1]


def test_a_bar_continues_an_earlier_count_and_ends_with_its_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = watched(monkeypatch)
    with Bar(20, "row", "first", done=5) as bar:
        assert bar.visible
        bar.add(3)
        bar.to(12)
        bar.label("second")
        bar.note("1.5 forwards")
    assert last(screen).startswith("second:  60%")
    assert " 12/20 " in last(screen)
    assert "row/s, 1.5 forwards]" in last(screen)


def test_a_note_is_shown_without_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watched(monkeypatch)
    with Bar(20) as bar:
        bar.note("now")
        assert "now" in last(screen)
        bar.note("later", refresh=False)
        assert "later" not in last(screen)


@pytest.mark.parametrize("shown", [True, False])
def test_hidden_bars_write_nothing(shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO() if shown else Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with Bar(3, shown=shown) as bar:
        bar.add()
        bar.to(3)
        bar.label("label")
        bar.note("note")
        assert not bar.visible
    assert list(each("abc", shown=shown)) == ["a", "b", "c"]
    assert stream.getvalue() == ""


def test_each_counts_finished_items(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watched(monkeypatch)
    items = each("abcd", "letter", "reading")
    assert [next(items), next(items), next(items)] == ["a", "b", "c"]
    del items
    assert last(screen).startswith("reading:  50%")  # c was not finished
    assert list(each("abcd", "letter", "reading")) == list("abcd")
    assert " 4/4 " in last(screen)

"""Progress bars: counts, texts, and where they are hidden."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from molgen.utils import progress
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


class Clock:
    """The time of a test, in seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("molgen.utils.progress.time.monotonic", lambda: self.now)
        monkeypatch.setattr(progress._Lines, "last", -progress.LINE_SECONDS)


def test_a_pipe_gets_a_line_in_thirty_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = io.StringIO(), Clock(monkeypatch)
    monkeypatch.setattr(sys, "stderr", stream)
    written = []
    with Bar(400, "row", "first") as outer, Bar(100, "molecule") as inner:
        for second in range(100):
            clock.now = 1000.5 + second
            before = stream.getvalue()
            outer.add()
            inner.note(f"{second} rows drawn", refresh=False)
            inner.add()
            written += [clock.now] if stream.getvalue() != before else []
        assert not outer.visible
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(written) == 3
    assert all(b - a >= 30 for a, b in zip([1000.0, *written], written, strict=False))
    assert lines[0] == "first: 31 of 400 rows (8 %) after 0:30"
    with Bar(100, "molecule") as bar:
        bar.note("12 rows drawn")
        clock.now += 95
        bar.add(7)
    assert stream.getvalue().splitlines()[3] == (
        "7 of 100 molecules (7 %) after 1:35, 12 rows drawn"
    )


def test_a_notebook_gets_a_bar_in_html(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, content: Any) -> None:
            shown.append(content.data)

    def display(content: Any, display_id: bool) -> Handle:
        assert display_id
        shown.append(content.data)
        return Handle()

    clock = Clock(monkeypatch)
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=None))
    monkeypatch.setattr("IPython.display.display", display)
    with Bar(40, "row", "<first>") as bar:
        assert bar.visible
        for _ in range(20):
            clock.now += 0.1
            bar.add()
    assert 'value="0" max="40"' in shown[0]
    assert 'value="20" max="40"' in shown[-1]
    assert "&lt;first&gt;: 20 of 40 rows (50 %) after 0:02" in shown[-1]
    assert 3 <= len(shown) <= 10, "it is drawn four times a second at most"

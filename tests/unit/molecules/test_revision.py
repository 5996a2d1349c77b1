"""Pictures of a trajectory: the same steps as a strip, an animation and a page."""

from __future__ import annotations

import html
import io
import json
import re
import xml.dom.minidom
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molgen.molecules.revision import COLOURS, DURATION, LAST, Cell, Frame, Revision

FRAMES = [
    Frame(0, (Cell("C", "placed"), Cell("", "masked"), Cell("", "masked")), fault="2 masked"),
    Frame(3, (Cell("C"), Cell("N", "placed"), Cell("O", "placed")), "CNO"),
    Frame(4, (Cell("C"), Cell("N", "removed"), Cell("O")), fault="1 masked"),
    Frame(7, (Cell("C"), Cell("</script>", "replaced"), Cell("O")), fault="invalid: parse"),
    Frame(9, (Cell("C"), Cell("C", "replaced"), Cell("O")), "CCO"),
]


def parsed(revision: Revision) -> xml.dom.minidom.Element:
    root = xml.dom.minidom.parseString(revision.svg()).documentElement
    assert root is not None
    return root


def test_a_strip_has_every_token_in_its_colour() -> None:
    root = parsed(Revision(FRAMES))
    texts = [html.unescape(t) for t in re.findall(r">([^<]+)</text>", Revision(FRAMES).svg())]
    assert [text for text in texts if text.startswith("step")] == [
        f"step {frame.step}" for frame in FRAMES
    ]
    assert {"2 masked", "1 masked", "invalid: parse", "</script>"} <= set(texts)
    fills = [box.getAttribute("fill") for box in root.getElementsByTagName("rect")]
    for change, count in {"placed": 3, "removed": 1, "replaced": 2, "masked": 2}.items():
        assert fills.count(COLOURS[change][0]) == count + 1  # and the legend
    assert len(root.getElementsByTagName("svg")) == 2


def test_steps_are_spread_and_end_with_the_last() -> None:
    assert [frame.step for frame in Revision(FRAMES, 3).shown] == [0, 4, 9]
    assert [frame.step for frame in Revision(FRAMES, 1).shown] == [9]
    assert len(Revision(FRAMES, 99).shown) == 5


def test_an_animation_has_every_step() -> None:
    image = Image.open(io.BytesIO(Revision(FRAMES).gif()))
    assert getattr(image, "n_frames") == 5  # noqa: B009 (of animations alone)
    durations, inks = [], []
    for i in range(5):
        image.seek(i)
        durations.append(image.info["duration"])
        lower = np.asarray(image.convert("L"))[110:-70]
        inks.append((lower < 120).sum())
    assert durations == [DURATION] * 4 + [LAST]
    assert inks[0] == inks[2] == inks[3] == 0 < min(inks[1], inks[4])  # dark where a molecule is
    image.seek(2)
    faded = np.asarray(image.convert("L"))[110:-70]
    assert ((faded < 235) & (faded >= 120)).sum() > 20  # the last molecule, faded


def test_a_page_needs_nothing_else(tmp_path: Path) -> None:
    Revision(FRAMES, title="Tom & Co").save(tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "{{" not in text
    assert not re.search(r"https?://", text)
    assert "<title>Tom &amp; Co</title>" in text
    assert text.count("</script>") == 2  # a token closes no element
    (content,) = re.findall(r'type="application/json">(.*?)</script>', text, re.S)
    data = json.loads(content)
    assert [frame["step"] for frame in data["frames"]] == [0, 3, 4, 7, 9]
    assert data["frames"][3]["cells"][1] == ["</script>", "replaced"]
    assert [frame["molecule"] for frame in data["frames"]] == [None, 0, None, None, 1]
    assert all(svg.startswith("<svg") for svg in data["molecules"])


@pytest.mark.parametrize("length", [1, 70, 300])
def test_nothing_is_clipped(length: int) -> None:
    """Long rows are broken into lines; tokens end within the picture."""
    frames = [Frame(0, tuple(Cell("[C@@H]", "placed") for _ in range(length)), fault="invalid: x")]
    revision = Revision(frames, title="t" * 400)
    width, height = revision.size()
    root = parsed(revision)
    for box in root.getElementsByTagName("rect")[1:]:
        place = {name: float(box.getAttribute(name)) for name in ("x", "y", "width", "height")}
        assert 0 <= place["x"] < place["x"] + place["width"] < width
        assert 0 <= place["y"] < place["y"] + place["height"] < height
    assert Image.open(io.BytesIO(revision.png())).size == (width, height)
    edge = np.asarray(Image.open(io.BytesIO(revision.gif())).convert("L"))
    assert min(edge[:, -3:].min(), edge[-3:].min(), edge[:, :3].min()) > 250

"""The page as a parser of HTML reads it: what a table holds stays text, and nothing is fetched."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from molgen.reports.assembly import FOLDER, VENDORED, embedded
from molgen.reports.data import Funnel, ReportData
from molgen.reports.page import write_page
from pages import HOSTILE, Page, checksum, read_page
from small_data import SMILES


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """A report in which everything that can be is hostile."""
    names = [HOSTILE[i % len(HOSTILE)] for i in range(len(SMILES))]
    smiles = [*SMILES[:-2], "", ""]
    table = pd.DataFrame({"smiles": smiles, "raw": [*SMILES[:-2], HOSTILE[0], HOSTILE[1]]})
    table["name"] = names
    for name in HOSTILE:
        table[name] = name
    table["R1"] = ["*C", HOSTILE[0]] * 20
    text = " ".join(HOSTILE)
    data = ReportData(
        table, text, text, {text: text}, {text: "max"}, {text: text},
        Funnel(10, text, {name: 1 for name in HOSTILE}, 0, text, {text: (1, 2)}), None, None,
        (text, SMILES), [text],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("page") / "page.html"
    assert write_page(data, path) == path.stat().st_size
    return read_page(path)


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    data = ReportData(pd.DataFrame({"smiles": ["CCO", "CCN"]}), "two")
    for name in ("a.html", "b.html"):
        write_page(data, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_hostile_text_stays_text(page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"img", "b", "iframe", "object", "base", "link", "a href"}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
    assert page.words.count("<script>alert(1)</script>") >= 8  # title, outcome, request, ...
    data = page.data
    names = [column["name"] for column in data["columns"]]
    assert [name for name in names if name in HOSTILE] == list(HOSTILE)
    assert data["columns"][names.index("name")]["values"][: len(HOSTILE)] == list(HOSTILE)
    assert data["smiles"][-2:] == list(HOSTILE[:2])


def test_only_the_page_s_own_script_may_run(page: Page) -> None:
    (program,) = page.programs
    assert f"script-src '{checksum(program)}'" in page.policy
    assert "default-src 'none'" in page.policy
    for word in ("unsafe-eval", "http", "*", "connect-src", "script-src 'unsafe-inline'"):
        assert word not in page.policy


def test_nothing_is_fetched(page: Page) -> None:
    for tag, attributes in page.elements:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith("#")
    (program,) = page.programs
    assert "sourceMappingURL" not in program
    own = "".join(path.read_text() for path in (FOLDER / "script").glob("*.js"))
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|sendBeacon|eval|innerHTML)\b", own)


def test_the_licence_of_what_is_vendored_is_in_the_page(page: Page) -> None:
    texts = " ".join(
        text for attributes, text in page.scripts if attributes.get("class") == "licence"
    )
    for path in VENDORED.glob("*/LICENSE"):
        assert path.read_text(encoding="utf-8").strip() in texts


def test_vendored_files_are_those_of_the_record() -> None:
    record = json.loads((VENDORED / "VENDORED.json").read_text(encoding="utf-8"))
    assert {path.name for path in VENDORED.iterdir() if path.is_dir()} == set(record)
    for folder, entry in record.items():
        recorded = {Path(name).name: digest for name, digest in entry["files"].items()}
        there = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (VENDORED / folder).iterdir()
        }
        assert there == recorded
        assert "LICENSE" in there
        assert entry["version"]


def test_embedded_data_close_no_element() -> None:
    text = embedded(list(HOSTILE))
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == list(HOSTILE)

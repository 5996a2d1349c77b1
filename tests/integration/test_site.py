"""The site: links lead somewhere, a newcomer's questions are two clicks away, pages fit a phone."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from browser import chromium
from paths import ROOT

DOCS = ROOT / "docs"
WRITTEN = [path for path in sorted(DOCS.rglob("*.md")) if "generated" not in path.parts]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *WRITTEN]
LINK = re.compile(r"(?<!\\)\]\((?!https?:|mailto:)([^)#\s]+)(?:#[^)\s]*)?\)")
QUESTIONS = {
    "use my assay data": "molgen fit-property",
    "keep this ring": "molgen design qm9 --scaffold",
    "dock": "dock:DRD2",
    "resume": "The same command continues the campaign",
    "compare with samples of REINVENT": "--samples REINVENT=samples.csv",
    "reproduce row 17": "Row 17 of seed 3",
    "ask for several properties": "--target qed=",
    "improve a lead": "molgen optimize",
    "mail a result": "molgen report",
    "train a network": "molgen train",
}
"""A newcomer's questions, and words of the answer."""
SEEN = {
    "front page": "index.html",
    "how-to": "how-to/docking.html",
    "API page": "reference/generated/api/design.html",
    "results": "reference/generated/results.html",
    "notebook": "notebooks/generated/05_compare_generators.html",
    "table": "results/drug-like.html",
    "contributing": "contributing.html",
}


@dataclass
class Page(HTMLParser):
    """What a page of the site links to, fetches and is linked by."""

    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    words: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    @classmethod
    def read(cls, path: Path) -> Page:
        page = cls()
        page.feed(path.read_text(encoding="utf-8"))
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.names |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag in ("img", "script", "source"):
            self.fetched += [given["src"]] if given.get("src") else []
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.fetched.append(given["href"])

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_a_page_lead_to_files(path: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(encoding="utf-8"), flags=re.S)
    for target in LINK.findall(text):
        place = (path.parent / target).resolve()
        if "generated" in place.parts:  # copied or written at build time
            source = ROOT / "notebooks" / place.name
            assert source.exists() or place.suffix == ".md", target
        else:
            assert place.exists(), target


def test_the_front_page_answers_a_newcomers_questions() -> None:
    """The sources alone; the built site is searched below."""
    table = (DOCS / "index.md").read_text(encoding="utf-8")
    for question, answer in QUESTIONS.items():
        (row,) = (line for line in table.splitlines() if line.startswith("| ") and question in line)
        pages = [DOCS / target for target in LINK.findall(row) if target.endswith(".md")]
        assert any(answer in page.read_text(encoding="utf-8") for page in pages), question


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built anew; every warning is an error, as in ``make docs``."""
    pytest.importorskip("furo", reason="needs the extra 'docs'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "-E"]
    ran = subprocess.run(
        [*command, str(DOCS), str(out)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return out


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page.read(path) for path in sorted(site.rglob("*.html"))}


@pytest.mark.slow
def test_no_internal_link_is_dead_and_nothing_is_fetched_elsewhere(
    site: Path, pages: dict[Path, Page]
) -> None:
    assert len(pages) >= 80
    dead, elsewhere = [], []
    for path, page in pages.items():
        for href in page.links:
            target, _, name = href.partition("#")
            if re.match(r"\w+:", target):
                continue
            place = (path.parent / unquote(target)).resolve() if target else path
            known = pages[place].names if place in pages else set()
            if not place.is_file() or (name and place in pages and unquote(name) not in known):
                dead.append((str(path.relative_to(site)), href))
        elsewhere += [url for url in page.fetched if re.match(r"(https?:)?//", url)]
    assert dead == []
    assert elsewhere == []


@pytest.mark.slow
def test_answers_are_two_clicks_from_the_front_page(site: Path, pages: dict[Path, Page]) -> None:
    front = site / "index.html"
    near = {front}
    for _ in range(2):
        for path in list(near):
            hrefs = {href.partition("#")[0] for href in pages[path].links}
            near |= {(path.parent / href).resolve() for href in hrefs if href} & set(pages)
    for question, answer in QUESTIONS.items():
        assert question in pages[front].words
        assert any(answer in pages[path].words for path in near - {front}), question


@pytest.mark.slow
def test_the_outputs_of_notebooks_are_shown(pages: dict[Path, Page]) -> None:
    shown = {path.stem: page for path, page in pages.items() if "notebooks" in path.parts}
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert sum("_images" in url for url in shown[notebook.stem].fetched) >= 2


@pytest.mark.slow
def test_pages_fit_a_phone_and_a_desk(site: Path) -> None:
    with chromium() as browser:
        for width in (390, 1400):
            page = browser.new_page(viewport={"width": width, "height": 900})
            for name, place in SEEN.items():
                page.goto((site / place).as_uri())
                found = page.evaluate("document.documentElement.scrollWidth")
                assert found <= width, (name, width)

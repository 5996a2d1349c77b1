"""Reading the pages of reports as a browser does: elements, text, data, the script's checksum."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

VOID = {"meta", "input", "br", "link", "img"}
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '=HYPERLINK("http://x","y")',
    '"quoted\', name"',
    "{{7*7}} ${7*7}",
    "<!--<script>",
    "]]>&amp;&lt;b&gt;",
    "line\u2028and\u2029paragraph",
    "a,b;c\td",
    "javascript:alert(1)",
)
"""Names that attack a page, its data or a spreadsheet."""


@dataclass
class Page(HTMLParser):
    """A page.

    Attributes:
        elements: tag and attributes of each.
        text: outside scripts and styles.
        scripts: attributes and content of each.
    """

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    scripts: list[tuple[dict[str, str | None], str]] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1:] == [tag], f"{tag} closes another element"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            attributes, before = self.scripts[-1]
            self.scripts[-1] = attributes, before + data
        elif self._open and self._open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        """The text, with blanks joined."""
        return " ".join(" ".join(self.text).split())

    @property
    def data(self) -> dict[str, Any]:
        """The data of the script."""
        (text,) = (text for attributes, text in self.scripts if attributes.get("id") == "data")
        found: dict[str, Any] = json.loads(text)
        return found

    @property
    def programs(self) -> list[str]:
        """The scripts that a browser runs."""
        return [text for attributes, text in self.scripts if "type" not in attributes]

    @property
    def policy(self) -> str:
        """The Content-Security-Policy."""
        named = {a.get("http-equiv"): a.get("content") for tag, a in self.elements if tag == "meta"}
        content = named["Content-Security-Policy"]
        assert content is not None
        return content


def read_page(path: Path) -> Page:
    """Return a page, every element of which is closed."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert not page._open
    return page


def checksum(script: str) -> str:
    """Return the checksum of a script as a policy has it."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"

"""Pages in the system's Chromium, with the network off and every message of the console caught."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
READY = "html[data-ready]"


@contextmanager
def chromium() -> Iterator[Any]:
    """Start the browser; the test is skipped where there is none, or no Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    with playwright.sync_playwright() as driver:
        # Chromium's own sandbox does not start for root, as in most containers
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """A page that has been opened.

    Attributes:
        page: of Playwright.
        seconds: until it could be used.
        messages: of the console, errors and warnings; also dialogs and requests of the network.
    """

    page: Any
    seconds: float
    messages: list[str]

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return str(self.page.inner_text(selector))

    def download(self, kind: str, folder: Path) -> Path:
        """Save a download; return its path."""
        with self.page.expect_download() as caught:
            self.page.click(f"#save-{kind}")
        path = folder / f"page.{kind}"
        caught.value.save_as(path)
        return path

    def shown(self) -> int:
        """Return the number of rows that pass the filters, once they have been applied."""
        self.page.wait_for_selector("html:not([data-pending])", state="attached")
        return int(self.text("#shown").split()[0].replace(",", ""))


@contextmanager
def opened(browser: Any, path: Path, width: int = 1400, **options: Any) -> Iterator[Opened]:
    """Open a page with the network off."""
    context = browser.new_context(
        offline=True, viewport={"width": width, "height": 900}, accept_downloads=True, **options
    )
    page, messages = context.new_page(), list[str]()
    page.on("console", lambda m: messages.append(f"{m.type}: {m.text}"))
    page.on("pageerror", lambda error: messages.append(f"error: {error}"))
    page.on("dialog", lambda dialog: messages.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: messages.extend(_elsewhere(request.url)))
    begun = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector(READY, state="attached", timeout=30_000)
    try:
        yield Opened(page, time.perf_counter() - begun, messages)
    finally:
        context.close()


def _elsewhere(url: str) -> list[str]:
    """Return the address of what is not in the page itself."""
    return [] if url.startswith(("file:", "blob:")) else [url]

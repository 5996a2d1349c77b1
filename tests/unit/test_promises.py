"""``docs/promises.md``: each promise names tests that exist; and those that no other file holds."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from paths import ROOT

PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
PROMISES = dict(re.findall(r"^### (.+?)\n(.*?)(?=^#|\Z)", PAGE, re.M | re.S))
OFFLINE = """
import sys
contacted = []
def audit(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "urllib.Request"):
        contacted.append((event, arguments))
sys.addaudithook(audit)
import molgen
assert molgen.models()
light = [name for name in ("torch", "rdkit", "pandas", "numpy") if name in sys.modules]
molgen.load(sys.argv[1]).sample(1)
print(light, contacted)
"""


def named(text: str) -> list[tuple[Path, str]]:
    """Return the tests that a promise names."""
    found = re.findall(r"^- `([\w/]+\.py)::(\w+)`$", text, re.M)
    return [(ROOT / "tests" / path, name) for path, name in found]


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_names_tests_that_exist(promise: str) -> None:
    text, tests = PROMISES[promise], named(PROMISES[promise])
    assert tests
    assert len(tests) == text.count("\n- "), "each line is read"
    assert not text.strip().startswith("- `"), "it says what is promised"
    for path, name in tests:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert name in functions, path


def test_promises_are_linked_and_many() -> None:
    assert len(PROMISES) >= 15
    for page in ("README.md", "CONTRIBUTING.md"):
        assert "docs/promises.md" in (ROOT / page).read_text(encoding="utf-8"), page


def test_importing_and_loading_contact_nothing(tiny_model: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(tiny_model)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stdout == "[] []\n", ran.stderr

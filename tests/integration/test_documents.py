"""Every block of code in the README and on the pages of the site runs.

``python`` blocks of a page share their names; ``shell`` blocks are commands of molgen, all of which
must end with exit status 0. Blocks of ``text`` are shown alone: commands of minutes or of other
programs, and files that a reader has. A ``python`` block that begins with the name of a file, as
``# score.py``, is written there.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from molgen.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "docs" / "tour.md", *(ROOT / "docs" / "how-to").glob("*.md")]
)


def run_commands(example: Example) -> None:
    """Run the commands of a block, a line each; a backslash continues a line."""
    for line in str(example.parsed).replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            assert words[0] == "molgen", line
            try:
                status: object = main(words[1:])
            except SystemExit as end:  # of the parser
                status = end.code
            assert status == 0, line


def run_python(example: Example) -> None:
    """Run a block, or write it as the file that it names."""
    name = re.match(r"# (\w+\.py)\n", str(example.parsed))
    if name:
        Path(name[1]).write_text(str(example.parsed))
    else:
        PythonEvaluator()(example)


PYTHON = CodeBlockParser(language="python", evaluator=run_python)
SHELL = CodeBlockParser(language="shell", evaluator=run_commands)
SYBIL = Sybil([PYTHON, SHELL], encoding="utf-8")


def run(path: Path) -> int:
    """Run the blocks of a page in order; return their number."""
    document = SYBIL.parse(path)
    count = 0
    for example in document.examples():
        example.evaluate()
        count += 1
    return count


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=[path.stem for path in PAGES])
def test_the_blocks_of_a_page_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(path)


def test_pages_have_blocks_and_a_block_that_fails_is_noticed(tmp_path: Path) -> None:
    assert sum(len(list(SYBIL.parse(path).examples())) for path in PAGES) >= 15
    page = tmp_path / "page.md"
    page.write_text("```python\nvalue = 1\n```\n\n```python\nassert value == 2\n```\n")
    with pytest.raises(AssertionError):
        run(page)
    page.write_text("```shell\nmolgen models nosuch\n```\n")
    with pytest.raises(AssertionError, match="molgen models nosuch"):
        run(page)

"""Tests ask for an argument's name and value in a message: sentences may be written anew."""

from __future__ import annotations

import ast

from paths import TESTS

LONGEST = 60  # of a pattern; "similarity is 1.5" has 17


def sentences(text: str) -> list[str]:
    """Return the patterns of ``match=`` in a module that are longer than that."""
    return [
        f"line {node.lineno}: {node.value.value!r}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.keyword) and node.arg == "match"
        if isinstance(node.value, ast.Constant) and len(str(node.value.value)) > LONGEST
    ]


def test_long_patterns_are_found() -> None:
    assert sentences(f"raises(ValueError, match='{'n is 1, ' * 9}')") != []
    assert sentences("raises(ValueError, match='n is 1')") == []


def test_no_pattern_is_a_whole_sentence() -> None:
    long = {
        str(path.relative_to(TESTS)): found
        for path in sorted(TESTS.rglob("test_*.py"))
        if (found := sentences(path.read_text(encoding="utf-8")))
    }
    assert long == {}

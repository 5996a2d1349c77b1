"""Dotted names in code, docstrings and tests lead somewhere: a module, a function, a field."""

from __future__ import annotations

import importlib
import re

from paths import ROOT

NAME = re.compile(r"\b(?:molgen|property_models)(?:\.[A-Za-z_]\w*)+")
FILES = (".json", ".csv", ".typed", ".lock")
SOURCES = ("molgen", "property_models", "benchmarks", "tests")


def leads_somewhere(name: str) -> bool:
    """Whether a dotted name can be imported, attribute after attribute."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if part in getattr(found, "__dataclass_fields__", {}):
                return True
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_names_lead_somewhere() -> None:
    lost = {}
    known: dict[str, bool] = {}
    for path in (path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")):
        for name in set(NAME.findall(path.read_text(encoding="utf-8"))):
            if name.endswith(FILES) or path.name == "test_references.py":
                continue
            if not known.setdefault(name, leads_somewhere(name)):
                lost[name] = str(path.relative_to(ROOT))
    assert not lost

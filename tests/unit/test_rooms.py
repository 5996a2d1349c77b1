"""The house: what lies where, which way imports go, and that the linter sees what breaks it."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from paths import ROOT

HALL = {
    "__init__.py",
    "__init__.pyi",
    "__main__.py",
    "errors.py",
    "model.py",
    "targets.py",
    "version.py",
    "py.typed",
}
LINT = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
ROOMS = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for package in ("molgen", "property_models")
    for path in (ROOT / package).rglob("__init__.pyi")
)
BREAKS = {
    "No circles inside a room": (
        "molgen/sampling/trajectory.py",
        "def late():\n    from molgen.sampling import sampler\n    return sampler\n",
    ),
    "Rooms import from rooms below them alone": (
        "molgen/data/prior.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from molgen.model import Model\n",
    ),
    "Molecules need no torch": ("molgen/molecules/fcd.py", "import torch\n"),
    "Networks, mathematics and the training loop": (
        "molgen/data/dataset.py",
        "from molgen.molecules import parsing\n",
    ),
    "Modules are imported by name": ("molgen/sampling/words.py", "import importlib\n"),
}


def test_only_the_face_lies_in_the_hall() -> None:
    assert {path.name for path in (ROOT / "molgen").iterdir() if path.is_file()} == HALL


def test_every_room_is_in_the_contract() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = options["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c["type"] == "layers")
    listed = {name.strip() for layer in layers for name in layer.split("|")}
    required = {name for name in listed if not name.startswith("(")}  # the others may be to come
    modules = {
        f"molgen.{name.removesuffix('.py')}"
        for name in HALL
        if "__" not in name and name.endswith(".py")
    }
    rooms = {f"molgen.{path.parent.name}" for path in (ROOT / "molgen").glob("*/__init__.py")}
    assert required <= {*rooms, *modules, "property_models"} <= {n.strip("()") for n in listed}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_the_names_it_lists(room: str) -> None:
    module = importlib.import_module(room)
    text = (ROOT / room.replace(".", "/") / "__init__.pyi").read_text(encoding="utf-8")
    names = re.findall(r" as (\w+)", text)
    assert names
    assert sorted(names) == sorted(module.__all__)
    for name in names:
        assert getattr(module, name) is not None


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    for package in ("molgen", "property_models"):
        for path in (ROOT / package).rglob("*.py"):
            place = folder / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize("contract", BREAKS)
def test_the_linter_sees_what_breaks_a_contract(copy: Path, contract: str) -> None:
    name, line = BREAKS[contract]
    path = copy / name
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n{line}", encoding="utf-8")
    try:
        ran = subprocess.run(LINT, cwd=copy, capture_output=True, text=True, check=False)
    finally:
        path.write_text(before, encoding="utf-8")
    assert ran.returncode == 1, ran.stdout
    assert re.search(rf"{contract}[^\n]*(\n[^\n]*)?BROKEN", ran.stdout), ran.stdout
    assert subprocess.run(LINT, cwd=copy, capture_output=True, check=False).returncode == 0

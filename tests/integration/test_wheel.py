"""The built wheel holds both packages with their data and works where there is no checkout.

Builders that discover packages by themselves leave `property_models` out without a word, and
hatchling leaves out what git ignores: both would show only on a user's machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from molgen.checkpoints.hub import BUNDLED
from molgen.version import DISTRIBUTION
from paths import ROOT

PACKAGES = ("molgen", "property_models")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the checkout with the wheel unpacked in it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    subprocess.run([*command, str(folder), str(ROOT)], check=True, capture_output=True)
    (wheel,) = folder.glob(f"{DISTRIBUTION.replace('-', '_')}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, code: str) -> str:
    """Run Python with the unpacked wheel first on its path and return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=site.parent, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_of_the_packages_is_in_the_wheel(site: Path, package: str) -> None:
    here = {
        path.relative_to(ROOT)
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    there = {path.relative_to(site) for path in (site / package).rglob("*") if path.is_file()}
    assert here == there
    assert Path(package, "py.typed") in there


def test_nothing_else_is_installed(site: Path) -> None:
    names = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert names == set(PACKAGES)


def test_the_bundled_model_and_the_licence_are_in_the_wheel(site: Path) -> None:
    qm9 = site / BUNDLED.relative_to(ROOT) / "qm9"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(os.listdir(qm9))
    assert list(site.glob("*.dist-info/licenses/LICENSE"))


def test_the_licences_of_what_is_vendored_are_in_the_wheel(site: Path) -> None:
    vendored = ROOT / "molgen" / "reports" / "vendored"
    record = json.loads((vendored / "VENDORED.json").read_text(encoding="utf-8"))
    assert record
    for folder in record:
        text = (vendored / folder / "LICENSE").read_text(encoding="utf-8")
        place = Path("molgen", "reports", "vendored", folder, "LICENSE")
        (listed,) = site.glob(f"*.dist-info/licenses/{place}")
        assert listed.read_text(encoding="utf-8") == text
        assert (site / place).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_come_from_the_wheel(site: Path, package: str) -> None:
    assert Path(run(site, f"import {package}; print({package}.__file__)")).is_relative_to(site)


def test_the_bundled_model_loads_outside_the_checkout(site: Path) -> None:
    assert run(site, "import molgen; print(molgen.load('qm9').name)") == "qm9"

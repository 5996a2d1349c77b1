"""Shared by every test; its being here puts ``tests/`` on the import path."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from commands import Ran, Run

if TYPE_CHECKING:
    from molgen.model import Model

# A machine that does something else meanwhile makes any example slow.
hypothesis.settings.register_profile("molgen", deadline=None)
hypothesis.settings.load_profile("molgen")

# What is started in the background ignores interrupts, and some tests send them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a random network; see ``tiny.py``."""
    import tiny

    return tiny.save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_model: Path) -> Model:
    """The tiny model, loaded once."""
    import molgen

    return molgen.load(tiny_model)


@pytest.fixture(scope="session")
def model(tiny: Model) -> Model:
    """The same, where a file of tests has no model of its own."""
    return tiny


@pytest.fixture(scope="session")
def qm9() -> Model:
    """The bundled QM9 model."""
    import molgen

    return molgen.load("qm9")


@pytest.fixture(scope="session")
def tiny_selfies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same over SELFIES."""
    import tiny

    return tiny.save(tmp_path_factory.mktemp("models") / "selfies", "selfies")


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill a forward up to eight rows instead of 256 tokens: quicker, where last bits are free.

    A row's numbers may then depend on its neighbours, so tests of any batch do without it.
    """
    monkeypatch.setattr("molgen.nn.micro_batches.LEAST_TOKENS", 1)


@pytest.fixture
def smi(tmp_path: Path) -> Path:
    """A file of 40 molecules with names."""
    from small_data import SMILES

    path = tmp_path / "set.smi"
    path.write_text("".join(f"{s} molecule-{i}\n" for i, s in enumerate(SMILES)))
    return path


@pytest.fixture
def molgen(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line within this process."""
    from molgen.cli import main

    def run(*words: object) -> Ran:
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as end:
            status = int(end.code or 0)
        caught = capsys.readouterr()
        return Ran(status, caught.out, caught.err)

    return run

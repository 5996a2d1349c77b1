"""``molgen train --few-step``: a joint block for a model, and rows drawn with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import molgen as library
import small_data
import tiny
from commands import Run, cells


@pytest.fixture
def model(tmp_path: Path, molgen: Run) -> Path:
    table = tmp_path / "molecules.csv"
    table.write_text("smiles\n" + "\n".join(small_data.SMILES) + "\n")
    words = ("--epochs", 1, "--batch-size", 8, "--workers", 1, "--dtype", "fp32")
    found = molgen(
        "train", table, "--out", tmp_path / "model", "--properties", "none", *small_data.TINY,
        "--epochs", 1,
    )  # fmt: skip
    assert found.status == 0, found.err
    found = molgen(
        "train", table, "--few-step", tmp_path / "model", "--out", tmp_path / "few", *words
    )
    assert found.status == 0, found.err
    assert "nats a token drawn" in found.out + found.err
    return tmp_path / "few"


def test_a_few_step_model_is_the_model_with_a_joint_block(model: Path, molgen: Run) -> None:
    plain, few = (library.load(folder) for folder in (model.parent / "model", model))
    few_step = few.info["measured"]["few_step"]
    assert set(few_step["nats_per_token"]) == {"block", "product"}
    assert few_step["recipe"]["epochs"] == 1
    options: dict[str, Any] = {"seed": 3, "steps": 4}
    assert few.sample(16, **options)["raw"].tolist() == plain.sample(16, **options)["raw"].tolist()
    out = model / "rows.csv"
    found = molgen(
        "sample", model, "--n", 16, "--joint", "block", "--order", "chunks:forwards=2",
        "--grammar", "smiles", "--out", out,
    )  # fmt: skip
    assert found.status == 0, found.err
    assert cells(out)["nfe"].astype(int).max() <= 2
    again = few.sample(8, joint="block", order="chunks:forwards=2", grammar="smiles")
    assert again["raw"].tolist() == cells(out)["raw"].tolist()[:8]  # a prefix
    np.testing.assert_array_equal(again["nfe"], cells(out)["nfe"].astype(int)[:8])


def test_a_finished_run_is_not_repeated(model: Path, molgen: Run) -> None:
    before = (model / "joint" / "model.safetensors").read_bytes()
    table = model.parent / "molecules.csv"
    words = ("--epochs", 1, "--batch-size", 8, "--workers", 1, "--dtype", "fp32")
    found = molgen("train", table, "--few-step", model.parent / "model", "--out", model, *words)
    assert found.status == 0, found.err
    assert (model / "joint" / "model.safetensors").read_bytes() == before


def test_a_block_is_trained_further(model: Path, molgen: Run) -> None:
    table, base = model.parent / "molecules.csv", model.parent / "model"
    words = ("--epochs", 1, "--batch-size", 8, "--workers", 1, "--dtype", "fp32", "--lr", 1e-9)
    found = molgen(
        "train", table, "--few-step", base, "--init", model, "--out", model.parent / "on", *words
    )
    assert found.status == 0, found.err
    before, after = (
        library.load(folder).joint_block().state_dict() for folder in (model, model.parent / "on")
    )
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=0, atol=1e-2)  # bfloat16, and no step
    found = molgen("train", table, "--few-step", base, "--init", base, "--out", table.parent / "no")
    assert "no joint block" in found.refused()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--init", "qm9"), "block"),
        (("--prefix-masks", 0.2), "few_step"),
        (("--prepare-only",), "few_step"),
        (("--layers", 2), "layers"),
        (("--properties", "tpsa"), "tpsa"),
    ],
)
def test_options_that_contradict_it(
    tmp_path: Path, molgen: Run, words: tuple[object, ...], named: str
) -> None:
    table = tmp_path / "molecules.csv"
    table.write_text("smiles\n" + "\n".join(small_data.SMILES) + "\n")
    folder = tiny.save(tmp_path / "model")
    found = molgen("train", table, "--few-step", folder, "--out", tmp_path / "few", *words)
    assert named in found.refused()
    assert not (tmp_path / "few" / "joint").exists()


def test_a_damaged_block_is_one_line(model: Path, molgen: Run) -> None:
    (model / "joint" / "config.json").write_text("{}")
    found = molgen("sample", model, "--n", 2, "--joint", "block", "--out", model / "rows.csv")
    assert "joint" in found.refused()
    found = molgen("sample", model, "--n", 2, "--out", model / "rows.csv")
    assert found.status == 0, found.err

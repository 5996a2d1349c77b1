"""A classifier trained further, and lightly masked rows: which, how many, what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import tiny
import tiny_classifier
from commands import Run, names
from molgen.checkpoints.folder import save_network
from molgen.training.classifier import LIGHT, ClassifierObjective

LENGTH, ROWS = 40, 4000
SHARE = 0.3


@pytest.fixture
def smi(tmp_path: Path) -> Path:
    path = tmp_path / "set.smi"
    chains = ["".join(each) for n in (2, 3, 4) for each in itertools.product("CNO", repeat=n)]
    path.write_text("\n".join(chains) + "\n")
    return path


def masked_part(share: float) -> Tensor:
    """The masked part of each of some rows."""
    objective = ClassifierObjective("masked", 7, 8, (), light_masks=share)
    x_0 = torch.zeros((ROWS, LENGTH), dtype=torch.long)
    noised = objective.corrupt(x_0, x_0 == 0, torch.Generator().manual_seed(0))
    assert torch.equal(noised.x_s, x_0)  # type: ignore[arg-type]
    return (noised.x_t == 8).float().mean(1)


def test_lightly_masked_rows_have_at_most_a_quarter_masked() -> None:
    assert masked_part(1.0).max() <= LIGHT
    for share in (0.0, SHARE):
        light = (masked_part(share) <= LIGHT).float().mean().item()
        by_chance = (int(LIGHT * LENGTH) + 1) / (LENGTH + 1)
        assert light == pytest.approx(share + (1 - share) * by_chance, abs=0.03)


def trained(molgen: Run, smi: Path, model: Path, out: Path, *words: object) -> Tensor:
    """Train a classifier for a moment; return all its weights."""
    few = ("--epochs", 1, "--batch-size", 8, "--workers", 1, "--dtype", "fp32", "--lr", 1e-6)
    ran = molgen("train-classifier", smi, "--model", model, "--out", out, *few, *words)
    assert ran.status == 0, ran.err
    weights = load_file(out / "model.safetensors")
    return torch.cat([weights[name].float().flatten() for name in sorted(weights)])


def test_training_further_starts_from_the_classifier(
    molgen: Run, smi: Path, tmp_path: Path
) -> None:
    model, first, out = tiny.save(tmp_path / "model"), tmp_path / "first", tmp_path / "light"
    before = trained(molgen, smi, model, first, "--from-scratch", "--seed", 5)
    new = trained(molgen, smi, model, tmp_path / "new", "--from-scratch")
    further = trained(molgen, smi, model, out, "--init", first, "--light-masks", SHARE)
    assert (further - before).abs().max() < 1e-3 < 0.1 < (new - before).abs().max()
    assert (further - before).abs().max() > 0
    other = ("--init", first, "--batch-size", 8, "--epochs", 1)
    resumed = molgen("train-classifier", smi, "--model", model, "--out", out, *other)
    assert resumed.status == 2
    assert "light_masks 0.3, expected 0.0" in resumed.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--light-masks 1.5", "light_masks"),
        ("--light-masks nan", "light_masks"),
        ("--init {model}", "no classifier"),
        ("--init {folder}/nothing", "nothing"),
        ("--init {other} --from-scratch", "from_scratch"),
        ("--init {other}", "properties"),
        ("--init qm9", "vocabulary"),
    ],
)
def test_a_refusal_is_one_line_and_writes_nothing(
    molgen: Run, smi: Path, tmp_path: Path, words: str, named: str
) -> None:
    model, other = tiny.save(tmp_path / "model"), tmp_path / "other"
    save_network(tiny_classifier.classifier(), other)
    given = words.format(model=model, other=other, folder=tmp_path).split()
    ran = molgen("train-classifier", smi, "--model", model, "--out", tmp_path / "out", *given)
    assert named in ran.refused()
    assert not (tmp_path / "out").exists() or "model.safetensors" not in names(tmp_path / "out")


def test_another_noise_has_no_light_masks(molgen: Run, smi: Path, tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "model", noise="uniform")
    ran = molgen("train-classifier", smi, "--model", model, "--out", tmp_path / "out",
                 "--light-masks", SHARE)  # fmt: skip
    assert "light_masks" in ran.refused()

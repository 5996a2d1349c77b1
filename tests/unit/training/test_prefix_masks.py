"""Prefix masks: which tokens they mask, their loss, who cannot have them, and what they teach."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import tiny
from commands import Run, names
from molgen.diffusion import noise
from molgen.errors import MolgenError
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.training import state
from molgen.training.batch import Batch
from molgen.training.objective import Masked, objective_for
from molgen.training.recipe import TrainConfig, check_prefix_masks
from molgen.training.trainer import new_model, train
from small_data import TINY, dataset, recipe, shape

DATA = dataset()
SHARE = 0.15


def rows(count: int = 4000, longest: int = 24) -> tuple[Tensor, Tensor]:
    """Clean rows of ``longest / 2`` to ``longest`` tokens, and which are not padding."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(longest // 2, longest + 1, (count,), generator=generator)
    real = torch.arange(longest) < lengths[:, None]
    return torch.where(real, 0, DATA.pad_id), real


def masks(share: float, x_0: Tensor, real: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    found = Masked(DATA.mask_id, prefix_masks=share).corrupt(x_0, real, generator)
    assert torch.equal(torch.where(found.x_t == DATA.mask_id, x_0, found.x_t), x_0)
    return found.x_t == DATA.mask_id


def suffix(masked: Tensor, real: Tensor) -> Tensor:
    """Whether a row's mask is all behind a clean prefix, shape (rows,)."""
    return (masked == noise.mask_suffix(real, masked.sum(1))).all(1)


def test_a_suffix_has_the_wanted_count_and_no_padding() -> None:
    real = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    found = noise.mask_suffix(real, torch.tensor([2, 3]))
    assert found.int().tolist() == [[0, 0, 0, 1, 1], [1, 1, 1, 0, 0]]


def test_the_share_of_rows_with_prefix_masks() -> None:
    x_0, real = rows()
    lengths = real.sum(1).tolist()
    # masks at random places are a suffix by chance, too, above all for n = 1, L - 1 and L
    chance = np.mean([np.mean([1 / math.comb(n, k) for k in range(1, n + 1)]) for n in lengths])
    expected = SHARE + (1 - SHARE) * chance
    error = math.sqrt(expected * (1 - expected) / len(x_0))
    found = suffix(masks(SHARE, x_0, real), real).double().mean()
    assert abs(float(found) - expected) < 4 * error
    assert suffix(masks(1.0, x_0, real), real).all()


def test_counts_and_the_other_rows_are_those_without_prefix_masks() -> None:
    x_0, real = rows()
    plain, some, every = (masks(share, x_0, real) for share in (0.0, SHARE, 1.0))
    for masked in (some, every):
        assert torch.equal(masked.sum(1), plain.sum(1))  # exact numbers, whatever the places
    changed = (some != plain).any(1)
    assert suffix(some, real)[changed].all()
    assert torch.equal(some[changed], every[changed])


def test_without_prefix_masks_the_random_numbers_are_those_of_random_places_alone() -> None:
    x_0, real = rows(64)
    one, two = (torch.Generator().manual_seed(7) for _ in range(2))
    found = Masked(DATA.mask_id).corrupt(x_0, real, one).x_t == DATA.mask_id
    expected = noise.mask_exactly(x_0, real, noise.exact_counts(real.sum(1), two), two)
    assert torch.equal(found, expected)
    assert torch.equal(one.get_state(), two.get_state())


@torch.no_grad()
def test_the_loss_is_the_cross_entropy_of_the_suffix_times_length_over_count() -> None:
    network = tiny.network()
    objective = Masked(network.mask_id, prefix_masks=1.0)
    x_0 = torch.tensor([[2, 3, 4, 2, 3], [2, 0, 2, network.pad_id, network.pad_id]])
    real = x_0 != network.pad_id
    noised = objective.corrupt(x_0, real, torch.Generator().manual_seed(2))
    values = torch.full((2, len(tiny.PROPERTIES)), float("nan"))
    losses = objective.losses(network, Batch(x_0, noised.x_t, values))
    for row, length in enumerate((5, 3)):
        count = int((noised.x_t[row] == network.mask_id).sum())
        given = x_0[row, :length].clone()
        given[length - count :] = network.mask_id
        log_p = network.logits(given[None])[0].log_softmax(-1)
        nats = -sum(float(log_p[at, x_0[row, at]]) for at in range(length - count, length))
        assert losses[row].item() == pytest.approx(nats * length / count, rel=1e-5)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), True, "most", None])
def test_a_share_out_of_range_is_named(share: object) -> None:
    with pytest.raises(MolgenError, match="prefix_masks is"):
        check_prefix_masks(share)


@pytest.mark.parametrize(
    ("kind", "correct", "network"),
    [
        ("uniform", False, "noise 'uniform'"),
        ("none", False, "noise 'none'"),
        ("masked", True, "self-correcting"),
    ],
)
def test_only_plain_masked_noise_has_prefix_masks(kind: str, correct: bool, network: str) -> None:
    with pytest.raises(MolgenError, match=rf"prefix_masks is {SHARE}.*{network}"):
        objective_for(kind, DATA.pad_id, DATA.mask_id, kind == "uniform", correct, SHARE)
    assert objective_for("masked", DATA.pad_id, DATA.mask_id, False, prefix_masks=SHARE) == Masked(
        DATA.mask_id, prefix_masks=SHARE
    )
    with pytest.raises(MolgenError, match="prefix_masks is"):
        TrainConfig(self_correct=True, prefix_masks=SHARE)


@pytest.mark.parametrize(
    "words",
    [
        "--prefix-masks 1.5",
        "--prefix-masks nan",
        "--prefix-masks .15 --noise uniform",
        "--prefix-masks .15 --noise none",
        "--prefix-masks .15 --self-correct",
        "--prefix-masks .15 --few-step qm9",
        "--prefix-masks .15 --init {uniform}",
        "--prefix-masks .15 --init {none}",
        "--prefix-masks .15 --init {correcting}",
        "--prefix-masks .15 --init {masked} --self-correct",
    ],
)
def test_a_refusal_is_one_line_before_any_molecule_is_read(
    molgen: Run, smi: Path, tmp_path: Path, words: str
) -> None:
    models = {
        kind: tiny.save(tmp_path / kind, noise=kind)
        for kind in ("uniform", "none", "masked")
        if f"{{{kind}}}" in words
    }
    if "{correcting}" in words:
        models["correcting"] = tiny.save(tmp_path / "correcting", quality=True)
    ran = molgen("train", smi, "--out", tmp_path / "out", *words.format(**models).split())
    assert "prefix_masks" in ran.refused()
    assert not (tmp_path / "out").exists() or not names(tmp_path / "out")


def test_a_run_goes_on_with_its_own_share_alone(molgen: Run, smi: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["train", smi, "--out", out, "--properties", "none", "--epochs", 1, *TINY]
    assert molgen(*command, "--prefix-masks", SHARE).status == 0
    place = state.find(out)
    assert place is not None
    assert state.read_meta(place)["recipe"]["prefix_masks"] == SHARE
    other = molgen(*command)
    assert other.status == 2
    assert "prefix_masks 0.15, expected 0.0" in other.err.splitlines()[-1]
    assert molgen(*command, "--prefix-masks", SHARE).status == 0


def test_a_run_from_before_prefix_masks_had_none(tmp_path: Path) -> None:
    train(DATA, tmp_path, shape(DATA), recipe(epochs=1), progress=False)
    path = tmp_path / "state/state.json"
    text = path.read_text()
    assert '"prefix_masks": 0.0, ' in text
    path.write_text(text.replace('"prefix_masks": 0.0, ', ""))
    with pytest.raises(MolgenError, match=r"prefix_masks 0\.0, expected 0\.15"):
        train(DATA, tmp_path, shape(DATA), recipe(epochs=1, prefix_masks=SHARE), progress=False)
    train(DATA, tmp_path, shape(DATA), recipe(epochs=1), progress=False)


def taught(share: float, folder: Path) -> float:
    """Nats a row on prefix masks, of a network trained with a share of them."""
    config = recipe(
        epochs=150, batch_size=32, shard=32, peak_rate=1e-2, ema_decay=0.95, prefix_masks=share,
        evaluate_every=10_000, checkpoint_every=10_000,
    )  # fmt: skip
    trainer = train(DATA, folder, new_model(shape(DATA), 0), config, progress=False)
    x_0 = torch.from_numpy(DATA.tokens[~DATA.held_out].astype(np.int64)).repeat(20, 1)
    objective = Masked(DATA.mask_id, prefix_masks=1.0)
    noised = objective.corrupt(x_0, x_0 != DATA.pad_id, torch.Generator().manual_seed(5))
    values = torch.full((len(x_0), len(DATA.properties)), float("nan"))
    with torch.no_grad(), trainer.average.applied(trainer.model):
        model = trainer.model.eval()
        assert isinstance(model, MoleculeDenoiser)
        return float(objective.losses(model, Batch(x_0, noised.x_t, values)).mean())


def test_training_with_prefix_masks_lowers_the_loss_on_them(tmp_path: Path) -> None:
    without, half = taught(0.0, tmp_path / "without"), taught(0.5, tmp_path / "half")
    assert half < without - 0.1, (half, without)

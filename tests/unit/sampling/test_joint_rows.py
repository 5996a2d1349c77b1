"""Rows drawn with a joint block: exact on enumerated states, and independent of the batch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import chains
import molgen
import tiny
import tiny_joint
from molgen.data.dataset import TokenDataset
from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.joint_predictor import JointPredictor
from molgen.guidance.kernels import ClassifierFree
from molgen.nn.denoiser import DenoiserConfig, MoleculeDenoiser
from molgen.nn.joint_block import JointBlock
from molgen.training.few_step import previous, train_block
from molgen.training.recipe import TrainConfig
from molgen.training.trainer import train
from molgen.utils.threads import workers

ROWS = 10_000


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[MoleculeDenoiser, JointBlock]:
    """A network and a block trained on the three dependent tokens of `chains`."""
    folder = tmp_path_factory.mktemp("chain")
    rng = np.random.default_rng(0)
    rows = chains.CLEAN.numpy()[rng.choice(8, 2048, p=chains.TARGET.numpy())]
    data = TokenDataset.build(rows.tolist(), {}, ["A", "B", "[PAD]", "[MASK]"], "smiles", 0)
    shape = DenoiserConfig(
        vocab_size=4, max_position_embeddings=16, hidden_size=32, num_layers=1, num_heads=4,
        condition_size=8,
    )  # fmt: skip
    config = TrainConfig(epochs=10, batch_size=128, peak_rate=1e-2, workers=1)
    denoiser = train(data, folder / "trunk", shape, config, progress=False).model
    assert isinstance(denoiser, MoleculeDenoiser)
    return denoiser, train_block(data, denoiser, folder / "block", config, progress=False)


@torch.no_grad()
def joint(denoiser: MoleculeDenoiser, block: JointBlock) -> tuple[torch.Tensor, torch.Tensor]:
    """The distribution over clean states of one step from all masks: joint, and as a product."""
    x_s = chains.CLEAN
    x_t = torch.full_like(x_s, denoiser.mask_id)
    read = denoiser.read(x_t)
    own = denoiser.heads(read).logits
    place = torch.ones_like(x_s, dtype=torch.bool)
    logits = block.logits(own, read, previous(x_s, denoiser.mask_id), place)
    both = (each.double().log_softmax(-1).gather(-1, x_s[..., None]) for each in (logits, own))
    joint, product = (each.sum((1, 2)).exp() for each in both)
    return joint, product


def test_one_joint_step_reaches_a_distribution_that_no_product_can(
    trained: tuple[MoleculeDenoiser, JointBlock],
) -> None:
    block, product = joint(*trained)
    assert float(block.sum()) == pytest.approx(1, abs=1e-6)
    assert chains.distance(product, chains.TARGET) > 0.25
    assert chains.distance(block, chains.TARGET) < 0.08


def test_drawn_rows_have_the_enumerated_distribution(
    trained: tuple[MoleculeDenoiser, JointBlock],
) -> None:
    denoiser, block = trained
    tokens = np.full((ROWS, chains.LENGTH), denoiser.mask_id)
    place = np.ones(tokens.shape, dtype=bool)
    u = np.random.default_rng(1).random(tokens.shape)
    with workers() as pool:
        predictor = JointPredictor(MicroBatchedDenoiser(denoiser, dtype="fp32"), block, pool)
        step = predictor.begin(tokens, place, None, np.zeros(ROWS))
        drawn, psi = step.draw(place, u)
    exact = joint(denoiser, block)[0].numpy()
    state = drawn @ (2 ** np.arange(chains.LENGTH)[::-1])
    share = np.bincount(state, minlength=8) / ROWS
    assert np.abs(share - exact).sum() / 2 < 0.02
    np.testing.assert_allclose(psi.prod(1), exact[state], rtol=1e-3)  # a known log-probability


@pytest.mark.parametrize("gamma", [None, 2.0])
def test_a_row_does_not_depend_on_its_batch(gamma: float | None) -> None:
    denoiser = tiny.network()
    rng = np.random.default_rng(2)
    lengths = rng.integers(3, 10, 50)
    real = np.arange(9) < lengths[:, None]
    tokens = np.where(real, denoiser.mask_id, denoiser.pad_id)
    place = real & (rng.random(real.shape) < 0.6)
    place[:, 0] = True
    u = rng.random(real.shape)
    condition = np.full((50, 3), 0.4, dtype=np.float32)
    guidance = None if gamma is None else ClassifierFree(gamma)

    def draw(parts: list[int]) -> tuple[np.ndarray, np.ndarray]:
        with workers() as pool:
            network = MicroBatchedDenoiser(denoiser, dtype="fp32")
            predictor = JointPredictor(network, tiny_joint.block(denoiser), pool, guidance)
            found = [
                predictor.begin(tokens[a:b], place[a:b], condition[a:b], np.zeros(b - a)).draw(
                    place[a:b], u[a:b]
                )
                for a, b in pairwise(parts)
            ]
        return np.concatenate([t for t, _ in found]), np.concatenate([p for _, p in found])

    whole, psi = draw([0, 50])
    for parts in ([0, 1, 17, 50], [0, 25, 50]):
        again, chance = draw(parts)
        np.testing.assert_array_equal(again, whole)
        np.testing.assert_array_equal(chance, psi)
    assert (whole[place] < denoiser.pad_id).all()
    assert not whole[~place].any()


def test_values_that_are_not_allowed_are_not_drawn() -> None:
    denoiser = tiny.network()
    tokens = np.full((200, 6), denoiser.mask_id)
    place = np.ones(tokens.shape, dtype=bool)
    allowed = np.ones((*tokens.shape, denoiser.vocab_size), dtype=bool)
    allowed[:, 2, :3] = False
    with workers() as pool:
        network = MicroBatchedDenoiser(denoiser, dtype="fp32")
        predictor = JointPredictor(network, tiny_joint.block(denoiser), pool)
        step = predictor.begin(tokens, place, None, np.zeros(200), allowed=allowed)
        drawn, _ = step.draw(place, np.random.default_rng(0).random(tokens.shape))
    assert set(drawn[:, 2]) == {3, 4}
    np.testing.assert_allclose(step.marginals()[:, 2, :3], 0)


def test_the_joint_setting_needs_a_block(tmp_path: Path) -> None:
    plain = molgen.load(tiny.save(tmp_path / "plain"))
    with pytest.raises(molgen.MolgenError, match="has no joint block"):
        plain.sample(4, joint="block")
    with pytest.raises(molgen.MolgenError, match="joint is 'blok'"):
        plain.sample(4, joint="blok")
    found = molgen.load(tiny_joint.save(tmp_path / "joint")).sample(
        64, joint="block", steps=3, remask="ancestral"
    )
    assert found["nfe"].max() <= 3
    other = molgen.load(tmp_path / "joint").sample(64, steps=3, remask="ancestral")
    assert found["raw"].tolist() != other["raw"].tolist()

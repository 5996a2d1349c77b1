"""How far draws of several tokens at once are from the joint, on chains that can be enumerated.

    .venv/bin/python benchmarks/joint_draws.py --joints 8 --blocks 3

Three tokens of three values: 27 clean states, 64 with masks. Each joint is drawn from a Dirichlet
distribution of parameter 0.3, and every figure is the total variation to it, mean ± standard
deviation over joints:

- *product*: the exact marginals, in 1, 2 and 3 forwards; a step places each masked token with the
  probability of its schedule, and all its draws are independent. Three tokens one by one are exact.
- *mixture*: the best product mixture of K values of a latent in one forward, fitted by expectation
  maximisation; one value is the product, and nine can be exact (one for each pair of two tokens).
- *block*: a small network and its joint block, trained on 8,192 draws, in one forward, by its own
  enumerated probabilities; beside it the product of the same network.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import torch

from molgen.data.dataset import TokenDataset
from molgen.diffusion.plan import Ancestral
from molgen.nn.denoiser import DenoiserConfig, MoleculeDenoiser
from molgen.training.few_step import previous, train_block
from molgen.training.recipe import TrainConfig
from molgen.training.trainer import train
from molgen.utils.arrays import Floats

LENGTH = VALUES = 3
MASK = VALUES
CLEAN = np.array(list(product(range(VALUES), repeat=LENGTH)))
STATES = np.array(list(product(range(VALUES + 1), repeat=LENGTH)))
RESTARTS, ROUNDS = 20, 400


def distance(p: Floats, q: Floats) -> float:
    """Return the total variation of two distributions."""
    return float(np.abs(p - q).sum() / 2)


def marginals(joint: Floats) -> Floats:
    """Return the exact prediction at every state, shape (states, tokens, values)."""
    fits = ((STATES[:, None] == MASK) | (STATES[:, None] == CLEAN)).all(-1) * joint
    one_hot = CLEAN[:, :, None] == np.arange(VALUES)
    return np.einsum("sc,clv->slv", fits / fits.sum(1, keepdims=True), one_hot)


def by_product(joint: Floats, forwards: int) -> Floats:
    """Return the distribution after this many steps of independent draws."""
    state = (STATES == MASK).all(1).astype(float)
    plan, p = Ancestral().plan(forwards), marginals(joint)
    for alpha_t, alpha_s, _ in plan.rows():
        place = (alpha_s - alpha_t) / (1 - alpha_t)
        q = np.zeros((len(STATES), LENGTH, VALUES + 1))
        masked = STATES == MASK
        q[..., :VALUES] = np.where(
            masked[..., None], place * p, STATES[..., None] == np.arange(VALUES)
        )
        q[..., MASK] = np.where(masked, 1 - place, 0)
        state = state @ q[:, np.arange(LENGTH), STATES].prod(-1)
    return state[(STATES != MASK).all(1)]


def by_mixture(joint: Floats, k: int, rng: np.random.Generator) -> Floats:
    """Return the closest product mixture of ``k`` values that expectation maximisation finds."""
    best, least = joint, np.inf
    for _ in range(RESTARTS if k > 1 else 1):
        weight = rng.dirichlet(np.ones(k))
        p = rng.dirichlet(np.ones(VALUES), (k, LENGTH))
        for _ in range(ROUNDS):
            each = weight * p[:, np.arange(LENGTH), CLEAN].prod(-1).T  # (states, k)
            total = each.sum(1, keepdims=True)
            share = joint[:, None] * each / np.where(total > 0, total, 1)
            weight = share.sum(0)
            for value in range(VALUES):
                p[:, :, value] = np.einsum("sk,sl->kl", share, value == CLEAN)
            p /= np.maximum(p.sum(-1, keepdims=True), 1e-300)
        found = (weight * p[:, np.arange(LENGTH), CLEAN].prod(-1).T).sum(1)
        if distance(found, joint) < least:
            best, least = found, distance(found, joint)
    return best


def by_block(joint: Floats, seed: int) -> tuple[Floats, Floats]:
    """Return the distribution of one joint step of a trained block, and of its product."""
    rows = CLEAN[np.random.default_rng(seed).choice(len(CLEAN), 8192, p=joint)]
    vocab = [*"ABC", "[PAD]", "[MASK]"]
    data = TokenDataset.build(rows.tolist(), {}, vocab, "smiles", seed)
    shape = DenoiserConfig(
        vocab_size=5, max_position_embeddings=16, hidden_size=32, num_layers=2, num_heads=4,
        condition_size=8,
    )  # fmt: skip
    config = TrainConfig(epochs=12, batch_size=128, peak_rate=5e-3, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        trunk, place = Path(folder) / "trunk", Path(folder) / "block"
        denoiser = train(data, trunk, shape, config, progress=False).model
        assert isinstance(denoiser, MoleculeDenoiser)
        block = train_block(data, denoiser, place, config, progress=False)
    x_s = torch.from_numpy(CLEAN)
    x_t = torch.full_like(x_s, denoiser.mask_id)
    with torch.no_grad():
        read = denoiser.read(x_t)
        own = denoiser.heads(read).logits
        placed = torch.ones_like(x_s, dtype=torch.bool)
        logits = block.logits(own, read, previous(x_s, denoiser.mask_id), placed)
    found = (each.log_softmax(-1).gather(-1, x_s[..., None]).sum((1, 2)) for each in (logits, own))
    both = [each.double().exp().numpy() for each in found]
    return both[0], both[1]


def table(joints: int, blocks: int, seed: int) -> dict[str, list[float]]:
    """Return the distances of every way to draw, one for each joint."""
    found: dict[str, list[float]] = {}
    for number in range(joints):
        rng = np.random.default_rng(seed + number)
        joint = rng.dirichlet(np.full(len(CLEAN), 0.3))
        ways = {f"product, {k} forwards": by_product(joint, k) for k in (1, 2, 3)}
        ways |= {
            f"mixture of {k}, 1 forward": by_mixture(joint, k, rng) for k in (1, 2, 3, 4, 6, 9)
        }
        if number < blocks:
            block, own = by_block(joint, seed + number)
            ways |= {"block, 1 forward": block, "its network's product, 1 forward": own}
        for name, way in ways.items():
            found.setdefault(name, []).append(distance(way, joint))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--joints", type=int, default=8)
    parser.add_argument("--blocks", type=int, default=3, help="joints to train a block for")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for name, values in table(given.joints, given.blocks, given.seed).items():
        print(f"{name:34} {np.mean(values):.3f} ± {np.std(values):.3f}  ({len(values)} joints)")


if __name__ == "__main__":
    main()

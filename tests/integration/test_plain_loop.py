"""The sampler draws from the distribution of the plain loop of the published algorithm.

Both draw rows of the same lengths along the same plan with a small random network; what they drew
is compared by two-sample tests. Seeds are fixed, so a run that passes always passes; the
thresholds leave a correct sampler about one chance in ten thousand to fail each test. The last
tests hold that these comparisons notice a sampler that is wrong.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from molgen.diffusion.plan import Ancestral, Loop, Plan, Rescale, Strategy
from molgen.guidance.kernels import ClassifierFree
from molgen.guidance.predictor import NetworkPredictor
from molgen.nn.denoiser import DenoiserConfig, MoleculeDenoiser
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.sampler import Job
from molgen.utils.arrays import Ids
from molgen.utils.threads import workers
from paths import ROOT
from tiny import fp32

VOCAB, LONGEST = 7, 6  # five ordinary tokens, padding, mask
ROWS, STEPS = 6_000, 12
GAMMA = 2.0
STRICT = 3.7  # standard normal deviations: two-sided chance 2e-4, one-sided 1e-4


def load_plain_loop() -> Callable[..., tuple[Ids, int]]:
    path = ROOT / "benchmarks" / "plain_loop.py"
    spec = importlib.util.spec_from_file_location("plain_loop", path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loop: Callable[..., tuple[Ids, int]] = module.plain_loop
    return loop


@pytest.fixture(scope="module")
def network() -> MoleculeDenoiser:
    """A network whose tokens depend on each other, on their place and on the condition."""
    shape = DenoiserConfig(
        vocab_size=VOCAB, max_position_embeddings=LONGEST, hidden_size=16, num_layers=1,
        num_heads=2, condition_size=8, properties=["a"],
    )  # fmt: skip
    net = MoleculeDenoiser(shape).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * (0.9 if p.ndim < 2 else 0.5))
    return net


def rows() -> tuple[Ids, NDArray[np.float32]]:
    """Lengths 2 to 6 and a condition of -1 or 1."""
    lengths = 2 + np.arange(ROWS) % (LONGEST - 1)
    condition = np.where(np.arange(ROWS) // (LONGEST - 1) % 2, 1.0, -1.0)
    return lengths, condition[:, None].astype(np.float32)


def by_plain_loop(net: MoleculeDenoiser, plan: Plan, gamma: float | None) -> Ids:
    """Rows of the plain loop; conditional at gamma 1, unconditional without gamma."""
    lengths, condition = rows()
    given = None if gamma is None else condition
    tokens, nfe = load_plain_loop()(net, plan, lengths, given, gamma or 1.0, seed=1)
    assert nfe == len(plan) * (1 if gamma in (None, 1.0) else 2)
    return tokens


def by_sampler(net: MoleculeDenoiser, plan: Plan, gamma: float | None) -> Ids:
    lengths, condition = rows()
    guidance = None if gamma in (None, 1.0) else ClassifierFree(gamma or 1.0)
    with workers() as pool:
        predictor = NetworkPredictor(fp32(net), pool, guidance)
        sampler = Sampler(predictor, plan, batch_size=4096)
        return sampler.run(Job(lengths, None if gamma is None else condition, 2)).tokens


def normal_deviate(chi_squared: float, freedom: int) -> float:
    """A chi-squared value as a standard normal one (Wilson and Hilferty, 1931)."""
    spread = 2 / (9 * freedom)
    return ((chi_squared / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)


def two_sample(a: Ids, b: Ids) -> float:
    """How far the categories of two samples differ, as a standard normal deviate.

    Pearson's chi-squared on the table of counts; categories seen fewer than ten times together are
    pooled.
    """
    size = int(max(a.max(), b.max())) + 1
    counts = np.stack([np.bincount(a, minlength=size), np.bincount(b, minlength=size)])
    rare = counts.sum(0) < 10
    table = np.concatenate([counts[:, ~rare], counts[:, rare].sum(1, keepdims=True)], axis=1)
    table = table[:, table.sum(0) > 0]
    if table.shape[1] < 2:
        return 0.0
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    return normal_deviate(float(((table - expected) ** 2 / expected).sum()), table.shape[1] - 1)


def deviates(a: Ids, b: Ids) -> dict[str, float]:
    """Every comparison of two sets of rows, by name, as standard normal deviates."""
    lengths, condition = rows()
    found: dict[str, float] = {}
    for length in np.unique(lengths):
        for sign in (-1, 1):
            same = (lengths == length) & (condition[:, 0] == sign)
            left, right = a[same, :length], b[same, :length]
            for place in range(length):
                name = f"length {length}, condition {sign}, token {place}"
                found[name] = two_sample(left[:, place], right[:, place])
            pairs = [x[:, 0] * VOCAB + x[:, -1] for x in (left, right)]
            found[f"length {length}, condition {sign}, ends together"] = two_sample(*pairs)
    for token in range(VOCAB - 2):
        times = [(x == token).sum(1) for x in (a, b)]
        found[f"times token {token} occurs"] = two_sample(*times)
    alike = [((x[:, 1:] == x[:, :-1]) & (x[:, 1:] < VOCAB - 2)).sum(1) for x in (a, b)]
    found["equal neighbours"] = two_sample(*alike)
    whole = [(x * VOCAB ** np.arange(LONGEST)).sum(1) for x in (a, b)]
    ids = np.unique(np.concatenate(whole), return_inverse=True)[1]
    found["whole rows"] = two_sample(ids[:ROWS], ids[ROWS:])
    return found


PLANS: dict[str, Strategy] = {
    "ancestral": Ancestral(),
    "rescale": Rescale(0.5),
    "loop": Loop(t_on=0.75, t_off=0.25, eta=0.1, alpha_on=0.7),
}


CASES: list[tuple[str, float | None]] = [
    ("ancestral", None),
    ("ancestral", GAMMA),
    ("rescale", None),
    ("rescale", 1.0),  # conditional: one forward
    ("rescale", GAMMA),
    ("loop", GAMMA),
]


@pytest.mark.parametrize(("name", "gamma"), CASES)
def test_draws_what_the_plain_loop_draws(
    network: MoleculeDenoiser, name: str, gamma: float | None
) -> None:
    plan = PLANS[name].plan(STEPS)
    a, b = by_plain_loop(network, plan, gamma), by_sampler(network, plan, gamma)
    lengths, _ = rows()
    assert ((a < VOCAB - 2) == (np.arange(LONGEST) < lengths[:, None])).all()
    assert ((b < VOCAB - 2) == (np.arange(LONGEST) < lengths[:, None])).all()
    found = deviates(a, b)
    # the largest of so many, at the threshold that each test alone would have
    limit = STRICT + math.log(len(found)) / STRICT
    assert {k: round(v, 2) for k, v in found.items() if v > limit} == {}
    assert abs(np.mean(list(found.values()))) < 1  # they depend on each other


WRONG: dict[str, tuple[Strategy, float | None]] = {
    "no remasking": (Ancestral(), GAMMA),
    "stronger guidance": (Rescale(0.5), 1.3 * GAMMA),
    "no guidance": (Rescale(0.5), None),
}


@pytest.fixture(scope="module")
def reference(network: MoleculeDenoiser) -> Ids:
    return by_plain_loop(network, Rescale(0.5).plan(STEPS), GAMMA)


@pytest.mark.parametrize("name", WRONG)
def test_the_comparison_notices_another_distribution(
    network: MoleculeDenoiser, reference: Ids, name: str
) -> None:
    strategy, gamma = WRONG[name]
    found = deviates(reference, by_sampler(network, strategy.plan(STEPS), gamma))
    assert max(found.values()) > 2 * STRICT

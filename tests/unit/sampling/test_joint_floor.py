"""The floor of draws of several tokens at once, enumerated by ``benchmarks/joint_draws.py``."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import numpy as np
import pytest

from paths import ROOT


@pytest.fixture(scope="module")
def chain() -> ModuleType:
    path = ROOT / "benchmarks" / "joint_draws.py"
    spec = importlib.util.spec_from_file_location("joint_draws", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def joint() -> np.ndarray:
    return np.random.default_rng(5).dirichlet(np.full(27, 0.3))


def test_one_value_is_the_product_and_nine_are_exact(chain: ModuleType, joint: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    one = chain.by_mixture(joint, 1, rng)
    np.testing.assert_allclose(one, chain.by_product(joint, 1), atol=1e-9)
    assert chain.distance(chain.by_mixture(joint, 9, rng), joint) < 0.01


def test_more_forwards_and_more_values_are_closer(chain: ModuleType, joint: np.ndarray) -> None:
    product = [chain.distance(chain.by_product(joint, k), joint) for k in (1, 2, 3, 12)]
    assert product == sorted(product, reverse=True)
    rng = np.random.default_rng(0)
    mixture = [chain.distance(chain.by_mixture(joint, k, rng), joint) for k in (1, 2, 4, 9)]
    assert mixture == sorted(mixture, reverse=True)

"""The arrays predict what scikit-learn predicts, and a committee of one is its member."""

from __future__ import annotations

import numpy as np
import pytest

from property_models.learned.features import Features
from property_models.learned.gaussian_process import Expert, GaussianProcess
from property_models.learned.kernel import Inputs, Kernel

sklearn = pytest.importorskip("sklearn.gaussian_process", reason="needs the extra 'learn'")

from property_models.learned.fitting import fit, regressor  # noqa: E402
from property_models.learned.kernel import BOUNDS  # noqa: E402
from property_models.learned.table_kernel import TableKernel, Tables  # noqa: E402

ENDS = ("O", "N", "F", "C#N", "C(=O)O", "C1CC1", "c1ccccc1")
SMILES = ["C" * n + end for end in ENDS for n in range(1, 11)]
KERNEL = Kernel(0.4, 1.3, 1.7, 0.05)


@pytest.fixture(scope="module")
def features() -> Features:
    return Features.of_smiles(SMILES)


@pytest.fixture(scope="module")
def y(features: Features) -> np.ndarray:
    rng = np.random.default_rng(0)
    return features.descriptors[:, 22] / 10 + rng.normal(0, 0.2, len(SMILES)) + 5


@pytest.fixture(scope="module")
def process(features: Features, y: np.ndarray) -> GaussianProcess:
    return fit(features[np.arange(0, 70, 2)], y[::2])


def test_tanimoto_on_counts_and_distances(features: Features) -> None:
    rng = np.random.default_rng(1)
    inputs = Inputs(features.counts, rng.normal(size=(70, 5)).astype(np.float32))
    tanimoto, distance = inputs[:9].tables(inputs)
    for i in range(9):
        for j in range(70):
            a, b = inputs.counts[i].astype(int), inputs.counts[j].astype(int)
            expected = np.minimum(a, b).sum() / np.maximum(a, b).sum()
            assert tanimoto[i, j] == pytest.approx(expected, abs=1e-12)
            gap = inputs.scores[i].astype(float) - inputs.scores[j]
            assert distance[i, j] == pytest.approx((gap**2).mean(), abs=1e-12)


def test_gradient_is_the_kernels(features: Features) -> None:
    inputs = Inputs(features.counts, (features.descriptors[:, 18:26] / 20).astype(np.float32))
    kernel = TableKernel.of(Tables(*inputs.tables(inputs)), KERNEL)
    rows = np.arange(20)[:, None]
    _, gradient = kernel(rows, eval_gradient=True)
    theta, step = kernel.theta, 1e-6
    for i in range(len(theta)):
        up, down = (
            kernel.clone_with_theta(theta + sign * step * np.eye(4)[i])(rows) for sign in (1, -1)
        )
        np.testing.assert_allclose(gradient[..., i], (up - down) / (2 * step), atol=1e-8)
    np.testing.assert_allclose(np.exp(kernel.bounds), BOUNDS)


def test_prediction_is_scikit_learns(features: Features, y: np.ndarray) -> None:
    """The same kernel there, over the same molecules; the new ones are rows of its tables too."""
    everything = Inputs(features.counts, (features.descriptors[:, 18:26] / 20).astype(np.float32))
    known, new = np.arange(0, 70, 2), np.arange(1, 70, 2)
    tables = Tables(*everything.tables(everything))
    theirs = sklearn.GaussianProcessRegressor(
        TableKernel.of(tables, KERNEL), alpha=1e-10, optimizer=None
    ).fit(known[:, None], y[known])
    mean, std = theirs.predict(new[:, None], return_std=True)
    ours = Expert(everything[known], theirs.alpha_)
    found, variance = ours.predict(everything[new], KERNEL, variance=True)
    np.testing.assert_allclose(found, mean, rtol=0, atol=1e-10)
    np.testing.assert_allclose(np.sqrt(variance), std, rtol=0, atol=1e-8)
    alone, none = ours.predict(everything[new], KERNEL, variance=False)
    np.testing.assert_array_equal(alone, found)
    assert none.shape == (0,)


def test_the_search_finds_a_higher_likelihood(features: Features, y: np.ndarray) -> None:
    inputs = Inputs(features.counts, (features.descriptors[:, 18:26] / 20).astype(np.float32))
    z = (y - y.mean()) / y.std()
    fixed, found = regressor(inputs, z, KERNEL), regressor(inputs, z)
    assert found.log_marginal_likelihood_value_ > fixed.log_marginal_likelihood_value_ + 1
    assert fixed.kernel_.kernel.noise == pytest.approx(KERNEL.noise, rel=1e-12)


def test_it_learns(process: GaussianProcess, features: Features, y: np.ndarray) -> None:
    mean, spread = process.predict(features[np.arange(1, 70, 2)])
    wrong = np.abs(mean - y[1::2])
    assert wrong.mean() < 0.35 * np.abs(y - y.mean()).mean()
    far = Features.of_smiles(["[U]", "O=S(=O)(O)c1ccc2ncsc2c1"])
    assert process.predict(far)[1].min() > spread.max()  # uncertainty far from the training data


def test_arrays_give_the_same_model_bit_for_bit(
    process: GaussianProcess, features: Features
) -> None:
    again = GaussianProcess.from_arrays(process.kernel, process.arrays())
    for ours, theirs in zip(process.predict(features), again.predict(features), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_committee_of_copies_agrees_with_each(
    process: GaussianProcess, features: Features
) -> None:
    """Equal predictions of experts are averaged, and shrunk towards the prior."""
    (expert,) = process.experts
    k, s = process.kernel, process.kernel.variance
    two = GaussianProcess(k, process.scaler, process.mean, process.std, (expert, expert))
    mean, variance = expert.predict(Inputs.of(features, process.scaler), k, True)
    learned = 0.5 * np.log(s / variance)
    precision = 2 * learned / variance + (1 - 2 * learned) / s
    found, spread = two.predict(features)
    expected = process.mean + process.std * 2 * learned * mean / variance / precision
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(spread, process.std / np.sqrt(precision), rtol=1e-12)


def test_several_experts_learn_together(features: Features, y: np.ndarray) -> None:
    rows = np.arange(0, 70, 2)
    several = fit(features[rows], y[rows], largest=18)
    assert [len(expert.inputs) for expert in several.experts] == [18, 17]
    mean, _ = several.predict(features[np.arange(1, 70, 2)])
    assert np.abs(mean - y[1::2]).mean() < 0.5 * np.abs(y - y.mean()).mean()
    again = GaussianProcess.from_arrays(several.kernel, several.arrays())
    np.testing.assert_array_equal(again.predict(features)[0], several.predict(features)[0])


def test_no_molecules(process: GaussianProcess) -> None:
    mean, spread = process.predict(Features.of([]))
    assert (mean.shape, spread.shape) == ((0,), (0,))


def test_nothing_to_learn(features: Features) -> None:
    with pytest.raises(ValueError, match="all 70 training values are 3"):
        fit(features, np.full(70, 3.0))


def test_values_beyond_reach(features: Features) -> None:
    with pytest.raises(ValueError, match=r"values reach 1e\+300: too large"):
        fit(features, np.where(np.arange(70) % 2, 1e300, -1e300))

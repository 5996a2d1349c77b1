from __future__ import annotations

import numpy as np
import pytest

from molgen.guidance.grammar_walk import Walk
from molgen.guidance.smiles_grammar import SmilesGrammar
from molgen.utils.randomness import inverse_cdf

VOCAB = ["C", "(", ")", "=", "1", "2", "[PAD]", "[MASK]"]
PAD, MASK = len(VOCAB) - 2, len(VOCAB) - 1
LANGUAGE = SmilesGrammar(depth=2, labels=2).language(VOCAB)


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_with_the_product_it_is_the_exact_joint_draw(share: float) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 12, 80)
    real = np.arange(12) < lengths[:, None]
    fixed = np.where(rng.random(real.shape) < 0.9, 0, 3)  # atoms and a few bonds
    fixed[:, 0] = 0
    masked = real & (rng.random(real.shape) < share)
    masked[:, 1] = True
    tokens = np.where(real, np.where(masked, MASK, fixed), PAD)
    p = np.zeros((*real.shape, len(VOCAB)))
    p[..., :PAD] = rng.dirichlet(np.ones(PAD), real.shape)
    place = masked & (rng.random(real.shape) < 0.6)
    u = rng.random(real.shape)
    completions = LANGUAGE.given(tokens, masked, p)
    token, psi = completions.draw(place, u)

    walk, rows = Walk(LANGUAGE.given(tokens, masked, p)), np.arange(len(tokens))
    order, count = np.argsort(~place, axis=1, kind="stable"), place.sum(1)
    for i in range(count.max()):
        at, use = order[:, i], i < count
        q = walk.weigh(at, use, p[rows, at])
        drawn = inverse_cdf(q, u[rows, at])
        np.testing.assert_array_equal(drawn[use], token[rows, at][use])
        np.testing.assert_allclose(q[rows, drawn][use], psi[rows, at][use], rtol=1e-9)
        walk.put(at, drawn, use)

"""Scores of given strings: exact where the network is, and a distribution over strings each way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import chains
import tiny
from molgen.data.prior import Prior
from molgen.data.tokenizer import Tokenizer
from molgen.diffusion import score_table
from molgen.diffusion.score_table import combine, entry
from molgen.diffusion.string_likelihood import (
    Ids,
    Score,
    Scorer,
    length_nats,
    order_part,
    uniform_part,
)
from molgen.molecules.parsing import interpret, random_spellings
from molgen.nn.denoiser import DenoiserConfig, MoleculeDenoiser
from molgen.utils.threads import Workers

PAD, MASK = 2, 3
STRINGS = [tuple(row) for row in chains.CLEAN.tolist()]
NO_COST = np.zeros(16)


class ExactMasked:
    """``p(x_0 token | x_t)`` of `chains.TARGET`, for rows of three tokens."""

    vocab_size, pad_id, mask_id, max_length, time_input = 4, PAD, MASK, 3, False

    def logits(
        self, tokens: Tensor, condition: Tensor | None = None, alpha: Tensor | None = None
    ) -> Tensor:
        p = chains.denoise(chains.TARGET)[..., :2]
        state = torch.where(tokens == MASK, chains.MASK, tokens)
        rows = p[(state * torch.tensor([9, 3, 1])).sum(1)]
        rest = torch.full((*tokens.shape, 2), -math.inf, dtype=torch.float64)
        return torch.cat([rows.log(), rest], dim=-1)


class ExactUniform(ExactMasked):
    """The same under uniform noise, from the other tokens: what the loss is minimal at."""

    time_input = True
    config = SimpleNamespace(noise="uniform")

    def logits(
        self, tokens: Tensor, condition: Tensor | None = None, alpha: Tensor | None = None
    ) -> Tensor:
        assert alpha is not None
        out = torch.full((*tokens.shape, 4), -math.inf, dtype=torch.float64)
        for row, a, result in zip(tokens, alpha, out, strict=True):
            state = (row * torch.tensor([4, 2, 1])).sum()
            result[:, :2] = chains.denoise_from_others(chains.TARGET, float(a))[state].log()
        return out


@pytest.fixture
def pool() -> Workers:
    made = Workers("cpu", 1)
    made.close()
    made._pool = None  # a plain loop
    return made


def nats(scorer: Scorer, strings: list[Ids], pool: Workers) -> NDArray[np.float64]:
    found = dict(scorer.scores(strings, pool))
    return np.array([found[ids].nats for ids in strings])


def network(noise: str, time_input: bool = False) -> MoleculeDenoiser:
    """A network with random parameters over two tokens and rows of at most three."""
    config = DenoiserConfig(
        vocab_size=4, max_position_embeddings=3, hidden_size=16, num_layers=1, num_heads=2,
        condition_size=8, properties=["qed"], property_mean=[0.5], property_std=[0.2],
        time_input=time_input, noise=noise,
    )  # fmt: skip
    made = MoleculeDenoiser(config)
    generator = torch.Generator().manual_seed(1)
    for parameter in made.parameters():
        parameter.data = 0.7 * torch.randn(parameter.shape, generator=generator)
    return made.eval()


def test_in_any_order_the_exact_denoiser_gives_the_likelihood(pool: Workers) -> None:
    truth = -chains.TARGET.log().numpy()
    for seed in range(5):
        found = nats(Scorer(ExactMasked(), NO_COST, seed=seed), STRINGS, pool)
        assert found == pytest.approx(truth, abs=1e-12)


@pytest.mark.parametrize("time_input", [False, True])
def test_every_order_is_a_distribution_of_strings(time_input: bool) -> None:
    model = network("masked", time_input)
    x_0 = chains.CLEAN
    for order in product((0.1, 0.5, 0.8), repeat=3):
        if len(set(order)) < 3:
            continue
        u = torch.tensor([order], dtype=torch.float64).expand(8, -1)
        with torch.no_grad():
            parts = [order_part(model, x_0, u, torch.full((8,), n)) for n in range(3)]
        assert (-torch.stack(parts).sum(0)).exp().sum().item() == pytest.approx(1, abs=1e-6)


def test_the_bound_is_the_mean_over_orders_and_no_more_than_a_distribution(pool: Workers) -> None:
    model = network("masked")
    found = dict(Scorer(model, NO_COST, draws=300).scores(STRINGS, pool))
    for ids, score in found.items():
        x_0 = torch.tensor([ids])
        orders = [o for o in product((0.1, 0.5, 0.8), repeat=3) if len(set(o)) == 3]
        with torch.no_grad():
            exact = [
                sum(
                    order_part(model, x_0, torch.tensor([o]), torch.tensor([n])).item()
                    for n in range(3)
                )
                for o in orders
            ]
        assert abs(score.nats - np.mean(exact)) <= 4.5 * score.error + 1e-6
        # 300 draws of 6 orders: the error that is stated is the one there is
        assert score.error == pytest.approx(np.std(exact) / math.sqrt(300), rel=0.25, abs=1e-6)
    assert sum(math.exp(-score.nats) for score in found.values()) <= 1 + 1e-6


def uniform_integral(which: int, count: int) -> float:
    """The bound of a string by the midpoint rule over t and all states x_t."""
    t = ((torch.arange(count) + 0.5) / count).double().repeat_interleave(8)
    x_t = chains.CLEAN.repeat(count, 1)
    x_0 = chains.CLEAN[which].expand(len(t), -1)
    chance = ((1 - t[:, None]) * (x_t == x_0) + t[:, None] / 2).prod(1)
    # uniforms of zero replace every token, by those of x_t
    coins = torch.cat([torch.zeros_like(x_t), (x_t + 0.5) / 2], dim=1).double()
    stratum = (3 * t).long()
    parts = uniform_part(ExactUniform(), x_0, stratum, 3 * t - stratum, coins)
    return 3 * (chance * parts).sum().item() / count


@pytest.mark.parametrize("which", [0, 3, 6])
def test_uniform_noise_integrates_to_the_likelihood_of_the_exact_denoiser(which: int) -> None:
    # the integrand grows as log t, which leaves the midpoint rule an error of first order
    found = 2 * uniform_integral(which, 80) - uniform_integral(which, 40)
    assert found == pytest.approx(-chains.TARGET[which].log().item(), abs=1e-3)


def test_uniform_noise_scatters_about_it(pool: Workers) -> None:
    score = dict(Scorer(ExactUniform(), NO_COST, draws=100).scores(STRINGS[:1], pool))[STRINGS[0]]
    assert abs(score.nats + chains.TARGET[0].log().item()) <= 4.5 * score.error


def test_an_autoregressive_network_is_exact_and_normalised(pool: Workers) -> None:
    strings = [ids for n in range(1, 4) for ids in product((0, 1), repeat=n)]
    model = network("none")
    found = dict(Scorer(model, np.full(4, 99.0), draws=5).scores(strings, pool))
    assert all((s.error, s.length_nats) == (0.0, 0.0) for s in found.values())
    with torch.no_grad():  # the empty string is the one that is not scored
        empty = model.logits(torch.tensor([[MASK]])).softmax(-1)[0, 0, PAD].item()
    total = sum(math.exp(-score.nats) for score in found.values())
    assert total + empty == pytest.approx(1, abs=1e-5)


def test_a_score_depends_on_seed_and_string_alone(pool: Workers) -> None:
    model = network("masked")
    scorer = Scorer(model, NO_COST, draws=2, seed=3)
    together = nats(scorer, STRINGS, pool)
    alone = np.concatenate([nats(scorer, [ids], pool) for ids in STRINGS[::-1]])[::-1]
    assert together == pytest.approx(alone, abs=1e-5)
    assert not np.allclose(nats(Scorer(model, NO_COST, draws=2, seed=4), STRINGS, pool), together)
    threads = Workers("cpu", 2)
    assert nats(scorer, STRINGS, threads).tolist() == together.tolist()
    threads.close()


def test_a_condition_matters(pool: Workers) -> None:
    model = network("masked")
    given = [
        nats(Scorer(model, NO_COST, np.array([v], np.float32)), STRINGS, pool)
        for v in (0.2, 0.8, np.nan)
    ]
    assert np.abs(given[0] - given[1]).max() > 1e-3
    assert given[2] == pytest.approx(nats(Scorer(model, NO_COST), STRINGS, pool), abs=1e-6)


def test_the_cost_of_the_length_is_that_of_the_sampler() -> None:
    lengths, values = np.array([1, 2, 2, 2]), np.array([[0.1], [0.5], [0.5], [0.9]])
    prior = Prior(lengths, values, ("qed",), np.array([1.0, 1.0, 1.0, 2.0]))
    cost = length_nats(prior, 3)
    # 1 and 4 were seen, and one more of each of 1, 2 and 3
    assert np.exp(-cost) == pytest.approx([0, 2 / 8, 5 / 8, 1 / 8])
    given = np.exp(-length_nats(prior, 3, {"qed": 0.5}))
    assert given.sum() == pytest.approx(1)


def test_summing_over_spellings() -> None:
    one = Score(3.0, 0.1, 1.0, 4)
    assert combine([one]) == pytest.approx((3.0, 0.1))
    total, error = combine([one, Score(3.0, 0.1, 1.0, 4)])
    assert total == pytest.approx(3.0 - math.log(2))
    assert error == pytest.approx(0.1 / math.sqrt(2))
    assert combine([one, Score(900.0, 5.0, 1.0, 4)]) == pytest.approx((3.0, 0.1))


def test_random_spellings_are_the_same_molecule() -> None:
    found = random_spellings("CC(N)CO", 20, seed=1)
    assert len(set(found)) > 3
    assert {interpret(text).smiles for text in found} == {"CC(N)CO"}
    assert found == random_spellings("CC(N)CO", 20, seed=1)
    assert found != random_spellings("CC(N)CO", 20, seed=2)
    assert random_spellings("", 5, 0) == []


def test_scored_strings_and_reasons() -> None:
    tokenizer = Tokenizer(tiny.CHARACTERS)

    def look(raw: str, as_written: bool = False, others: Sequence[str] = ()) -> score_table.Entry:
        return entry(interpret(raw), tokenizer, 5, as_written, others)

    assert [text for text, _ in look("OCC").spellings] == ["CCO"]
    assert [text for text, _ in look("OCC", as_written=True).spellings] == ["OCC"]
    assert [text for text, _ in look("C=(", as_written=True).spellings] == ["C=("]
    assert len(look("OCCN", others=random_spellings("NCCO", 9, 0)).spellings) > 1
    assert look("C=(").status == "parse"
    unknown = look("CCCl")
    assert unknown.status == "unknown_token"
    assert "'Cl' at character 3" in unknown.reason
    assert look("CCCCCC").reason == "length is 6 tokens, expected at most 5"
    assert look("").status == "empty"


def test_an_interrupted_table_keeps_every_row() -> None:
    tokenizer = Tokenizer(tiny.CHARACTERS)
    entries = [entry(interpret(raw), tokenizer, 5) for raw in ("CCO", "C=(", "CN", "OCC")]
    done = {entries[0].spellings[0][1]: Score(4.0, 0.5, 1.0, 3)}
    frame = score_table.table(entries, done)
    assert frame["status"].tolist() == ["ok", "parse", "not_scored", "ok"]
    assert frame["nats"].notna().tolist() == [True, False, False, True]
    found = score_table.summary(frame)
    assert (found["scored"], found["nats"], found["nats_error"]) == (2, 4.0, 0.0)
    assert found["perplexity"] == pytest.approx(math.exp(4 / 3))

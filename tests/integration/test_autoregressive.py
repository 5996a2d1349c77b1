"""The autoregressive baseline on real networks: cache, guide, company, and training to drawing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

import strings
import tiny
from molgen.diffusion.losses import next_token_nats
from molgen.guidance.classifier import ClassifierTarget
from molgen.guidance.next_token import ClassifierFreeModel, FudgeModel
from molgen.guidance.prefix_classifier import PrefixClassifierScores
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.nn.kv_cache import CachedDenoiser, KVCache
from molgen.nn.language_model import LanguageModel, sequence_log_prob
from molgen.sampling.autoregressive import AutoregressiveSampler
from molgen.sampling.sampler import Job, Samples
from molgen.targets import Range
from molgen.utils.threads import Workers, workers
from property_models.classifiers.network import NoisyClassifier, NoisyClassifierConfig
from strings import MEETS, STRINGS, TARGET, enumerated, given
from tiny import ones

VOCAB, LONGEST = 9, 12
NETWORK = strings.writer(VOCAB, LONGEST, 32, ("qed", "logp"))
WIDE = strings.writer(VOCAB, LONGEST, 256, ("qed", "logp"))


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    with workers(count=2) as pool:
        yield pool


def noisy_guide(longest: int = LONGEST, noise: str = "none") -> NoisyClassifier:
    config = NoisyClassifierConfig(
        labels=["rings", "weight"],
        edges=[[-0.5, 0.5, 1.5, 2.5], [0.0, 1.0, 2.0, 3.0, 5.0, 8.0]],
        mass=[[0.2, 0.5, 0.3], [0.1, 0.2, 0.3, 0.2, 0.2]],
        vocab_size=VOCAB,
        max_position_embeddings=longest,
        hidden_size=32,
        num_layers=2,
        noise=noise,
    )
    return random_weights(NoisyClassifier(config))


def random_weights(classifier: NoisyClassifier) -> NoisyClassifier:
    generator = torch.Generator().manual_seed(1)
    for parameter in classifier.parameters():
        spread = 1.5 * parameter.shape[-1] ** -0.5
        parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    return classifier.eval()


CLASSIFIER = noisy_guide()
RINGS, WEIGHT = (
    ClassifierTarget("rings", 2.0, 2.0),
    ClassifierTarget("weight", Range(0.0, 2.0), 0.5),
)


def rows(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Rows as a network is given them, and conditions of which some are left out."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, VOCAB - 2, (count, LONGEST), generator=generator)
    tokens[:, 0] = VOCAB - 1
    condition = torch.rand(count, 2, generator=generator)
    return tokens, condition.masked_fill(condition < 0.3, float("nan"))


@pytest.mark.parametrize("conditioned", [False, True])
@pytest.mark.parametrize("network", [NETWORK, WIDE])
def test_the_cache_gives_the_logits_of_the_full_forward(
    network: MoleculeDenoiser, conditioned: bool
) -> None:
    tokens, condition = rows(40)
    condition_or_none = condition if conditioned else None
    with torch.inference_mode():
        full = network.logits(tokens, condition_or_none)
        cache = KVCache(network, len(tokens), condition_or_none)
        left = torch.arange(len(tokens))
        for place in range(LONGEST):
            logits = network.head(cache.append(tokens[left, place]))[:, 0]
            expected = full[left, place, : VOCAB - 1]
            assert float((logits[:, : VOCAB - 1] - expected).abs().max()) < 1e-5
            if place % 3 == 1:  # rows leave, the order changes, and one is kept twice
                kept = torch.randperm(len(left))[: len(left) * 2 // 3]
                kept[-1] = kept[0]
                cache.keep(kept)
                left = left[kept]
        with pytest.raises(ValueError, match="row has 13 tokens, expected at most 12"):
            cache.append(tokens[left, 0])
    assert float(full[..., : VOCAB - 1].std()) > 0.1


def test_the_cache_in_bf16_is_near() -> None:
    model = CachedDenoiser(WIDE, dtype="bf16")
    tokens, condition = rows(40)
    with torch.inference_mode():
        full = WIDE.logits(tokens, condition).double().log_softmax(-1)
    prefixes = model.begin(len(tokens), condition)
    for place in range(LONGEST):
        p = prefixes.append(tokens[:, place]).exp()
        assert 0 < float((p - full[:, place].exp()).abs().mean()) < 0.02
        torch.testing.assert_close(p.sum(1), torch.ones(len(p)).double(), atol=1e-12, rtol=0)
        assert (p[:, -1] == 0).all(), "the beginning is never written"


def test_kernels_multiply_to_the_exact_likelihood() -> None:
    network = strings.writer()
    values = torch.full((len(STRINGS), 1), 0.7)
    for condition in (None, values):
        whole = sequence_log_prob(network, STRINGS, condition).exp()
        step_by_step = enumerated(CachedDenoiser(network, dtype="fp32"), condition)
        torch.testing.assert_close(step_by_step, whole, atol=1e-6, rtol=0)


def test_the_guide_read_along_gives_the_candidates_of_its_full_forward() -> None:
    tokens, _ = rows(20)
    with torch.inference_mode():
        full = CLASSIFIER.candidate_log_prob(tokens, [0, 1]).unbind(-2)
        cache = KVCache(CLASSIFIER, len(tokens))
        for place in range(LONGEST):
            x = cache.append(tokens[:, place])
            for index in range(2):
                bins = CLASSIFIER.candidate_bins(CLASSIFIER.place(x), [index])[:, 0, :, 0]
                torch.testing.assert_close(bins, full[index][:, place], atol=1e-5, rtol=1e-5)
    scores = PrefixClassifierScores(CLASSIFIER, [RINGS, WEIGHT], dtype="fp32").begin(len(tokens))
    share = [CLASSIFIER.wanted("rings", 2.0), CLASSIFIER.wanted("weight", Range(0.0, 2.0))]
    for place in range(LONGEST):
        by_hand = sum(
            gamma * (full[k][:, place].double().exp() @ share[k].double()).log()
            for k, gamma in enumerate((2.0, 0.5))
        )
        found = scores.append(tokens[:, place])
        torch.testing.assert_close(found, by_hand, atol=1e-4, rtol=0)


def guided(network: MoleculeDenoiser, dtype: str) -> LanguageModel:
    model = ClassifierFreeModel(CachedDenoiser(network, dtype=dtype), 2.0)
    return FudgeModel(model, PrefixClassifierScores(CLASSIFIER, [RINGS, WEIGHT], dtype=dtype))


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("network", [NETWORK, WIDE])
def test_a_row_gets_the_same_numbers_in_any_company(
    pool: Workers, network: MoleculeDenoiser, dtype: str
) -> None:
    model = guided(network, dtype)
    condition = rows(300, seed=5)[1].numpy()

    def draw(start: int, count: int, batch_size: int) -> dict[int, tuple[list[int], list[float]]]:
        sampler = AutoregressiveSampler(model, pool, batch_size=batch_size)
        part = condition[start : start + count]
        events = sampler.run(Job(ones(count), part, 6, start, record=True)).trajectory
        assert events is not None
        own = {row: events.of(row) for row in range(start, start + count)}
        return {row: (e.token.tolist(), e.probability.tolist()) for row, e in own.items()}

    whole = draw(0, 300, 256)
    assert len({len(tokens) for tokens, _ in whole.values()}) > 5, "rows end at different places"
    for start, count, batch_size in ((0, 300, 97), (41, 130, 33), (7, 3, 1), (290, 10, 256)):
        for row, found in draw(start, count, batch_size).items():
            assert found == whole[row]


def test_forwards_are_counted_where_they_happen(pool: Workers) -> None:
    model = guided(NETWORK, "fp32")
    condition = rows(100)[1].numpy()
    samples = AutoregressiveSampler(model, pool).run(Job(ones(100), condition))
    asked = np.minimum((samples.tokens != VOCAB - 2).sum(1) + 1, LONGEST)
    np.testing.assert_array_equal(samples.nfe, 2 * asked)
    np.testing.assert_array_equal(samples.classifier_nfe, asked)


def test_what_does_not_fit_is_refused() -> None:
    masked = tiny.network()
    with pytest.raises(ValueError, match="noise is 'masked'"):
        CachedDenoiser(masked)
    with pytest.raises(ValueError, match="noise is 'masked'"):
        KVCache(masked, 2)
    with pytest.raises(ValueError, match="the classifier's noise is 'masked'"):
        PrefixClassifierScores(noisy_guide(noise="masked"), [RINGS])
    with pytest.raises(ValueError, match="targets name \\[\\], expected different properties"):
        PrefixClassifierScores(CLASSIFIER, [])
    with pytest.raises(ValueError, match="'rings', 'rings'"):
        PrefixClassifierScores(CLASSIFIER, [RINGS, RINGS])
    with pytest.raises(ValueError, match="target is qed, expected one of the classifier's"):
        PrefixClassifierScores(CLASSIFIER, [ClassifierTarget("qed", "max")])
    with pytest.raises(ValueError, match="gamma is a function of alpha_t"):
        PrefixClassifierScores(CLASSIFIER, [ClassifierTarget("rings", 2.0, lambda alpha: alpha)])
    with pytest.raises(ValueError, match="classifier has 9 tokens and max_length 8"):
        FudgeModel(CachedDenoiser(NETWORK), PrefixClassifierScores(noisy_guide(8), [RINGS]))


YES = given(TARGET * MEETS[0])


@pytest.fixture(scope="module")
def trained() -> MoleculeDenoiser:
    """A network trained on the 15 strings, ends included, on a yes-or-no property or on none."""
    network = strings.writer(longest=strings.LONGEST + 1).train()
    shares = torch.cat([TARGET * MEETS[0], TARGET * (1 - MEETS[0]), TARGET]).float()
    labels = torch.tensor([1.0, 0.0, float("nan")]).repeat_interleave(len(STRINGS))[:, None]
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=250)
    for _ in range(250):
        loss = shares @ next_token_nats(network, STRINGS.repeat(3, 1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def variation(found: Tensor, expected: Tensor) -> float:
    """Total variation distance."""
    return float((found - expected).abs().sum() / 2)


def test_training_and_likelihood_agree(trained: MoleculeDenoiser) -> None:
    yes = torch.ones(len(STRINGS), 1)
    assert variation(sequence_log_prob(trained, STRINGS).exp(), TARGET) < 0.01
    assert variation(sequence_log_prob(trained, STRINGS, yes).exp(), YES) < 0.01
    assert variation(YES, TARGET) > 0.3


ROWS = 10_000
NOISE = 0.03  # variation between 15 true shares and those of 10,000 draws: 0.013 on average


def test_draws_follow_what_was_trained(pool: Workers, trained: MoleculeDenoiser) -> None:
    network = CachedDenoiser(trained)

    def drawn(model: LanguageModel, answer: float | None) -> Tensor:
        condition = None if answer is None else np.full((ROWS, 1), answer, dtype=np.float32)
        return shares(
            AutoregressiveSampler(model, pool, batch_size=ROWS).run(Job(ones(ROWS), condition))
        )

    assert variation(drawn(network, None), TARGET) < NOISE
    assert variation(drawn(network, 1.0), YES) < NOISE
    free, exact, strong = (
        drawn(ClassifierFreeModel(network, gamma), 1.0) for gamma in (0.0, 1.0, 3.0)
    )
    assert variation(free, TARGET) < NOISE
    assert variation(exact, YES) < NOISE
    met = [float(found @ MEETS[0]) for found in (free, exact, strong)]
    assert met[0] + 0.1 < met[1] < met[2] - 0.05


def shares(samples: Samples) -> Tensor:
    """Share of each string among rows, with shape (15,)."""
    short = strings.LONGEST - samples.tokens.shape[1]
    assert short <= 0, "some row is as long as can be"
    same = (samples.tokens[:, None, : strings.LONGEST] == STRINGS.numpy()).all(2)
    return torch.from_numpy(same.mean(0))


@pytest.fixture(scope="module")
def trained_guide() -> NoisyClassifier:
    """A guide of prefixes trained on the 15 strings and the property of :func:`trained`."""
    config = NoisyClassifierConfig(
        labels=["y"],
        edges=[[-0.5, 0.5, 1.5]],
        mass=[[0.5, 0.5]],
        vocab_size=strings.VOCAB,
        max_position_embeddings=strings.LONGEST + 1,
        hidden_size=32,
        num_layers=2,
        noise="none",
    )
    classifier = random_weights(NoisyClassifier(config)).train()
    prefix = torch.nn.functional.pad(STRINGS, (1, 0), value=strings.MASK)
    follows = torch.nn.functional.pad(STRINGS, (0, 1), value=strings.PAD)
    ended = prefix == strings.PAD
    bins = torch.stack([1 - MEETS[0], MEETS[0]], dim=1).float()
    optimiser = torch.optim.Adam(classifier.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=250)
    for _ in range(250):
        candidates = classifier.given(prefix, follows)[1][:, :, 0]
        nats = -(candidates * bins[:, None]).sum(-1).masked_fill(ended, 0.0).sum(1)
        loss = TARGET.float() @ nats
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return classifier.eval()


def test_learned_fudge_is_near_the_exact_conditional(
    trained: MoleculeDenoiser, trained_guide: NoisyClassifier
) -> None:
    network = CachedDenoiser(trained, dtype="fp32")

    def steered(target: float, gamma: float) -> Tensor:
        scores = PrefixClassifierScores(
            trained_guide, [ClassifierTarget("y", target, gamma)], dtype="fp32"
        )
        return enumerated(FudgeModel(network, scores))

    assert variation(steered(1.0, 1.0), YES) < 0.02
    assert variation(steered(0.0, 1.0), given(TARGET * (1 - MEETS[0]))) < 0.02
    assert variation(steered(1.0, 0.0), TARGET) < 0.01
    assert float(steered(1.0, 3.0) @ MEETS[0]) > float(YES @ MEETS[0]) + 0.05

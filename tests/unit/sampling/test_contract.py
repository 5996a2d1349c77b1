"""The contract of every sampler: batch invariance, and a run is a loop over steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

import tiny
from molgen.diffusion import plan
from molgen.diffusion.unmasking_order import EntropyBounded
from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.kernels import ClassifierFree
from molgen.guidance.next_token import ClassifierFreeModel
from molgen.guidance.transition import MaskedTransition, UniformTransition
from molgen.molecules.fate import Fate
from molgen.nn.kv_cache import CachedDenoiser
from molgen.sampling.acceptance import CheckResult
from molgen.sampling.adaptive import AdaptiveSampler
from molgen.sampling.autoregressive import AutoregressiveSampler
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.kernel_sampler import DenseSampler
from molgen.sampling.ordered_sampler import OrderedSampler
from molgen.sampling.retry import Adaptive, Remask, Restart, Retry
from molgen.sampling.sampler import Given, Job, Samples, Stepping
from molgen.utils.arrays import Ids
from molgen.utils.threads import Workers, workers

LENGTHS = np.array([5, 1, 9, 3, 7, 7, 2, 9, 4, 6, 8, 5])
CONDITION = np.linspace(0, 1, 36, dtype=np.float32).reshape(12, 3)
MASKED = MicroBatchedDenoiser(tiny.network(), dtype="fp64")
UNIFORM = MicroBatchedDenoiser(
    tiny.network(time_input=True), dtype="fp64", classes=tiny.network().pad_id
)
CAUSAL = CachedDenoiser(tiny.network(noise="none"), dtype="fp64")
TABLE = tiny.Table()

Build = Callable[[int, Workers], Stepping]  # type: ignore[type-arg]
"""From a batch size and threads to a sampler."""


def check(tokens: Ids, rows: Ids) -> Sequence[CheckResult]:
    """A third of the rows is invalid; few are duplicates."""
    texts = [row[row != TABLE.pad_id] for row in tokens]
    sums = [int(text @ np.arange(1, len(text) + 1)) for text in texts]
    fates = [Fate.INVALID if total % 3 == 0 else Fate.ACCEPTED for total in sums]
    return [CheckResult(str(text), fate) for text, fate in zip(texts, fates, strict=True)]


def events(size: int, pool: Workers) -> Sampler:
    return Sampler(TABLE, plan.Rescale(0.4).plan(20), None, size)


def adaptive(retry: Retry) -> Build:
    def build(size: int, pool: Workers) -> AdaptiveSampler:
        ids = TABLE.mask_id, TABLE.pad_id, TABLE.max_length
        return AdaptiveSampler(events(size, pool), Adaptive(("valid",), 60, retry), check, *ids)

    return build


SAMPLERS: dict[str, Build] = {
    "events": events,
    "ordered": lambda size, pool: OrderedSampler(TABLE, EntropyBounded(1.0), size),
    "masked kernels": lambda size, pool: DenseSampler(
        MaskedTransition(MASKED, ClassifierFree(2.0)), plan.Rescale(0.4).plan(9), pool, None, size
    ),
    "uniform kernels": lambda size, pool: DenseSampler(
        UniformTransition(UNIFORM, ClassifierFree(2.0)), plan.Ancestral().plan(9), pool, None, size
    ),
    "autoregressive": lambda size, pool: AutoregressiveSampler(
        ClassifierFreeModel(CAUSAL, 2.0), pool, batch_size=size
    ),
    "adaptive, restart": adaptive(Restart()),
    "adaptive, remask": adaptive(Remask(0.5)),
}
JOB = Job(LENGTHS, CONDITION, seed=3, first=7)


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    with workers(count=2) as pool:
        yield pool


def row(samples: Samples, i: int) -> tuple[list[int], int, int]:
    own = samples.tokens[i]
    return own[own < 5].tolist(), int(samples.nfe[i]), int(samples.classifier_nfe[i])


def rows(samples: Samples) -> list[tuple[list[int], int, int]]:
    return [row(samples, i) for i in range(len(samples.nfe))]


@pytest.mark.parametrize("name", SAMPLERS)
def test_rows_are_batch_invariant_and_a_prefix_of_more(name: str, pool: Workers) -> None:
    whole = rows(SAMPLERS[name](64, pool).run(JOB))
    assert len({str(tokens) for tokens, *_ in whole}) > 6, "the test would notice nothing otherwise"
    for size, count in ((1, 12), (5, 12), (3, 4)):
        part = replace(JOB, lengths=LENGTHS[:count], condition=CONDITION[:count])
        assert rows(SAMPLERS[name](size, pool).run(part)) == whole[:count]
    other = rows(SAMPLERS[name](64, pool).run(replace(JOB, seed=4)))
    assert other != whole


@pytest.mark.parametrize("name", [name for name in SAMPLERS if "adaptive" not in name])
def test_a_job_continues_an_earlier_one(name: str, pool: Workers) -> None:
    whole = rows(SAMPLERS[name](64, pool).run(JOB))
    rest = replace(JOB, lengths=LENGTHS[5:], condition=CONDITION[5:], first=JOB.first + 5)
    assert rows(SAMPLERS[name](4, pool).run(rest)) == whole[5:]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_run_is_the_loop_over_its_steps(name: str, pool: Workers) -> None:
    sampler = SAMPLERS[name](5, pool)
    reported: list[int] = []
    whole = sampler.run(JOB, lambda ended, samples: reported.extend(ended.tolist()))
    assert sorted(reported) == list(range(12))
    state = sampler.init(JOB)
    ended: dict[int, tuple[list[int], int, int]] = {}
    while not state.over:
        state, info = sampler.step(state)
        assert not set(info.rows.tolist()) & set(ended), "a row ends once"
        ended |= {int(i): row(info.samples, k) for k, i in enumerate(info.rows)}
    assert [ended[i] for i in range(12)] == rows(whole) == rows(state.result())


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_rows_and_bad_arguments(name: str, pool: Workers) -> None:
    sampler = SAMPLERS[name](5, pool)
    none = sampler.run(Job(LENGTHS[:0]))
    assert none.tokens.shape == (0, 0)
    assert none.nfe.shape == none.classifier_nfe.shape == (0,)
    with pytest.raises(ValueError, match="condition has 12 rows, expected 3"):
        Job(LENGTHS[:3], CONDITION)
    if name == "autoregressive":
        with pytest.raises(ValueError, match="given is set, expected None"):
            sampler.run(Job(LENGTHS[:1], given=Given(np.full((1, 5), 6))))
        return
    for lengths in ([0], [3, 99]):
        with pytest.raises(ValueError, match=r"lengths must lie in 1\.\."):
            sampler.run(Job(np.array(lengths)))

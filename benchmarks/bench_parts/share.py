"""The share of sampling that is spent in networks, for each kind of sampler.

The rest is the grammar, guidance, shaping, random numbers and bookkeeping. Times of the worker
threads are added up while a class's method is replaced by one that times it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import molgen
from bench_parts.part import Part, Seconds, scaled, timed
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.nn.joint_block import Sweep
from molgen.nn.kv_cache import CachedRows
from molgen.sampling.settings import from_words
from molgen.targets import Target
from property_models.classifiers.network import NoisyClassifier

ROWS = 96
STEPS = {"remask": "ancestral", "steps": 128}
DRAWN: dict[str, tuple[str, Mapping[str, Target | str], dict[str, object] | None]] = {
    "events": ("qm9", {}, STEPS),
    "cfg": ("qm9", {"qed": "max"}, {**STEPS, "gamma": 2.0}),
    "cbg": ("qm9", {"qed": "0.5.."}, {**STEPS, "gamma": 2.0, "guidance": "cbg"}),
    "joint block": ("qm9", {}, {"joint": "block", "order": "chunks:forwards=4"}),
    "order and grammar (zinc250k)": ("zinc250k", {}, None),
    "autoregressive": ("qm9-ar", {}, {"steps": 128}),
}
NETWORKS: tuple[tuple[type, str], ...] = (
    (MoleculeDenoiser, "read"),
    (MoleculeDenoiser, "heads"),
    (Sweep, "__init__"),
    (Sweep, "read"),
    (Sweep, "put"),
    (CachedRows, "append"),
    (NoisyClassifier, "log_prob"),
    (NoisyClassifier, "candidate_log_prob"),
)


@contextmanager
def network_seconds() -> Iterator[list[float]]:
    """Collect the processor seconds of each forward within the context."""
    found: list[float] = []
    inside = threading.local()
    before = {place: getattr(*place) for place in NETWORKS}

    def timing(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            if getattr(inside, "one", False):  # a method that calls another
                return method(*given, **named)
            inside.one, start = True, time.thread_time()
            try:
                return method(*given, **named)
            finally:
                inside.one = False
                found.append(time.thread_time() - start)

        return run

    for (owner, name), method in before.items():
        setattr(owner, name, timing(method))
    try:
        yield found
    finally:
        for (owner, name), method in before.items():
            setattr(owner, name, method)


def start(size: float) -> Callable[[int], Seconds]:
    """Return the measurement."""
    rows = scaled(ROWS, size)
    models = {name: molgen.load(name) for name, *_ in DRAWN.values()}

    def run(seed: int) -> Seconds:
        seconds = {}
        for case, (name, targets, words) in DRAWN.items():
            model = models[name]
            settings = None if words is None else from_words(words)
            with network_seconds() as forwards:
                seconds[case] = timed(
                    lambda: model.draw(rows, targets, seed, settings=settings),  # noqa: B023
                    rows,
                )
            seconds[f"{case}, networks"] = sum(forwards) / rows
        return seconds

    return run


PART = Part(
    "share of networks",
    "molecule",
    start,
    {f"networks, {case}": (f"{case}, networks", case) for case in DRAWN},
)

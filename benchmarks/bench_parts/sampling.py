"""Samplers of QM9 against a plain loop of the published algorithm, on the same weights.

Same targets, lengths and steps. The speed of the plain loop does not depend on the number of rows
(it always runs whole batches), so it draws fewer. It runs in fp32, as published; molgen in its own
precision, and in fp32 for a comparison of equals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from plain_loop import plain_loop

import molgen
from bench_parts.part import Part, Seconds, scaled, timed
from molgen.diffusion.plan import Ancestral, Rescale, Strategy
from molgen.sampling.settings import from_words
from molgen.targets import Target

STEPS, ROWS, PLAIN_ROWS = 128, 192, 8
TARGETS: dict[str, Target] = {"qed": "max"}
PLAIN: dict[str, tuple[dict[str, Target], float, Strategy]] = {
    "plain loop": ({}, 1.0, Ancestral()),
    "plain loop, cfg": (TARGETS, 3.0, Ancestral()),
    "plain loop, cfg and rescale": (TARGETS, 3.0, Rescale(0.1)),
}
RESCALE = {"remask": "rescale:eta=0.1"}
CBG = {"guidance": "cbg"}
FEW: dict[str, object] = {"joint": "block", "order": "chunks:forwards=4", "grammar": "smiles"}
DRAWN: dict[str, tuple[str, Mapping[str, Target | str], dict[str, object]]] = {
    "unguided": ("qm9", {}, {}),
    "unguided, fp32": ("qm9", {}, {"dtype": "fp32"}),
    "cfg": ("qm9", TARGETS, {"gamma": 3.0}),
    "cfg and rescale": ("qm9", TARGETS, {"gamma": 3.0, **RESCALE}),
    "cbg, amortised": ("qm9", {"qed": "0.5.."}, {"gamma": 3.0, **CBG}),
    "autoregressive with cache": ("qm9-ar", {}, {}),
    "four forwards": ("qm9", {}, FEW),
    "four forwards, conditional": ("qm9", TARGETS, FEW),
}


def start(size: float) -> Callable[[int], Seconds]:
    """Return the measurement."""
    models = {name: molgen.load(name) for name in ("qm9", "qm9-ar")}
    rows, plain_rows, steps = (scaled(count, size) for count in (ROWS, PLAIN_ROWS, STEPS))

    def plain(case: str, seed: int) -> float:
        targets, gamma, remask = PLAIN[case]
        lengths, condition = models["qm9"].prior.draw(targets, plain_rows, seed)
        plan, network = remask.plan(steps), models["qm9"].denoiser
        work = partial(plain_loop, network, plan, lengths, condition, gamma, seed)
        return timed(work, plain_rows)

    def drawn(case: str, seed: int) -> float:
        name, targets, words = DRAWN[case]
        settings = from_words({"remask": "ancestral", "steps": steps, **words})
        return timed(lambda: models[name].draw(rows, targets, seed, settings=settings), rows)

    def run(seed: int) -> Seconds:
        return {case: plain(case, seed) for case in PLAIN} | {
            case: drawn(case, seed) for case in DRAWN
        }

    return run


PART = Part(
    "sampling",
    "molecule",
    start,
    {
        "unguided against the plain loop": ("plain loop", "unguided"),
        "unguided against the plain loop, both fp32": ("plain loop", "unguided, fp32"),
        "cfg against the plain loop": ("plain loop, cfg", "cfg"),
        "cfg and rescale against the plain loop": (
            "plain loop, cfg and rescale",
            "cfg and rescale",
        ),
        "autoregressive with cache against the plain loop": (
            "plain loop",
            "autoregressive with cache",
        ),
        "four forwards against the plain loop": ("plain loop", "four forwards"),
        "four conditional forwards against the plain loop with cfg": (
            "plain loop, cfg",
            "four forwards, conditional",
        ),
        "cbg, amortised, against unguided": ("unguided", "cbg, amortised"),
    },
)

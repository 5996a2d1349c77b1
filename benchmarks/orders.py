"""Orders of unmasking: quality and cost of each, beside ancestral sampling.

    .venv/bin/python benchmarks/orders.py qm9
    .venv/bin/python benchmarks/orders.py qm9 --target ring_count=max --gamma 2
    .venv/bin/python benchmarks/orders.py qm9 --only 'ancestral-*,klass' --n 64 --seeds 0

An order has no number of steps: NFE is the number of forwards a row, guidance counted twice. Every
order is drawn for every seed, and every figure is a mean over seeds with its standard deviation.
Rates are over the N rows requested: *valid*, *unique* (distinct canonical SMILES) and *novel*, by
the strict and the paper count. Compare validity and uniqueness together, and for unguided draws the
*drift*, too: an order that avoids uncertain tokens has the effect of a low temperature. Columns are
those of ``quality.py``.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from quality import DRIFT, Reference, cell, collect, mean, parser_for, spread, target

import molgen
from molgen.diffusion.plan import Ancestral
from molgen.diffusion.unmasking_order import (
    EntropyBounded,
    LargestMargin,
    LeftToRight,
    LowestEntropy,
    Order,
    Random,
    Stable,
)
from molgen.guidance.shaping import Shaping
from molgen.model import Model
from molgen.molecules.conventions import PAPER, STRICT, count
from molgen.molecules.parsing import interpret_all
from molgen.sampling import factory
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.ordered_sampler import OrderedSampler
from molgen.sampling.recipe import resolve
from molgen.sampling.sampler import Job, Samples
from molgen.sampling.settings import Settings
from molgen.utils.progress import each
from property_models import compute

ORDERS: dict[str, Order | int] = {
    "ancestral-128": 128,  # steps
    "ancestral-32": 32,
    "random": Random(),
    "left-to-right": LeftToRight(),
    "margin": LargestMargin(),
    "entropy": LowestEntropy(),
    "entropy-2": LowestEntropy(at_once=2),
    "entropy-4": LowestEntropy(at_once=4),
    "entropy-bounded-0.01": EntropyBounded(0.01),
    "entropy-bounded-0.1": EntropyBounded(0.1),
    "entropy-bounded-0.5": EntropyBounded(0.5),
    "klass": Stable(),
    "klass-0.99-0.001": Stable(confidence=0.99, kl=0.001),
    "klass-0.9-inf": Stable(kl=math.inf),  # confidence alone, from the third forward on
    "surest": Stable(confidence=1.0),  # one at a time
}


def draw(model: Model, order: Order | int, options: argparse.Namespace, seed: int) -> Samples:
    """Draw once.

    Raises:
        ValueError: if the model is not of masked noise.
    """
    steps = order if isinstance(order, int) else 1
    settings = Settings(
        Ancestral(), steps, gamma=options.gamma, batch_size=options.batch_size,
        shaping=Shaping(options.temperature),
    )  # fmt: skip
    recipe = resolve(model, settings, options.target)
    prior_draw = recipe.draw_prior(options.n, seed)
    job = Job(prior_draw.lengths, prior_draw.condition, seed)
    with factory.sampler(recipe) as sampler:
        if not isinstance(sampler, Sampler):
            raise ValueError(f"model is {options.model!r}, expected one under masked noise")
        if not isinstance(order, int):
            ordered = OrderedSampler(sampler.predictor, order, options.batch_size)
            return ordered.run(job)
        return sampler.run(job)


def figures(
    model: Model, order: Order | int, reference: Reference, options: argparse.Namespace, seed: int
) -> dict[str, float]:
    """Draw once and measure."""
    start = time.perf_counter()
    samples = draw(model, order, options, seed)
    seconds = time.perf_counter() - start
    raw = [model.tokenizer.smiles(text) for text in model.texts(samples.tokens)]
    molecules = interpret_all(raw)
    strict, paper = (count(molecules, c, model.training_index) for c in (STRICT, PAPER))
    name = next(iter(options.target), "qed")
    values = compute(list(dict.fromkeys([name, *DRIFT])), [m.smiles for m in molecules])
    found = {
        "valid": strict.valid.mean(),
        "unique": strict.unique.mean(),
        "novel": np.nan if strict.novel is None else strict.novel.mean(),
        "novel paper": np.nan if paper.novel is None else paper.novel.mean(),
        "mean unique": mean(values[name], strict.unique),
        "mean novel": mean(values[name], strict.novel),
        "NFE": samples.nfe.mean(),
        "seconds": seconds,
    }
    if not options.target:
        lengths = (samples.tokens != model.tokenizer.pad_id).sum(1).astype(np.float64)
        values["length"] = np.where(strict.valid, lengths, np.nan)
        found |= reference.drift(values)
    return {key: float(value) for key, value in found.items()}


def measure(model: Model, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row of the table for every order chosen."""
    reference = Reference(model.prior)
    for name in each(options.only, "order"):
        drawn = [figures(model, ORDERS[name], reference, options, seed) for seed in options.seeds]
        row: dict[str, Any] = {"arm": name, "model": options.model, "N": options.n}
        row["seeds"] = " ".join(map(str, options.seeds))
        row["target"] = " ".join(f"{k}={v}" for k, v in options.target.items())
        row["property"] = next(iter(options.target), "qed")
        row["gamma"], row["temperature"] = options.gamma, options.temperature
        yield row | spread(drawn)


PERCENT = {
    "valid": "valid %",
    "unique": "unique (strict) %",
    "novel": "novel (strict) %",
    "novel paper": "novel (paper) %",
}


def markdown(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """Return the table as Markdown: means ± standard deviations over seeds."""
    drift = [key for key in rows[0] if key.startswith("drift") and not key.endswith("sd")]
    name = rows[0]["property"]
    numbers = {"mean unique": f"mean {name} (unique)", "mean novel": f"mean {name} (novel)"}
    header = ["order", "N × seeds", "NFE", *PERCENT.values(), *numbers.values(), *drift]
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    for row in rows:
        cells = [row["arm"], f"{row['N']} × {len(options.seeds)}", cell(row, "NFE", 1, 1)]
        cells += [cell(row, key, 100, 1) for key in PERCENT]
        cells += [cell(row, key, 1, 3) for key in (*numbers, *drift)]
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def main() -> None:
    parser = parser_for(__doc__, list(ORDERS), "order", "orders.csv")
    parser.add_argument(
        "--target", type=lambda text: dict([target(text)]), default={},
        help="PROP=VALUE; none: unguided",
    )  # fmt: skip
    parser.add_argument("--gamma", type=float, default=1.0)
    parser.add_argument("--temperature", type=float, default=1.0)
    options = parser.parse_args()
    rows = collect(measure(molgen.load(options.model), options), options.out)
    print(markdown(rows, options))
    print("\nmean ± standard deviation over seeds; drift in standard deviations of training")


if __name__ == "__main__":
    main()

"""Adaptive compute: retries of failed rows compared at the same budget of forwards.

    .venv/bin/python benchmarks/adaptive.py qm9 --target qed=max --gamma 2
    .venv/bin/python benchmarks/adaptive.py qm9 --n 64 --seeds 0 --budget 40,80 --only 'plain,re*'

``plain`` is one draw a row, ``restart`` the control: a failed row is discarded and drawn again, its
length too (``restart-same-length``: all but the length). The others remask a share of its tokens,
at random or ordered by remasking weights. Rows are retried until they are valid, unique and
strictly novel, or have used the budget; between attempts rows are only parsed and looked up in the
training-set index.

All rates are over the N rows requested, forwards (NFE) are counted over all attempts and both
halves of classifier-free guidance, and the property's mean is over exactly the novel rows. A budget
is an upper bound; the forwards used are the NFE, so compare methods at equal NFE, between budgets
if necessary. Every figure is a mean over seeds with its standard deviation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from quality import cell, collect, integers, mean, parser_for, spread, target

import molgen
from molgen.model import Model
from molgen.molecules.conventions import STRICT, count
from molgen.molecules.parsing import interpret_all
from molgen.sampling import factory
from molgen.sampling.recipe import resolve
from molgen.sampling.retry import Adaptive, Remask, Restart, Retry
from molgen.sampling.sampler import Job
from molgen.sampling.settings import Settings
from molgen.sampling.words import strategy, token_weights
from molgen.utils.progress import each
from property_models import compute

PLAIN, SAME_LENGTH = "plain", "restart-same-length"
METHODS: dict[str, Retry] = {
    PLAIN: Restart(),
    "restart": Restart(),
    SAME_LENGTH: Restart(),
    "random-0.2": Remask(0.2, "random", move=0.2),
    "random-0.4": Remask(0.4, "random", move=0.4),
    "random-0.6": Remask(0.6, "random", move=0.6),
    "psi-0.2": Remask(0.2, "psi", move=0.2),
    "psi-0.4": Remask(0.4, "psi", move=0.4),
    "psi-0.6": Remask(0.6, "psi", move=0.6),
    "quality-0.2": Remask(0.2, "quality", move=0.2),
    "quality-0.4": Remask(0.4, "quality", move=0.4),
    "random-0.3-rising": Remask(0.3, "random", move=0.3, rising=True),
    "psi-0.3-rising": Remask(0.3, "psi", move=0.3, rising=True),
    "quality-0.3-rising": Remask(0.3, "quality", move=0.3, rising=True),
}


def figures(
    model: Model, name: str, budget: int, settings: Settings, options: argparse.Namespace, seed: int
) -> dict[str, float]:
    """Draw once and measure."""
    n, targets = options.n, dict(options.target)
    adaptive = Adaptive(budget=1 if name == PLAIN else budget, retry=METHODS[name])
    start = time.perf_counter()
    recipe = resolve(model, replace(settings, adapt=adaptive), targets)
    prior_draw = recipe.draw_prior(n, seed)

    def redraw(seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
        again = recipe.draw_prior(n, seed)
        return again.lengths, again.condition

    with factory.sampler(recipe) as inner:
        new_prior = None if name == SAME_LENGTH else redraw
        sampler = factory.adaptive_sampler(recipe, inner, new_prior)
        samples = sampler.run(Job(prior_draw.lengths, prior_draw.condition, seed))
    seconds = time.perf_counter() - start
    raw = [model.tokenizer.smiles(text) for text in model.texts(samples.tokens)]
    counted = count(interpret_all(raw), STRICT, model.training_index)
    novel = counted.novel if counted.novel is not None else counted.unique
    measured = next(iter(targets), "qed")
    values = compute([measured], [m.smiles for m in interpret_all(raw)])[measured]
    found = {
        "valid": counted.valid.mean(),
        "unique": counted.unique.mean(),
        "novel": novel.mean(),
        "mean novel": mean(values, novel),
        "NFE": samples.nfe.mean(),
        "novel per 100 NFE": 100 * novel.sum() / samples.nfe.sum(),
        "tries": samples.tries.mean(),
        "seconds": seconds,
    }
    return {key: float(value) for key, value in found.items()}


def measure(model: Model, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row of the table for every method, gamma and budget."""
    head = getattr(model.denoiser, "quality_head", None) is not None
    methods = [name for name in options.only if head or not name.startswith("quality")]
    work = [
        (name, gamma, budget)
        for gamma in options.gamma
        for name in methods
        for budget in (options.budget[:1] if name == PLAIN else options.budget)
    ]
    for name, gamma, budget in each(work, "method"):
        settings = Settings(
            strategy(options.remask), options.steps, token_weights(options.weights), gamma,
            batch_size=options.batch_size,
        )  # fmt: skip
        drawn = [figures(model, name, budget, settings, options, seed) for seed in options.seeds]
        row: dict[str, Any] = {"arm": name, "budget": "" if name == PLAIN else budget}
        row |= {"model": options.model, "N": options.n, "gamma": gamma, "steps": options.steps}
        row["seeds"] = " ".join(map(str, options.seeds))
        row["target"] = " ".join(f"{k}={v}" for k, v in options.target)
        row |= {"remask": options.remask, "weights": options.weights}
        yield row | spread(drawn)


COLUMNS = {
    "NFE": (1, 1), "tries": (1, 2), "valid": (100, 1), "unique": (100, 1), "novel": (100, 1),
    "mean novel": (1, 3), "novel per 100 NFE": (1, 2), "seconds": (1, 1),
}  # fmt: skip
"""Columns shown, with a factor and the number of digits."""


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the table as Markdown: means ± standard deviations over seeds."""
    percent = {"valid": "valid %", "unique": "unique %", "novel": "novel (strict) %"}
    header = ["method", "gamma", "budget", *(percent.get(key, key) for key in COLUMNS)]
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    for row in rows:
        cells = [row["arm"], f"{row['gamma']:g}", str(row["budget"])]
        cells += [cell(row, key, *COLUMNS[key]) for key in COLUMNS]
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def main() -> None:
    parser = parser_for(__doc__, list(METHODS), "method", "adaptive.csv")
    parser.add_argument(
        "--budget", default=[64, 128], type=integers, help="forwards a row may take"
    )
    parser.add_argument("--target", action="append", default=[], type=target, metavar="PROP=VALUE")
    parser.add_argument(
        "--gamma", default=[1.0], type=lambda text: [float(part) for part in text.split(",")]
    )
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--remask", default="ancestral", help="remasking strategy of each draw")
    parser.add_argument("--weights", default="uniform", help="its remasking weights")
    options = parser.parse_args()
    rows = collect(measure(molgen.load(options.model), options), options.out)
    print(markdown(rows))
    print(f"\nN {options.n}, seeds {options.seeds}; mean ± standard deviation over seeds")


if __name__ == "__main__":
    main()

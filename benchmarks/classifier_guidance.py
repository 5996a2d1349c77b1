"""Speed of amortised against exact classifier-based guidance, in one run.

    .venv/bin/python benchmarks/classifier_guidance.py qm9

Three evaluations of ``log p(y | x_t, token l := v)`` by the same classifier, network, rows and
seeds:

    every      exact, one classifier row for each masked position and reachable token, in each step
               that places a token: a plain implementation with this restriction
    placed     exact, only at the positions placed in the step: the same rows token for token, since
               no other position is drawn (molgen's own exact guidance)
    amortised  all candidates in one forward of the classifier's second head

They take turns, so that other load on the machine affects all of them. Molecules a second are rows
drawn over seconds, without loading. Frontiers and hypervolumes of exact against amortised guidance
are those of ``molgen frontier`` (README).
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import molgen
from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.spec import ClassifierBased
from molgen.guidance.transition import MaskedTransition
from molgen.model import Model
from molgen.sampling.kernel_sampler import DenseSampler
from molgen.sampling.recipe import resolve
from molgen.sampling.sampler import Job, Samples
from molgen.sampling.settings import Settings
from molgen.targets import Target, parse_target
from molgen.utils.files import replacing
from molgen.utils.threads import workers

RESULTS = Path("out") / "benchmarks" / "classifier_guidance.csv"
WARM_UP = 32  # rows, not timed


def every(
    model: Model, targets: dict[str, Target], n: int, seed: int, settings: Settings
) -> Samples:
    """Draw with the classifier evaluated at every masked position."""
    lengths, _ = model.prior.draw(targets, n, seed)
    recipe = resolve(model, settings, targets)
    transition = MaskedTransition(MicroBatchedDenoiser(model.denoiser), None, recipe.tilts)
    with workers() as pool:
        plan = settings.remask.plan(settings.steps)
        return DenseSampler(transition, plan, pool, settings.remask_weights).run(
            Job(lengths, None, seed)
        )


def variants(
    model: Model, targets: dict[str, Target], steps: int, gamma: float
) -> dict[str, Callable[[int, int], Samples]]:
    """Return the three variants: (rows, seed) -> samples."""

    def settings(scores: str) -> Settings:
        return model.settings("design", steps=steps, gamma=gamma, guidance=ClassifierBased(scores))

    return {
        "every": lambda n, seed: every(model, targets, n, seed, settings("exact")),
        "placed": lambda n, seed: model.draw(n, targets, seed, settings=settings("exact")),
        "amortised": lambda n, seed: model.draw(n, targets, seed, settings=settings("amortised")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--target", default="ring_count=max", metavar="PROP=VALUE")
    parser.add_argument("--gamma", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    model = molgen.load(options.model)
    name, _, value = options.target.partition("=")
    draws = variants(model, {name: parse_target(value)}, options.steps, options.gamma)
    rows = []
    seconds: dict[str, list[float]] = {label: [] for label in draws}
    for draw in draws.values():
        draw(WARM_UP, 0)
    for seed in range(options.repeats):
        drawn = {}
        for label, draw in draws.items():
            started = time.perf_counter()
            drawn[label] = draw(options.rows, seed)
            seconds[label].append((time.perf_counter() - started) / options.rows)
            found = drawn[label]
            rows.append(
                {
                    "scores": label, "target": options.target, "gamma": options.gamma,
                    "steps": options.steps, "rows": options.rows, "seed": seed,
                    "seconds_per_molecule": seconds[label][-1], "nfe": found.nfe.mean(),
                    "classifier_nfe": found.classifier_nfe.mean(),
                }
            )  # fmt: skip
        same = (drawn["every"].tokens == drawn["placed"].tokens).all(1).mean()
        print(f"seed {seed}: {100 * same:.1f} % of rows alike for every and placed", flush=True)
    for label, each in seconds.items():
        ratios = [a / b for a, b in zip(each, seconds["amortised"], strict=True)]
        print(
            f"{label:10s} {1000 * statistics.median(each):8.1f} ms a molecule, "
            f"{statistics.median(ratios):5.1f} times amortised "
            f"({min(ratios):.1f} to {max(ratios):.1f})"
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(options.out) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()

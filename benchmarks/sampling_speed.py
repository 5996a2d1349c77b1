"""Speed of sampling against a plain loop of the published algorithm, in one run.

    .venv/bin/python benchmarks/sampling_speed.py qm9

Same weights, same targets, same lengths; the samplers take turns, so that other load on the machine
affects all of them. Molecules a second are rows drawn over seconds, without loading. The speed of
the plain loop does not depend on the number of rows (it always runs whole batches), so it draws
fewer.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from plain_loop import plain_loop

import molgen
from molgen.diffusion.plan import Ancestral, Rescale, Strategy
from molgen.model import Model
from molgen.sampling.settings import Settings
from molgen.targets import Target
from molgen.utils.files import replacing
from molgen.utils.threads import bf16_is_fast

RESULTS = Path("out") / "benchmarks" / "sampling_speed.json"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SAMPLERS = (("plain", "fp32"), ("plain", "bf16"), ("molgen", "bf16"), ("molgen", "fp32"))
RATIOS = (
    ("molgen bf16", "plain fp32"),  # first: the headline
    ("molgen bf16", "plain bf16"),
    ("molgen fp32", "plain fp32"),
)
WARM_UP_STEPS = 8


@dataclass(frozen=True)
class Case:
    """One configuration of the draw."""

    name: str
    remask: Strategy
    targets: Mapping[str, Target]
    gamma: float
    rows: int
    """Rows that molgen draws in a repetition, by default; enough to keep its batch full."""
    plain_rows: int
    """Rows that the plain loop draws in a repetition, by default."""


CASES = (
    Case("qed=max, gamma 3, ancestral", Ancestral(), {"qed": "max"}, 3.0, 384, 32),
    Case("qed=max, gamma 3, rescale 0.1", Rescale(0.1), {"qed": "max"}, 3.0, 128, 16),
    Case("unguided, ancestral", Ancestral(), {}, 1.0, 384, 32),
)


@dataclass
class Timing:
    """Repetitions of one sampler in one case."""

    rows: int
    speeds: list[float] = field(default_factory=list)
    """Molecules a second, one for each repetition."""
    nfe: list[float] = field(default_factory=list)
    """Mean forwards a row, likewise."""

    def record(self) -> dict[str, float | int | list[float]]:
        """Return the entry of the results file."""
        return {
            "rows": self.rows,
            "nfe_per_row": round(statistics.mean(self.nfe), 1),
            "molecules_per_second": round(statistics.median(self.speeds), 2),
            "repetitions": [round(speed, 2) for speed in self.speeds],
        }


def draw(
    model: Model, case: Case, sampler: tuple[str, str], steps: int, rows: int, seed: int
) -> tuple[float, float]:
    """Draw once; return molecules a second and the mean forwards a row."""
    kind, dtype = sampler
    start = time.perf_counter()
    if kind == "molgen":
        settings = Settings(case.remask, steps, gamma=case.gamma, dtype=dtype)
        nfe = float(model.draw(rows, case.targets, seed, settings=settings).nfe.mean())
    else:
        lengths, condition = model.prior.draw(case.targets, rows, seed)
        plan = case.remask.plan(steps)
        _, nfe = plain_loop(
            model.denoiser, plan, lengths, condition, case.gamma, seed, DTYPES[dtype]
        )
    return rows / (time.perf_counter() - start), float(nfe)


def compare(
    model: Model, case: Case, steps: int, rows: int, plain_rows: int, repetitions: int
) -> dict[str, Timing]:
    """Run the samplers in turn; return their timings by name."""
    counts = {"plain": plain_rows, "molgen": rows}
    timings = {" ".join(c): Timing(counts[c[0]]) for c in SAMPLERS}
    for sampler in SAMPLERS:
        draw(model, case, sampler, WARM_UP_STEPS, counts[sampler[0]], 0)
    for seed in range(repetitions):
        for sampler in SAMPLERS:
            speed, nfe = draw(model, case, sampler, steps, counts[sampler[0]], seed)
            timing = timings[" ".join(sampler)]
            timing.speeds.append(speed)
            timing.nfe.append(nfe)
    return timings


def ratios(timings: Mapping[str, Timing]) -> dict[str, dict[str, float]]:
    """Return ratios of speeds: their median over repetitions, the lowest and the highest."""
    found = {}
    for over, under in RATIOS:
        pairs = zip(timings[over].speeds, timings[under].speeds, strict=True)
        each = [round(a / b, 2) for a, b in pairs]
        found[f"{over} / {under}"] = {
            "median": statistics.median(each),
            "lowest": min(each),
            "highest": max(each),
        }
    return found


def show(
    case: Case, timings: Mapping[str, Timing], found: Mapping[str, Mapping[str, float]]
) -> None:
    print(f"\n{case.name}")
    print(f"  {'':12} {'N':>5} {'NFE a row':>10} {'molecules/s':>12}   lowest..highest")
    for name, t in timings.items():
        median, spread = statistics.median(t.speeds), f"{min(t.speeds):.2f}..{max(t.speeds):.2f}"
        nfe = statistics.mean(t.nfe)
        print(f"  {name:12} {t.rows:5d} {nfe:10.1f} {median:12.2f}   {spread}")
    for name, r in found.items():
        print(f"  {name}: {r['median']:.1f}x ({r['lowest']:.1f} to {r['highest']:.1f})")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="qm9", help="a bundled name or a folder")
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--rows", type=int, help="rows molgen draws, instead of each case's own")
    parser.add_argument("--plain-rows", type=int, help="rows the plain loop draws, likewise")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    model = molgen.load(options.model)
    threads = torch.get_num_threads()
    print(
        f"{options.model}: T = {options.steps}, {options.repetitions} repetitions, {threads} "
        f"threads, torch {torch.__version__}, native bf16: {bf16_is_fast()}"
    )
    record = {
        "model": options.model,
        "date": time.strftime("%Y-%m-%d"),
        "steps": options.steps,
        "threads": threads,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "native_bf16": bf16_is_fast(),
        "torch": torch.__version__,
        "cases": {},
    }
    for case in CASES:
        rows, plain_rows = options.rows or case.rows, options.plain_rows or case.plain_rows
        timings = compare(model, case, options.steps, rows, plain_rows, options.repetitions)
        found = ratios(timings)
        show(case, timings, found)
        record["cases"][case.name] = {
            "timings": {name: timing.record() for name, timing in timings.items()},
            "ratios": found,
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(options.out) as part:
            part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Speed, part by part, side by side in one run: ``make bench``.

    .venv/bin/python benchmarks/bench.py
    .venv/bin/python benchmarks/bench.py --parts sampling,store --repetitions 5

Prints ratios of processor times, median and range over repetitions, larger is better, and appends
them to a history (``--history``), one JSON object a line. Exit status: 0, or 1 if a ratio is worse
than the best earlier one on this kind of processor by more than both spreads, which is marked.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from bench_parts import chemistry, history, sampling, share, store, training
from bench_parts.history import Run, Spread
from bench_parts.part import Part, Seconds

import molgen

PARTS: dict[str, Part] = {
    part.name: part
    for part in (sampling.PART, share.PART, training.PART, chemistry.PART, store.PART)
}
HISTORY = Path(__file__).parent / "history.jsonl"


def measure(part: Part, size: float, repetitions: int) -> list[Seconds]:
    """Measure a part; the first time is not kept."""
    run = part.start(size)
    run(0)
    return [run(seed) for seed in range(repetitions)]


def describe(size: float, repetitions: int) -> Run:
    """Return what a run was made with."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return {
        "version": molgen.__version__,
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
        "processor": history.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "size": size,
        "repetitions": repetitions,
    }


def show(ratios: dict[str, Spread], earlier: dict[str, Spread], worse: Sequence[str]) -> None:
    """Print the table."""
    print(f"{'':62} {'ratio':>8}   {'range':<18} best before")
    for name, value in ratios.items():
        there = f"{value['lowest']:.3g} to {value['highest']:.3g}"
        before = f"{earlier[name]['median']:.3g}" if name in earlier else "-"
        mark = "   REGRESSION" if name in worse else ""
        print(f"{name:62} {value['median']:8.3g}   {there:<18} {before}{mark}")


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print and append to the history; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS), help="names, between commas")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--size", type=float, default=1.0, help="share of the usual sizes")
    parser.add_argument("--history", type=Path, default=HISTORY)
    options = parser.parse_args(words)
    names = options.parts.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"--parts: {', '.join(unknown)}, expected some of {', '.join(PARTS)}")
    if not 0 < options.size <= 1 or options.repetitions < 1:
        parser.error("expected 0 < --size <= 1 and --repetitions of at least 1")
    run = describe(options.size, options.repetitions)
    ratios: dict[str, Spread] = {}
    seconds: dict[str, float] = {}
    for name in names:
        start = time.perf_counter()
        found = measure(PARTS[name], options.size, options.repetitions)
        ratios |= history.compare(PARTS[name], found)
        medians = {case: statistics.median(each[case] for each in found) for case in found[0]}
        seconds |= {f"{name}: {case}": float(f"{s:.4g}") for case, s in medians.items()}
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    run |= {"ratios": ratios, "seconds": seconds}
    earlier = history.best(run, history.read(options.history))
    worse = history.regressions(ratios, earlier)
    show(ratios, earlier, worse)
    history.append(run, options.history)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs of the benchmark over time, one JSON object a line, and what became slower.

A ratio is a regression if its range lies below the range of the best earlier run: the one with the
largest median on the same kind of processor, with the same size. Each range is that of the
repetitions of one run, so both spreads count.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from bench_parts.part import Part, Seconds

Spread: TypeAlias = dict[str, float]
"""``median``, ``lowest`` and ``highest`` over the repetitions."""
Run: TypeAlias = dict[str, Any]
"""A line of the history; its ``ratios`` are spreads by name."""


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the range of values, to four digits."""
    found = {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def compare(part: Part, repetitions: Sequence[Seconds]) -> dict[str, Spread]:
    """Return the ratios of a part, each within one repetition."""
    return {
        f"{part.name}: {name}": spread([seconds[over] / seconds[under] for seconds in repetitions])
        for name, (over, under) in part.ratios.items()
    }


def processor() -> str:
    """Return the kind of this processor, as far as the system says."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    named = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    kind = (named.get(key, "") for key in ("model name", "cpu family", "model"))
    return " ".join(filter(None, kind)) or platform.processor() or platform.machine()


def read(path: Path) -> list[Run]:
    """Return the runs of a history, the oldest first; none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def append(run: Run, path: Path) -> None:
    """Add a run at the end of a history."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + os.linesep)


def best(run: Run, history: Iterable[Run]) -> dict[str, Spread]:
    """Return the best earlier spread of each ratio, with the processor and size of a run."""
    found: dict[str, Spread] = {}
    for earlier in history:
        if (earlier["processor"], earlier["size"]) != (run["processor"], run["size"]):
            continue
        for name, value in earlier["ratios"].items():
            if name not in found or value["median"] > found[name]["median"]:
                found[name] = value
    return found


def regressions(ratios: Mapping[str, Spread], earlier: Mapping[str, Spread]) -> list[str]:
    """Return the names of ratios that are worse than the best earlier ones, beyond both spreads."""
    return [
        name
        for name, value in ratios.items()
        if name in earlier and value["highest"] < earlier[name]["lowest"]
    ]

"""The record of a run, in words: the request, the goals, the funnel, the commands that repeat it.

A record may come from anyone. Its words become text and are never run.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from molgen.errors import MolgenError
from molgen.molecules.fate import Fate
from molgen.reports.data import Funnel
from molgen.targets import Range, Target, read_targets, split_targets
from molgen.utils.run_record import SUFFIX, RunRecord

TARGET = ("--target", "--score")
DONE = {
    "sample": "Drawn",
    "design": "Designed",
    "search": "Searched",
    "optimize": "Optimized",
    "score": "Scored",
    "evaluate": "Evaluated",
}
SHOWN_OPTIONS = {  # of a record, by label
    "filters": ("--filter",),
    "scaffold": ("--scaffold",),
    "scaffolds of": ("--scaffold-file",),
    "further properties": ("--property",),
}
SETTINGS = ("steps", "remask", "gamma", "guidance", "order", "temperature", "top_p")
"""Settings that say most about a sampler."""
HASH = 12  # characters of a checksum


def option(words: Sequence[str], *names: str) -> list[str]:
    """Return the values of an option, in order."""
    found, rest = [], iter(words)
    for word in rest:
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if name in names:
            found.append(value if equals else next(rest, ""))
    return found


def goals(record: RunRecord) -> dict[str, Target]:
    """Return the targets of a run; those that cannot be read are left out."""
    found: dict[str, Target] = {}
    for word in option(record.words, *TARGET):
        try:
            found |= read_targets(split_targets([word]))
        except MolgenError:
            continue
    return found


def in_words(target: Target) -> str:
    """Return a target in words."""
    if isinstance(target, str):
        return "as high as possible" if target == "max" else "as low as possible"
    if not isinstance(target, Range):
        return f"near {target:g}"
    if target.low == float("-inf"):
        return f"{target.high:g} at most"
    if target.high == float("inf"):
        return f"{target.low:g} at least"
    return f"{target.low:g} to {target.high:g}"


def request(record: RunRecord) -> dict[str, str]:
    """Return what was requested, words by label."""
    found = {"command": f"molgen {record.command}"}
    if record.model is not None:
        found["model"] = f"{record.model.name} (SHA-256 {record.model.sha256[:HASH]}…)"
    if asked := option(record.words, "--n"):
        found["molecules requested"] = asked[-1]
    if wanted := goals(record):
        found["goals"] = "; ".join(f"{name} {in_words(one)}" for name, one in wanted.items())
    for label, names in SHOWN_OPTIONS.items():
        if values := option(record.words, *names):
            found[label] = ", ".join(values)
    if record.seed is not None:
        found["seed"] = str(record.seed)
    settings = {name: record.settings[name] for name in SETTINGS if name in record.settings}
    if settings:
        found["sampling"] = ", ".join(f"{name} {value}" for name, value in settings.items())
    costs = {
        "forwards": "forwards of the network",
        "classifier_forwards": "of the noisy classifier",
        "oracle_calls": "oracle calls",
    }
    spent = [f"{n:,} {text}" for key, text in costs.items() if (n := _whole(record.counts, key))]
    if spent:
        found["cost"] = ", ".join(spent)
    if record.versions:
        found["versions"] = ", ".join(f"{name} {v}" for name, v in record.versions.items())
    return found


def outcome(record: RunRecord, rows: int) -> str:
    """Return the result of a run in a sentence or two."""
    verb = DONE.get(record.command, "Made")
    by = f" with {record.model.name}" if record.model is not None else ""
    drawn = _whole(record.counts, "drawn")
    of = f" from {drawn:,} drawn" if drawn and drawn != rows else ""
    reason = record.reason or "complete"
    end = "The run is complete." if reason == "complete" else f"The run ended early: {reason}."
    return f"{verb}{by}: {rows:,} rows{of}. {end}"


def funnel(record: RunRecord) -> Funnel | None:
    """Return the funnel of a run, None if its record has no fates of rows."""
    fates = record.counts.get("fates")
    if not isinstance(fates, Mapping):
        return None
    counts = {str(name): n for name, n in fates.items() if type(n) is int and n >= 0}
    accepted = counts.pop(str(Fate.ACCEPTED), 0)
    total = accepted + sum(counts.values())
    if not total:
        return None
    return Funnel(total, "rows drawn", counts, accepted, checks=_checks(record.counts))


def _checks(counts: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return how many distinct molecules passed each check of a design."""
    met, distinct = counts.get("met"), _whole(counts, "distinct")
    if not isinstance(met, Mapping) or not distinct:
        return {}
    passed = {str(k): _whole(v, "distinct") for k, v in met.items() if isinstance(v, Mapping)}
    return {name: (n, distinct) for name, n in passed.items()}


def commands(record: RunRecord, out: str) -> dict[str, str]:
    """Return the commands that repeat a run, by label.

    Args:
        record: of the run.
        out: the file that the record is beside.
    """
    words = ["molgen", record.command, *record.words]
    end = words.index("--") if "--" in words else len(words)
    whole = [*words[:end], "--out", out, *words[end:]]
    return {
        "the run": shlex.join(whole),
        "the run, from its record": shlex.join(["molgen", "run", f"{out}{SUFFIX}"]),
    }


def _whole(counts: Any, name: str) -> int:
    value = counts.get(name) if isinstance(counts, Mapping) else None
    return value if type(value) is int else 0

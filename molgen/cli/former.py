"""Former names of commands and options, still accepted."""

from __future__ import annotations

from collections.abc import Sequence

COMMANDS = {"train-guide": "train-classifier"}
OPTIONS = {
    "--tries": "--attempts",
    "--enough": "--stop-after",
    "--propose": "--top-k",
    "--allow-known": "--allow-training-molecules",
    "--guide": "--classifier",
    "--guide-molecules": "--classifier-molecules",
    "--guide-epochs": "--classifier-epochs",
    "--arm": "--method",
    "--pareto": "--aggregate=pareto",
}


def renamed(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with current names."""
    found = []
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        name = COMMANDS.get(name, name) if place == 0 else OPTIONS.get(name, name)
        found.append(name + equals + value)
    return found

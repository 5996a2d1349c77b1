"""Command lines: every command's own options, with good, odd and hostile values.

The options are those of the parsers, so a new one is tried without an edit here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from molgen.cli import build_parser

HOSTILE = (
    *("", " ", "-1", "0", "1", "3", "2.5", "1e309", "nan", "inf", "-inf", "1e-400", "9" * 30),
    *(
        "x",
        "=",
        "a=b=c",
        "..",
        "1..",
        "..1",
        "5..1",
        ",",
        ",,",
        ":",
        ";",
        "é",
        "\udcff",
        "C" * 5000,
    ),
    *("../../etc/passwd", "/", "/dev/null", "/dev/zero", "-", "--", "qed", "qed=max", "qed=5.."),
    *(
        "max",
        "None",
        "true",
        "[]",
        "{}",
        "evil.py:run",
        "smarts:[",
        "hf:a",  # not a repository, which would be asked for
        "hf:",
        "hf:../b@main",
        "a/b",
        "*",
        "\t",
        "\n",
    ),
    *("qed=", "=max", "qed=nan..nan", "qed=.5..;", "loop:", "loop:eta=x", "rescale:eta=nan", "%s"),
)
GOOD = {
    "n": ("1", "2"),
    "target": ("qed=max", "qed=.1..", "logp=0..1", "ring_count=1", "sa=min", "mw=..100"),
    "weight": ("qed=2", "logp=.5"),
    "property": ("qed", "sa", "mw"),
    "filter": ("pains", "brenk", "smarts:[N+]"),
    "gamma": ("1", "2"),
    "steps": ("4", "8"),
    "seed": ("1", "7"),
    "max_draws": ("4",),
    "nfe": ("20",),
    "oracle_calls": ("3",),
    "attempts": ("2",),
    "remask": ("ancestral", "rescale:eta=.1", "cap:eta=.1"),
    "method": ("best-of-n", "metropolis", "smc", "A; remask=ancestral"),
    "scaffold": ("*c1ccccc1", "C1CC1*"),
    "column": ("smiles",),
    "device": ("cpu",),
    "temperature": ("1", ".8"),
    "similarity": (".3",),
    "adapt": ("restart", "remask"),
    "seeds": ("0", "0,1"),
}
SKIPPED = {"help", "version", "command", "model", "file", "leads", "out", "workers", "no_resume"}
BASES = {
    "sample": ("MODEL", "--n", "2", "--steps", "4", "--out", "OUT.csv"),
    "design": ("MODEL", "--n", "2", "--steps", "4", "--max-draws", "8", "--out", "OUT.csv"),
    "search": (
        *("MODEL", "--n", "2", "--steps", "4", "--nfe", "12", "--target", "qed=max"),
        *("--out", "OUT.csv"),
    ),
    "optimize": (
        *("MODEL", "CCO", "--steps", "4", "--attempts", "2", "--target", "qed=max"),
        *("--out", "OUT.csv"),
    ),
    "evaluate": ("FILE",),
    "score": ("MODEL", "FILE", "--out", "OUT.csv"),
    "models": (),
    "train": ("FILE", "--prepare-only", "--out", "OUT"),
    "frontier": (
        *("MODEL", "--property", "qed", "--n", "2", "--seeds", "0", "--steps", "4", "--gamma", "1"),
        *("--method", "A; remask=ancestral", "--out", "OUT"),
    ),
    "scaling": (
        *("MODEL", "--property", "qed", "--n", "2", "--seeds", "0", "--steps", "2,4"),
        *("--method", "A; remask=ancestral", "--out", "OUT"),
    ),
}
"""A command's words that work; a further option overrides an earlier one."""


@dataclass(frozen=True)
class Places:
    """The files that the words name.

    Attributes:
        model: a model folder.
        file: of molecules.
        out: a name without an extension, for outputs.
    """

    model: Path
    file: Path
    out: Path

    def words(self, words: Sequence[str]) -> list[str]:
        """Return words with the placeholders MODEL, FILE and OUT replaced."""
        names = {"MODEL": str(self.model), "FILE": str(self.file)}
        return [
            names.get(word, str(self.out) + word[3:] if word.startswith("OUT") else word)
            for word in words
        ]


def actions(command: str) -> Iterator[argparse.Action]:
    """Yield the options of a command that are tried."""
    (subparsers,) = build_parser()._subparsers._group_actions  # type: ignore[union-attr]
    for action in subparsers.choices[command]._actions:  # type: ignore[index, union-attr, call-overload]
        if action.option_strings and action.dest not in SKIPPED:
            yield action


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Draw a command with up to four further options; now and then a word too few or too many."""
    command = draw(st.sampled_from(sorted(BASES)))
    words = list(BASES[command])
    own = list(actions(command))
    for _ in range(draw(st.integers(0, 4)) if own else 0):
        action = draw(st.sampled_from(own))
        words.append(draw(st.sampled_from(action.option_strings)))
        if action.nargs == 0:
            continue
        good = [*GOOD.get(action.dest, ()), *map(str, action.choices or ())]
        pools = [st.sampled_from(HOSTILE), st.text(max_size=20).filter(lambda t: "\0" not in t)]
        pools += [st.sampled_from(good)] * 3 if good else []
        words.append(draw(st.one_of(pools)))
    trouble = draw(st.integers(0, 9))
    if trouble == 0 and words:
        del words[draw(st.integers(0, len(words) - 1))]
    if trouble == 1:
        words.insert(draw(st.integers(0, len(words))), draw(st.sampled_from(HOSTILE)))
    return [command, *words]

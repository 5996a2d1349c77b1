"""Tokeniser, validation and report against RDKit's own reading and writing of the same strings."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from rdkit import Chem

import molgen
from bench_parts.part import Part, Seconds, molecules, scaled, timed
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import interpret_all

COUNT = 5_000


def rdkit_alone(texts: tuple[str, ...]) -> None:
    """Read every string and write it canonically."""
    with quiet:
        for text in texts:
            mol = Chem.MolFromSmiles(text)
            if mol is not None:
                Chem.MolToSmiles(mol)


def start(size: float) -> Callable[[int], Seconds]:
    """Return the measurement."""
    texts = molecules(scaled(COUNT, size))
    distinct = tuple(dict.fromkeys(texts))
    tokenizer = molgen.load("qm9").tokenizer

    def run(seed: int) -> Seconds:
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.html"
            return {
                "rdkit alone": timed(lambda: rdkit_alone(distinct), len(distinct)),
                "tokeniser": timed(lambda: [tokenizer.encode(t) for t in texts], len(texts)),
                "validation": timed(lambda: interpret_all(distinct), len(distinct)),
                "report": timed(
                    lambda: molgen.report(distinct, page, workers=1, progress=False), len(distinct)
                ),
            }

    return run


PART = Part(
    "chemistry",
    "molecule",
    start,
    {
        f"{case} against rdkit alone": ("rdkit alone", case)
        for case in ("tokeniser", "validation", "report")
    },
)

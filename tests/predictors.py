"""A small table of molecules with a value computed by a rule, for tests of property predictors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from property_models.learned.measured import Measured

RINGS = (
    "C1CC1", "C1CCC1", "C1CCCC1", "C1CCCCC1", "c1ccccc1", "C1CO1", "C1COC1", "c1ccoc1", "C1CCOC1",
    "C1CN1", "C1CCNC1", "c1cc[nH]c1",
)  # fmt: skip
HEADS = ("", "C", "CC", "O", "N", "OC", "NC", "O=CC", "N#CC")
SMILES = tuple(head + ring for ring in RINGS for head in HEADS) + tuple(
    "C" * n + end for n in range(1, 7) for end in ("O", "N", "C=O")
)
"""108 molecules of twelve scaffolds and 18 without rings; some SMILES are not canonical."""


def values(seed: int = 0) -> np.ndarray:
    """Return the number of carbons minus twice that of oxygens, with a little noise."""
    exact = [text.lower().count("c") - 2.0 * text.lower().count("o") for text in SMILES]
    return np.array(exact) + np.random.default_rng(seed).normal(0, 0.1, len(SMILES))


def measured() -> Measured:
    """Return the table in the form in which it is read."""
    from molgen.molecules.parsing import canonical

    distinct = dict(zip(map(canonical, SMILES), values(), strict=True))
    counts = {"rows": len(SMILES), "molecules": len(distinct), "merged": 0, "salts": 0}
    table = tuple(distinct), np.array(list(distinct.values())), counts, 0.0, ()
    return Measured(*table, source="rule.csv")


def write(path: Path) -> Path:
    """Write the table as a CSV with three unusable rows."""
    rows = [f"{text},{y:.4f}" for text, y in zip(SMILES, values(), strict=True)]
    path.write_text("\n".join(["smiles,y", *rows, "c1cc,1", "CCCCCC,", "CCCCCCC,tall"]) + "\n")
    return path

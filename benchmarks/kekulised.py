"""Aromatic against kekulised SMILES: two equal networks on the same molecules.

    .venv/bin/python benchmarks/kekulised.py ../shared/datasets/zinc250k.csv.gz --n 60000 --epochs 2

Kekulised text has no aromatic atoms, so no aromatic system can be impossible; it has more bonds to
write. Both networks see the same molecules in the same order, from the same seed, for the same
number of steps. Rows are one draw each at temperature 1, nothing repaired; drift is the distance of
a property's mean from that of the molecules, in their standard deviations.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem
from rdkit.Chem import QED, Descriptors

import molgen
from molgen.data.dataset import TokenDataset
from molgen.molecules.smiles import split

# ancestral with and without a grammar; token by token, where valences can be read
SAMPLERS: dict[str, dict[str, Any]] = {
    "ancestral": {"order": "none", "remask": "ancestral"},
    "ancestral, smiles": {"order": "none", "remask": "ancestral", "grammar": "smiles"},
    "left to right": {"order": "left-to-right"},
    "left to right, valence": {"order": "left-to-right", "grammar": "valence"},
}


def kekulised(text: str) -> str:
    """Return the canonical text without aromatic atoms."""
    mol = Chem.MolFromSmiles(text)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    return Chem.MolToSmiles(mol, kekuleSmiles=True)


WRITTEN: dict[str, Callable[[str], str]] = {"aromatic": Chem.CanonSmiles, "kekulised": kekulised}


def data_set(texts: list[str], seed: int) -> TokenDataset:
    """Return the texts as a data set without properties."""
    tokens = [split(text) for text in texts]
    vocab = [*sorted({token for row in tokens for token in row}), "[PAD]", "[MASK]"]
    number = {token: i for i, token in enumerate(vocab)}
    ids = [[number[token] for token in row] for row in tokens]
    return TokenDataset.build(ids, {}, vocab, "smiles", seed)


def means(smiles: list[str]) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of QED and the number of rings."""
    mols = [Chem.MolFromSmiles(text) for text in smiles]
    values = {
        "QED": [QED.qed(mol) for mol in mols],
        "rings": [Descriptors.RingCount(mol) for mol in mols],
    }
    return {name: (float(np.mean(v)), float(np.std(v))) for name, v in values.items()}


def main() -> None:
    """Train both, draw, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="a table with a column smiles")
    parser.add_argument("--n", type=int, default=60_000, help="molecules")
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--workers", type=int, help="CPU threads of training")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks/kekulised"))
    given = parser.parse_args()
    texts = pd.read_csv(given.file)["smiles"].str.strip()
    texts = texts.sample(given.n, random_state=0).tolist()
    reference = means(texts[:5000])
    rows = []
    for name, written in WRITTEN.items():
        folder = given.out / name
        folder.mkdir(parents=True, exist_ok=True)
        data = data_set([written(text) for text in texts], seed=0)
        data.save(folder.with_suffix(".npz"))
        begin = time.perf_counter()
        trained = molgen.train(
            folder.with_suffix(".npz"), folder, epochs=given.epochs, batch_size=128, lr=4e-3,
            layers=4, width=128, heads=4, workers=given.workers,
        )  # fmt: skip
        seconds, log = time.perf_counter() - begin, trained.table
        model = molgen.load(folder)
        for sampler, settings in SAMPLERS.items():
            found = [
                model.sample(
                    given.rows, seed=s, steps=given.steps, temperature=1.0, **settings
                ).table
                for s in range(given.seeds)
            ]
            valid = [100 * float((table["status"] == "ok").mean()) for table in found]
            own = means([s for table in found for s in table["smiles"][table["status"] == "ok"]])
            rows.append({
                "text": name,
                "sampler": sampler,
                "tokens": data.lengths.mean(),
                "nats": float(log.iloc[-1, -1]),
                "valid %": f"{np.mean(valid):.1f} ± {np.std(valid, ddof=1):.1f}",
                **{f"{k} drift": abs(own[k][0] - m) / s for k, (m, s) in reference.items()},
                "training s": seconds,
            })  # fmt: skip
            print(pd.DataFrame(rows).to_string(index=False), flush=True)
    pd.DataFrame(rows).to_csv(given.out / "kekulised.csv", index=False)


if __name__ == "__main__":
    main()

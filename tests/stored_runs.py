"""A folder of a comparison with two runs, without a draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from molgen.frontiers.objective import Objective
from molgen.frontiers.store import Record, Run, Store


def records(folder: Path, label: str, name: str) -> tuple[Store, list[Record]]:
    """Two stored runs of a method with a label; the property has a name."""
    store = Store(folder)
    smiles = ["CCO", "CN", "CF"]
    table = pd.DataFrame({"index": range(3), "raw": smiles, "smiles": smiles, "status": "ok"})
    table["unique"] = table["novel"] = table["novel_paper"] = True
    table["nfe"], table["classifier_nfe"], table[name] = 5, 0, np.array([1.0, 2.0, 3.0])
    counted = {"valid": 1.0, "unique": 1.0, "novel": 3, "property_mean": 2.0}
    figures = {
        "nfe": 5.0, "classifier_nfe": 0.0, "seconds_per_molecule": 0.1,
        "conventions": {"strict": counted, "paper": counted},
    }  # fmt: skip
    objective = Objective(name, "max", 3, 0.5, 1)
    made = []
    for gamma in (1.0, 2.0):
        run = Run({"label": label, "model": "m"}, gamma, 8, 0)
        made.append(Record(objective, run, {"model": "0"}, figures))
        store.save(made[-1], table)
    return store, store.records()

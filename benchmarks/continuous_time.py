"""Continuous time against grids of 128 and 4,096 steps, at the same remasking per unit of time.

    python benchmarks/continuous_time.py --n 256 --seeds 0,1,2

Prints means over seeds with standard deviations: valid, novel (strict), rings of the novel,
forwards a row and processor seconds a run, the network included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import pandas as pd

import molgen

STRENGTH, STEPS, MANY = 0.1, 128, 4096
METHODS: Mapping[str, Mapping[str, Any]] = {
    "ancestral": {"remask": "ancestral"},
    "forward-backward": {"remask": "forward-backward"},
    "rescale": {"remask": f"rescale:eta={STRENGTH}"},
}


def variants() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the settings by method and time."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name, words in METHODS.items():
        found[name, f"T={STEPS}"] = {**words, "steps": STEPS}
        # the strength of a step falls with its length, so that the remasking stays the same
        many = f"rescale:eta={STRENGTH * STEPS / MANY}" if name == "rescale" else words["remask"]
        found[name, f"T={MANY}"] = {"remask": many, "steps": MANY}
        found[name, "continuous"] = {**words, "steps": STEPS, "time": "continuous"}
    return found


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qm9")
    parser.add_argument("--n", type=int, default=256)
    parser.add_argument("--seeds", default="0,1,2")
    arguments = parser.parse_args()
    model = molgen.load(arguments.model)
    model.sample(8, remask="ancestral", steps=4, progress=False)  # not timed
    rows = []
    for seed in map(int, arguments.seeds.split(",")):
        for (method, clock), words in variants().items():
            begin = time.process_time()
            settings = {"remask_weights": "uniform", "adapt": None, "grammar": None, **words}
            drawn = model.draw(arguments.n, seed=seed, settings=model.settings(**settings))
            seconds = time.process_time() - begin
            table = model.table(drawn, ["ring_count"])
            rows.append(
                {
                    "method": method,
                    "time": clock,
                    "valid": (table["status"] == "ok").mean(),
                    "novel": table["novel"].mean(),
                    "rings": table.loc[table["novel"], "ring_count"].mean(),
                    "forwards": table["nfe"].mean(),
                    "seconds": seconds,
                }
            )
        groups = pd.DataFrame(rows).groupby(["method", "time"], sort=False)
        print(
            groups.mean().round(4).join(groups.std().round(4).add_suffix("_sd")).to_string(),
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Search by docking against random purchasable molecules, docked alike.

    .venv/bin/python benchmarks/docking_search.py --molecules zinc250k.csv.gz --seeds 0,1,2

A search has a number of calls of the docking program and two goals beside the score: a window of
weight, since larger molecules dock better, and a QED. The comparison is the same number of random
molecules of ZINC250k in the same window and with that QED, docked with the same receptor, box,
seed and exhaustiveness. The figures are the mean score of the ten best of each in kcal/mol (lower
is better), with their difference, and the seconds of a ligand. A search's molecules that miss the
window or the QED cost calls, and are not among its ten best.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from pathlib import Path

import numpy as np

import molgen
from molgen.data.tables import read_table
from property_models import compute, scoring

DOCKING = "dock:DRD2,size=20,exhaustiveness=4,evaluations=100000,isomers=1"
BEST = 10
FIELDS = (
    "seed", "search_best_ten", "random_best_ten", "difference", "search_best", "random_best",
    "search_median", "random_median", "search_fits", "calls", "seconds_a_ligand",
)  # fmt: skip
Scores = np.ndarray


def main() -> None:
    given = arguments()
    rows = []
    for seed in map(int, given.seeds.split(",")):
        with scoring(given.timeout, given.workers):
            rows.append({"seed": seed, **compared(given, seed)})
        print(", ".join(f"{key} {value:.3f}" for key, value in rows[-1].items()), flush=True)
        given.out.parent.mkdir(parents=True, exist_ok=True)
        with open(given.out, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(rows)
    differences = [row["difference"] for row in rows]
    spread = statistics.stdev(differences) if len(rows) > 1 else float("nan")
    print(f"difference {statistics.mean(differences):.2f} ± {spread:.2f} kcal/mol")


def compared(given: argparse.Namespace, seed: int) -> dict[str, float]:
    """Return the figures of a seed."""
    molecules = picked(given, seed)
    start = time.perf_counter()
    random = compute([given.docking], molecules)[given.docking]
    random = np.sort(random[np.isfinite(random)])
    seconds = given.workers * (time.perf_counter() - start) / given.calls
    print(f"random: best ten {random[:BEST].mean():.2f}, {seconds:.1f} s a ligand", flush=True)
    found, fitting, calls = searched(given, seed)
    best, other = float(found[:BEST].mean()), float(random[:BEST].mean())
    return {
        "search_best_ten": best,
        "random_best_ten": other,
        "difference": other - best,
        "search_best": float(found[0]),
        "random_best": float(random[0]),
        "search_median": float(np.median(found)),
        "random_median": float(np.median(random)),
        "search_fits": fitting,
        "calls": calls,
        "seconds_a_ligand": seconds,
    }


def searched(given: argparse.Namespace, seed: int) -> tuple[Scores, int, int]:
    """Return the sorted scores of a search within the window, their number, and the calls."""
    low, high = given.weight
    goals = {given.docking: "min", "qed": f"{given.qed}..", "mw": f"{low}..{high}"}
    found = molgen.search(
        given.model,
        goals,
        given.chains,
        method=given.method,
        oracle_calls=given.calls,
        nfe=100 * given.calls,  # the calls end it
        seed=seed,
        progress=False,
    )
    table = found.table
    fits = (table["qed"] >= given.qed) & table["mw"].between(low, high)
    scores = np.sort(table.loc[fits, given.docking].to_numpy(dtype=np.float64))
    return scores, int(fits.sum()), found.counts.oracle_calls


def picked(given: argparse.Namespace, seed: int) -> list[str]:
    """Return random molecules of the file within the window."""
    smiles = read_table(given.molecules)["smiles"].tolist()
    order = np.random.default_rng(seed).permutation(len(smiles))[: 20 * given.calls]
    some = [smiles[i] for i in order]
    values = compute(["qed", "mw"], some)
    low, high = given.weight
    fits = (values["qed"] >= given.qed) & (values["mw"] >= low) & (values["mw"] <= high)
    return [text for text, yes in zip(some, fits, strict=True) if yes][: given.calls]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="zinc250k")
    parser.add_argument("--molecules", type=Path, required=True, metavar="FILE")
    parser.add_argument("--docking", default=DOCKING, metavar="NAME")
    parser.add_argument("--method", default="surrogate")
    parser.add_argument("--chains", type=int, default=40, help="molecules that a search holds")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--qed", type=float, default=0.6)
    parser.add_argument("--weight", type=float, nargs=2, default=(300.0, 400.0))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=600.0)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks/docking_search.csv"))
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""A joint block trained on data against one trained on the network's own draws, at equal budget.

    .venv/bin/python benchmarks/teacher_draws.py out/teacher_draws ../shared/datasets/qm9.csv.gz

Three sets of as many distinct molecules: of the training data; drawn by the network without a
target; drawn by it with k rings asked, as many rows for each k = 0..7, at ``--gamma``. Draws are
ancestral, 128 steps, and of them the valid ones count, as ``molgen train`` reads a file. For each
set a block of the same network is trained with the same options and seed. Printed are

- nats a token drawn (:func:`molgen.training.few_step.mean_nats`) on the part of each set that was
  held out, of each block and of the product;
- the settings of ``--only`` of ``quality.py``, for each block.

Each file that is in FOLDER already is kept, so an interrupted run goes on. ``--parts`` names what
to do; the sets are drawn first.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from quality import collect, markdown, measure
from quality_settings import SETTINGS

import molgen
from molgen.data.dataset import TokenDataset
from molgen.training.few_step import mean_nats
from molgen.utils.files import replacing

SETS = ("data", "draws", "guided draws")
RINGS = range(8)
SEED = 1000  # of the draws, apart from those of the measurements


def drawn(name: str, rows: int, gamma: float) -> list[str]:
    """Return distinct valid molecules among the network's draws."""
    model = molgen.load("qm9")
    how: dict[str, Any] = {"remask": "ancestral", "steps": 128, "progress": False, "seed": SEED}
    if name == "draws":
        tables = [model.sample(rows, **how).table]
    else:
        each = rows // len(RINGS)
        asked: list[dict[str, Any]] = [{"ring_count": k} for k in RINGS]
        tables = [
            model.sample(each, target, first=i * each, gamma=gamma, **how).table
            for i, target in enumerate(asked)
        ]
    table = pd.concat(tables)
    print(f"{name}: {(table['status'] == 'ok').mean():.1%} of {len(table)} rows valid", flush=True)
    return table.loc[table["status"] == "ok", "smiles"].drop_duplicates().tolist()


def write_sets(options: argparse.Namespace) -> None:
    """Write the molecules of every set, and as many of each for training."""
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in SETS:
        path = options.folder / f"{name} (all).csv"
        if not path.exists():
            data = pd.read_csv(options.data)["smiles"]
            sampled = data.sample(options.rows, random_state=SEED).tolist()
            found = sampled if name == "data" else drawn(name, options.rows, options.gamma)
            with replacing(path) as part:
                pd.DataFrame({"smiles": found}).to_csv(part, index=False)
    sets = {name: pd.read_csv(options.folder / f"{name} (all).csv") for name in SETS}
    least = min(len(table) for table in sets.values())
    print({name: len(table) for name, table in sets.items()}, "used:", least, flush=True)
    for name, table in sets.items():
        chosen = table.sample(least, random_state=SEED)
        chosen.to_csv(options.folder / f"{name}.csv", index=False)


def train(options: argparse.Namespace) -> None:
    """Train a block on every set."""
    for name in SETS:
        molgen.train(
            options.folder / f"{name}.csv",
            options.folder / name,
            few_step="qm9",
            epochs=options.epochs,
            batch_size=options.batch_size,
            held_out=0.1,
            workers=options.workers,
            seed=options.seed,
        )


def nats(options: argparse.Namespace) -> pd.DataFrame:
    """Return nats a token drawn: a row for each set's held-out part, a column for each block."""
    models = {name: molgen.load(options.folder / name) for name in SETS}
    lines = []
    for source in SETS:
        data = TokenDataset.load(options.folder / source / "dataset.npz")
        line: dict[str, Any] = {"held out of": source, "molecules": int(data.held_out.sum())}
        for name, model in models.items():
            network: Any = model.denoiser
            found = mean_nats(data, network, model.joint_block(), options.seed)
            line |= {"product": found["product"], f"block of {name}": found["block"]}
        lines.append(line)
    return pd.DataFrame(lines).round(3)


def quality(options: argparse.Namespace) -> None:
    """Print the figures of ``quality.py`` of every block."""
    rows = []
    for name in SETS:
        options.model = name
        model = molgen.load(options.folder / name)
        found = collect(measure(model, options), options.folder / f"{name} quality.csv")
        rows += [{**row, "setting": f"{name}: {row['setting']}"} for row in found]
    print(markdown(rows, options), flush=True)


def main() -> None:
    """Do the parts that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the sets, blocks and tables")
    parser.add_argument("data", type=Path, help="the training data")
    parser.add_argument("--parts", nargs="+", default=["draw", "train", "nats", "quality"])
    parser.add_argument("--rows", type=int, default=6144, help="rows drawn for a set")
    parser.add_argument("--gamma", type=float, default=1, help="of the guided draws")
    parser.add_argument("--epochs", type=float, default=12)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0, help="of training")
    parser.add_argument("--workers", type=int, help="threads of training")
    parser.add_argument("--n", type=int, default=1024, help="rows of each measurement")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=128, help="of settings with a plan")
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=["few-4", "seven-few-4"])
    options = parser.parse_args()
    if "draw" in options.parts:
        write_sets(options)
    if "train" in options.parts:
        train(options)
    if "nats" in options.parts:
        print(nats(options).to_csv(index=False), flush=True)
    if "quality" in options.parts:
        quality(options)


if __name__ == "__main__":
    main()

"""What training with prefix masks does: nats where blocks need them, and validity of blocks.

    .venv/bin/python benchmarks/prefix_masks.py qm9/dataset.npz out/share-0 out/share-0.15

Each model is a folder of ``molgen train DATASET --prefix-masks SHARE``. Printed are, of its
held-out molecules and without conditions,

- the bound under masks at random places, in nats per molecule given its length (every number of
  masks in turn), and the exact cost of writing from left to right, the rest masked;
- nats a token where the first 0, 25, 50 and 75 % are clean and the rest is masked, averaged over
  the next token, the next four, and all masked ones; last, with as many masks at random places;

and, of ``--n`` rows for each seed, the valid and the distinct ones of every setting, one draw each.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import molgen
from molgen.data.dataset import TokenDataset
from molgen.diffusion import noise
from molgen.diffusion.likelihood import row_bounds, spread
from molgen.diffusion.losses import masked_nll
from molgen.model import Model

CLEAN = (0.0, 0.25, 0.5, 0.75)
SETTINGS: dict[str, dict[str, Any]] = {
    "the whole row, 128 steps": {"steps": 128},
    "blocks of 4, 128 steps": {"steps": 128, "blocks": 4},
    "blocks of 4, 2 steps": {"steps": 2, "blocks": 4},
    "blocks of 1": {"steps": 1, "blocks": 1},
    "chunks, 7 forwards": {"order": "chunks:forwards=7"},
}


@torch.no_grad()
def likelihoods(model: Model, x_0: Tensor) -> dict[str, float]:
    """Return nats per molecule under random masks and from left to right, and nats a token."""
    network: Any = model.denoiser
    real = x_0 != network.pad_id
    lengths = real.sum(1)
    bounds = row_bounds(network, x_0, every_count=True, seed=0)
    in_order = torch.zeros(len(x_0), dtype=torch.float64)
    for n in range(1, int(lengths.max()) + 1):
        counts = lengths.clamp(max=n)
        nll = masked_nll(network, x_0, noise.mask_suffix(real, counts)).double()
        next_token = nll.gather(1, (lengths - counts)[:, None]).squeeze(1)
        in_order += torch.where(lengths >= n, next_token, 0.0)
    found = {"random places": float(bounds.mean()), "left to right": float(in_order.mean())}
    for clean in CLEAN:
        counts = (lengths - (lengths * clean).floor().long()).clamp(min=1)
        begin = (lengths - counts)[:, None]
        nll = masked_nll(network, x_0, noise.mask_suffix(real, counts))
        at = torch.arange(x_0.shape[1])
        for name, tokens in (("next", 1), ("next 4", 4), ("rest", x_0.shape[1])):
            part = real & (at >= begin) & (at < begin + tokens)
            found[f"{clean:.0%} clean, {name}"] = float(nll[part].double().mean())
        random = noise.mask_exactly(x_0, real, counts, torch.Generator().manual_seed(1))
        nll = masked_nll(network, x_0, random)
        found[f"{clean:.0%} clean, random places"] = float(nll[random].double().mean())
    return found


def held_out(path: Path, molecules: int) -> Tensor:
    """Return rows of the held-out part, evenly spread, shape (molecules, longest)."""
    data = TokenDataset.load(path)
    rows = spread(np.flatnonzero(data.held_out), molecules)
    return torch.from_numpy(data.tokens[rows, : data.lengths[rows].max()].astype(np.int64))


def drawn(model: Model, n: int, seeds: list[int]) -> list[dict[str, Any]]:
    """Return the shares of valid and of distinct rows of each setting, with their spread."""
    lines = []
    for name, settings in SETTINGS.items():
        own = {"remask": "ancestral", **settings}
        tables = [model.sample(n, seed=seed, progress=False, **own).table for seed in seeds]
        line: dict[str, Any] = {"setting": name}
        for column, values in (
            ("valid", [(table["status"] == "ok").mean() for table in tables]),
            ("unique", [table["unique"].mean() for table in tables]),
        ):
            line[column] = f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f}"
        line["forwards"] = round(float(np.mean([table["nfe"].mean() for table in tables])), 1)
        lines.append(line)
        print(line, flush=True)
    return lines


def main() -> None:
    """Measure every model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="a dataset.npz with a held-out part")
    parser.add_argument("models", nargs="+", help="folders")
    parser.add_argument("--molecules", type=int, default=2048, help="held out, for nats")
    parser.add_argument("--n", type=int, default=512, help="rows of each draw; 0 for none")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    x_0 = held_out(options.data, options.molecules)
    models = {name: molgen.load(name) for name in options.models}
    table = pd.DataFrame({name: likelihoods(model, x_0) for name, model in models.items()})
    print(table.round(3).to_string(), flush=True)
    for name, model in models.items() if options.n else ():
        print(name, pd.DataFrame(drawn(model, options.n, options.seeds)).to_string(), sep="\n")


if __name__ == "__main__":
    main()

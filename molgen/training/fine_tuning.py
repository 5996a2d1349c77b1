"""Fine-tuning on a chemist's own series: measuring learning and forgetting.

Training a model further on 50 to 5,000 molecules moves its distribution towards them and away from
its own training data. Both are measured, before and after, on the same rows under the same noise:

    learned   = bound(series, held out)        before - after
    forgotten = bound(the original's molecules) after - before

in nats per molecule given its length (lengths are drawn from a table, which is replaced). A bundled
model has no training data; they are replaced by the distinct valid molecules among draws of the
original with a fixed seed. These are likelier under it than its data, so only the difference is
meaningful. Draws of both models are compared too: fractions valid, unique, novel and in either set,
and similarity to the series.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from molgen.checkpoints.card import DATA, DRAWN, rewrite
from molgen.checkpoints.files import CLASSIFIER, find
from molgen.checkpoints.folder import read_info
from molgen.data.dataset import TokenDataset
from molgen.diffusion.likelihood import row_bounds, spread
from molgen.model import Model
from molgen.molecules.fingerprints import fingerprints, nearest_similarity
from molgen.molecules.training_index import TrainingIndex
from molgen.nn.denoiser import noise_of
from molgen.training.prepared import short_name
from molgen.utils.files import replacing, staged
from molgen.utils.threads import Workers, resolve_dtype, workers
from property_models import compute
from property_models.scorers import joined

if TYPE_CHECKING:
    import pandas as pd


REPORT = "fine_tuning.json"
ROWS, SEED = 128, 0  # drawn from each model
COMPARED = 128  # molecules of each set for likelihoods
NOISINGS = 8  # of each of them
CHUNK = 64  # rows of a forward, fewer than the molecules, for several cores


def conclude(
    original: Model,
    folder: Path,
    data: TokenDataset,
    places: Sequence[Path] = (),
    device: str = "cpu",
    dtype: str = "auto",
    threads: int = 0,
    named: Collection[str] = (),
) -> dict[str, Any]:
    """Measure a fine-tuned model against its original, and write it into its folder and card.

    The original's classifier is copied: the vocabulary is the same.

    Args:
        original: the model before.
        folder: of the run, with the model after.
        data: the series.
        places: further folders that the model was written to.
        device: of the measurements.
        dtype: of the matrix products.
        threads: on a CPU; 0 means one per core.
        named: properties that the user named, which may be user functions.

    Returns:
        The content of ``molgen.json``, with the results under ``measured.fine_tuning``.
    """
    tuned = Model.load(folder)
    settings = {"device": device, "dtype": dtype}
    with workers(device, threads) as pool:
        found = compare(original, tuned, data, pool, settings, named)
    for place in dict.fromkeys((folder, *places)):
        if original.folder and find(original.folder, CLASSIFIER).is_dir():
            with staged(place / CLASSIFIER) as aside:
                shutil.copytree(find(original.folder, CLASSIFIER), aside, dirs_exist_ok=True)
        info = read_info(place)
        info["measured"] = {**info["measured"], "fine_tuning": found}
        for name, content in ((REPORT, found), ("molgen.json", info)):
            with replacing(place / name) as part:
                part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        rewrite(place)
    return info


def compare(
    original: Model,
    tuned: Model,
    data: TokenDataset,
    pool: Workers,
    settings: Mapping[str, str],
    named: Collection[str] = (),
) -> dict[str, Any]:
    """Return measurements of learning and forgetting of a fine-tuned model.

    Args:
        original: the model before.
        tuned: the model after.
        data: the series.
        pool: threads to measure likelihoods on.
        settings: ``device`` and ``dtype``.
        named: see :func:`conclude`.
    """
    models = {"before": original, "after": tuned}
    texts = np.array([tuned.tokenizer.smiles(tuned.tokenizer.decode(row)) for row in data.tokens])
    fresh = data.representation == "selfies"  # else the texts are canonical already
    parts = {
        name: TrainingIndex.from_smiles(texts[rows].tolist(), fresh, inchi=False)
        for name, rows in (("training", ~data.held_out), ("held_out", data.held_out))
    }
    changes: dict[str, Any] = dict(settings)
    tables = {
        name: model.sample(ROWS, seed=SEED, **changes).table for name, model in models.items()
    }
    source, reference = reference_molecules(original, tables["before"])
    sets = {
        "series, held out": ids(data, data.held_out),
        "series, trained on": ids(data, ~data.held_out),
        source: reference,
    }
    series = parts["training"].union(parts["held_out"])
    in_original = (
        original.training_index.contains(texts.tolist())
        if original.training_index
        else np.zeros(0, bool)
    )
    return {
        "original": short_name(original),
        "stopped": "stopping" in tuned.info,
        "length_included": noise_of(tuned.denoiser) == "none",
        "training": int((~data.held_out).sum()),
        "held_out": int(data.held_out.sum()),
        "known_before": int(in_original.sum()),
        "forgotten_on": source,
        "likelihood": [
            {"molecules": name, **change(models, rows, pool, settings)}
            for name, rows in sets.items()
            if len(rows)
        ],
        "draws": {
            "rows": ROWS,
            "seed": SEED,
            **{
                k: counts(t, original.training_index, parts, series, texts)
                for k, t in tables.items()
            },
        },
        "properties": means(data, tables, named),
    }


def reference_molecules(original: Model, drawn: pd.DataFrame) -> tuple[str, list[list[int]]]:
    """Return the source of molecules to measure forgetting on, and their ids.

    These are the held-out part of the original's data set if its folder has it, else its draws.
    """
    path = original.folder / "dataset.npz" if original.folder else None
    if path is not None and path.is_file():
        data = TokenDataset.load(path)
        if tuple(original.tokenizer.vocab) == data.vocab and data.held_out.any():
            return DATA, ids(data, data.held_out)
    fine = drawn[(drawn["status"] == "ok") & drawn["unique"]]
    texts = fine["tokens" if "tokens" in fine else "raw"]
    return DRAWN, [original.tokenizer.encode(text) for text in texts]


def ids(data: TokenDataset, marks: NDArray[np.bool_]) -> list[list[int]]:
    """Return the ids of at most :data:`COMPARED` marked rows, evenly spaced over the data set."""
    rows = spread(np.flatnonzero(marks), COMPARED)
    return [data.tokens[row, : data.lengths[row]].tolist() for row in rows]


def change(
    models: Mapping[str, Model],
    rows: Sequence[Sequence[int]],
    pool: Workers,
    settings: Mapping[str, str],
) -> dict[str, Any]:
    """Return the bound of the same rows before and after, and the difference with its error."""
    found = {name: nats(model, rows, pool, settings) for name, model in models.items()}
    difference = found["after"] - found["before"]
    return {
        "count": len(rows),
        **{name: float(values.mean()) for name, values in found.items()},
        "change": float(difference.mean()),
        "error": float(difference.std() / math.sqrt(len(difference))),
    }


def nats(
    model: Model, rows: Sequence[Sequence[int]], pool: Workers, settings: Mapping[str, str]
) -> NDArray[np.float64]:
    """Return the bound of each row given its length, shape (rows,), under fixed noise."""
    import torch

    device = torch.device(settings["device"])
    half = resolve_dtype(settings["dtype"], settings["device"]) is torch.bfloat16
    network: Any = model.denoiser
    network.to(device)

    def bounds(start: int) -> NDArray[np.float64]:
        part = [torch.tensor(row) for row in rows[start : start + CHUNK]]
        x_0 = torch.nn.utils.rnn.pad_sequence(part, True, network.pad_id).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            return row_bounds(network, x_0, False, SEED + start, NOISINGS).cpu().numpy()

    return np.concatenate(list(pool.map(bounds, range(0, len(rows), CHUNK))))


def counts(
    table: pd.DataFrame,
    original: TrainingIndex | None,
    parts: Mapping[str, TrainingIndex],
    series: TrainingIndex,
    texts: NDArray[np.str_],
) -> dict[str, float | None]:
    """Return the statistics of draws, as fractions of all rows."""
    smiles, unique = table["smiles"].tolist(), table["unique"].to_numpy()
    valid = (table["status"] == "ok").to_numpy()
    before = original.contains(smiles) if original else np.zeros(len(table), dtype=bool)
    own = {name: valid & part.contains(smiles) for name, part in parts.items()}
    rows = {
        "valid": valid,
        "unique": unique,
        "novel": unique & ~before & ~series.contains(smiles),
        "in_training": own["training"],
        "in_held_out": own["held_out"],
        "in_original": valid & before,
    }
    found: dict[str, float | None] = {name: float(marks.mean()) for name, marks in rows.items()}
    drawn = fingerprints(table.loc[unique, "smiles"].tolist())
    return {
        **found,
        "nearest_similarity": mean(nearest_similarity(drawn, fingerprints(texts.tolist()))),
        "nfe": float(table["nfe"].mean()),
    }


@joined()
def means(
    data: TokenDataset, tables: Mapping[str, pd.DataFrame], named: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Return the mean of each property over the series and over distinct valid draws.

    A measured property has no mean over draws, nor has a function that the user has not named:
    functions named in a file are never run.
    """
    found = []
    for i, name in enumerate(data.properties):
        entry: dict[str, Any] = {"property": name, "series": mean(data.values[:, i])}
        for when, table in tables.items():
            try:
                smiles = table.loc[table["unique"], "smiles"].tolist()
                drawn = compute([name], smiles, functions=name in named)[name]
            except ValueError:
                continue
            entry[when] = mean(drawn)
        found.append(entry)
    return found


def mean(values: NDArray[np.floating]) -> float | None:
    """Return the mean of the values that are not NaN, None if there are none."""
    finite = values[~np.isnan(values)].astype(np.float64)
    return float(finite.mean()) if len(finite) else None

"""Validity, novelty, property, drift and cost of each setting of the sampler.

    .venv/bin/python benchmarks/quality.py qm9
    .venv/bin/python benchmarks/quality.py qm9 --only 'ancestral,rescale-*' --n 256 --seeds 0

Every setting is drawn for every seed, and every figure is a mean over seeds with its standard
deviation. All rates are over the N rows requested: no row is repaired, filtered or replaced.

- *valid*: one sanitised fragment. *unique*: distinct canonical SMILES. *novel* (strict): those not
  in the training set. *novel (paper)*: distinct raw strings that are no canonical SMILES of the
  training set; a training molecule written as another string counts, so it is the larger number.
- the *property* is the target's, or QED where there is none: its mean over the distinct valid
  molecules, and over the novel ones of either count.
- *hypervolume* (with a target): of the point (novel by the strict count, mean of these), from (0,
  data mean), scaled to 1,024 rows.
- *quality*: unique with QED >= 0.6 and SA <= 4.
- *CPU*: seconds of all threads.
- *drift* (unguided settings alone): Wasserstein distance between the valid rows and the training
  molecules, in standard deviations of training; ``length`` is in tokens of the raw string. The
  setting ``training`` draws from the training table itself: the contribution of sampling noise.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from quality_settings import SETTINGS, Setting

import molgen
from molgen.data.prior import Prior
from molgen.model import Model
from molgen.molecules.conventions import PAPER, STRICT, count, wasserstein
from molgen.molecules.parsing import interpret_all
from molgen.sampling.settings import OPTIONS, Settings
from molgen.utils.files import replacing
from molgen.utils.progress import each
from property_models import compute

# Not results/, so that a partial run cannot replace a measured table.
RESULTS = Path("out") / "benchmarks"
Floats = NDArray[np.float64]
DRIFT = ("qed", "logp", "mw", "ring_count")  # and the length
QUANTILES = 20_000  # points that approximate the training table's distribution
TRAINING = "training"
ROWS = 1024  # that a hypervolume is scaled to


class Reference:
    """The training molecules' distribution, from the table in the checkpoint."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        names = [name for name in DRIFT if name in prior.properties]
        columns = {name: prior.values[:, prior.properties.index(name)] for name in names}
        columns["length"] = prior.lengths.astype(np.float64)
        self.quantiles = {name: quantiles(v, prior.weight) for name, v in columns.items()}

    def mean(self, name: str) -> float:
        """Return the mean of a property, NaN if the table has no such property."""
        return float(self.quantiles[name].mean()) if name in self.quantiles else float("nan")

    def drift(self, values: Mapping[str, Floats]) -> dict[str, float]:
        """Return each distance in standard deviations of training."""
        return {
            f"drift {name}": wasserstein(values[name], q) / float(q.std())
            for name, q in self.quantiles.items()
        }


def quantiles(values: Floats, weight: Floats) -> Floats:
    """Return evenly spaced quantiles of a weighted sample, shape (QUANTILES,).

    The table has all extremes of every property and a sample of the rest, hence its weights.
    """
    present = ~np.isnan(values)
    order = np.argsort(values[present])
    cdf = np.cumsum(weight[present][order])
    at = (np.arange(QUANTILES) + 0.5) / QUANTILES * cdf[-1]
    return values[present][order][np.searchsorted(cdf, at).clip(max=len(order) - 1)]


def training_row(reference: Reference, n: int, seed: int) -> dict[str, float]:
    """Return the figures of rows drawn from the training table: the floor of the drift."""
    prior = reference.prior
    chance = prior.weight / prior.weight.sum()
    rows = np.random.default_rng(seed).choice(len(chance), n, p=chance)
    values = {name: prior.values[rows, i] for i, name in enumerate(prior.properties)}
    mean = float(np.nanmean(values["qed"])) if "qed" in values else float("nan")
    drift = reference.drift({**values, "length": prior.lengths[rows].astype(np.float64)})
    return {"mean unique": mean, **drift}


def figures(
    model: Model, setting: Setting, reference: Reference, settings: Settings, n: int, seed: int
) -> dict[str, float]:
    """Draw once and measure."""
    start, busy = time.perf_counter(), time.process_time()
    samples = model.draw(n, setting.targets, seed, settings=settings)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    raw = [model.tokenizer.smiles(text) for text in model.texts(samples.tokens)]
    molecules = interpret_all(raw)
    strict, paper = (count(molecules, c, model.training_index) for c in (STRICT, PAPER))
    name = next(iter(setting.targets), "qed")
    names = list(dict.fromkeys([name, *DRIFT, "qed", "sa"]))
    values = compute(names, [m.smiles for m in molecules])
    found = {
        "valid": strict.valid.mean(),
        "unique": strict.unique.mean(),
        "novel": np.nan if strict.novel is None else strict.novel.mean(),
        "novel paper": np.nan if paper.novel is None else paper.novel.mean(),
        "mean unique": mean(values[name], strict.unique),
        "mean novel": mean(values[name], strict.novel),
        "mean novel paper": mean(values[name], paper.novel),
        "NFE": samples.nfe.mean(),
        "seconds": seconds,
        "CPU": busy,
        "quality": (strict.unique & (values["qed"] >= 0.6) & (values["sa"] <= 4)).mean(),
    }
    if setting.targets and strict.novel is not None:
        gain = found["mean novel"] - reference.mean(name)
        found["hypervolume"] = ROWS * found["novel"] * gain if strict.novel.any() else 0.0
    if not setting.targets:
        lengths = (samples.tokens != model.tokenizer.pad_id).sum(1).astype(np.float64)
        values["length"] = np.where(strict.valid, lengths, np.nan)
        found |= reference.drift(values)
    return {key: float(value) for key, value in found.items()}


def mean(values: Floats, marks: NDArray[np.bool_] | None) -> float:
    """Return the mean of the marked values, NaN where none is marked."""
    return float(values[marks].mean()) if marks is not None and marks.any() else float("nan")


def measure(model: Model, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row of the table for every setting chosen."""
    reference = Reference(model.prior)
    for name in each(options.only, "setting"):
        setting = SETTINGS.get(name, Setting())
        settings = setting.settings(model, options.steps, options.batch_size)
        if name == TRAINING:
            drawn = [training_row(reference, options.n, seed) for seed in options.seeds]
        else:
            drawn = [
                figures(model, setting, reference, settings, options.n, seed)
                for seed in options.seeds
            ]
        row = describe(name, setting, settings, options)
        yield row | spread(drawn)


def spread(drawn: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean and, as ``KEY sd``, the standard deviation over seeds of every figure."""
    found = {}
    for key in drawn[0]:
        column = np.array([figures[key] for figures in drawn])
        found[key] = float(column.mean())
        found[f"{key} sd"] = float(column.std(ddof=1)) if len(column) > 1 else float("nan")
    return found


def describe(
    name: str, setting: Setting, settings: Settings, options: argparse.Namespace
) -> dict[str, Any]:
    """Return the columns of the setting, the draw and the count of novelty."""
    row: dict[str, Any] = {"setting": name, "model": options.model, "N": options.n}
    row["seeds"] = " ".join(map(str, options.seeds))
    row["target"] = " ".join(f"{k}={v}" for k, v in setting.targets.items())
    row["property"] = next(iter(setting.targets), "qed")
    row["novel by"] = "strict over N; paper over N"
    if name != TRAINING:
        for key in ("steps", "remask", "weights", "gamma"):
            row[key] = getattr(settings, OPTIONS[key].name) or "uniform"  # weights may be None
        row["temperature"] = settings.shaping.temperature
    return row


PERCENT = {
    "valid": "valid %",
    "unique": "unique (strict) %",
    "novel": "novel (strict) %",
    "novel paper": "novel (paper) %",
    "quality": "quality %",
}
NUMBERS = (
    *("mean unique", "mean novel", "mean novel paper"),
    *("hypervolume", "NFE", "seconds", "CPU"),
)


def markdown(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """Return the table as Markdown: means ± standard deviations over seeds."""
    drift = [key for key in rows[0] if key.startswith("drift") and not key.endswith("sd")]
    drift = drift or [f"drift {name}" for name in (*DRIFT, "length")]
    header = ["setting", "N × seeds", "T", *PERCENT.values(), "property", *NUMBERS, *drift]
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    for row in rows:
        cells = [row["setting"], f"{row['N']} × {len(options.seeds)}", str(row.get("steps", ""))]
        cells += [cell(row, key, 100, 1) for key in PERCENT]
        cells.append(row["target"] or row["property"])
        cells += [cell(row, key, 1, 3 if key.startswith("mean") else 1) for key in NUMBERS]
        cells += [cell(row, key, 1, 3) for key in drift]
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def cell(row: Mapping[str, Any], key: str, scale: float, digits: int) -> str:
    """Return ``mean ± sd``, empty where there is none."""
    value, spread = row.get(key, np.nan) * scale, row.get(f"{key} sd", np.nan) * scale
    if np.isnan(value):
        return ""
    return f"{value:.{digits}f}" + ("" if np.isnan(spread) else f" ± {spread:.{digits}f}")


def write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the rows; a figure that a setting lacks is an empty cell."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            texts = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow({k: "" if v == "nan" else v for k, v in texts.items()})


def integers(text: str) -> list[int]:
    """Read whole numbers with commas."""
    return [int(part) for part in text.split(",")]


def parser_for(doc: str, names: Sequence[str], kind: str, out: str) -> argparse.ArgumentParser:
    """Return the options shared by comparisons.

    Args:
        doc: of the script; its first line describes it.
        names: of the things compared.
        kind: the noun for one of them.
        out: file of the table.
    """

    def chosen(text: str) -> list[str]:
        patterns = [part.strip() for part in text.split(",")]
        unknown = [p for p in patterns if not any(fnmatchcase(name, p) for name in names)]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"no {kind} {unknown[0]!r}; there are {', '.join(names)}"
            )
        return [name for name in names if any(fnmatchcase(name, p) for p in patterns)]

    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("model", nargs="?", default="qm9", help="a bundled name or a folder")
    parser.add_argument("--n", type=int, default=1024, help="rows of each draw")
    parser.add_argument("--seeds", default=[0, 1, 2], type=integers)
    parser.add_argument("--batch-size", type=int, default=256, help="rows in a batch (speed only)")
    parser.add_argument("--only", type=chosen, default="*", help="names or patterns, with commas")
    parser.add_argument("--out", type=Path, default=RESULTS / out)
    return parser


def target(text: str) -> tuple[str, str]:
    """Read ``PROP=VALUE``."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"target is {text!r}, expected PROP=VALUE")
    return name, value


def collect(rows: Iterable[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """Return the rows, written after each one, so that an interrupted run leaves a part."""
    found = []
    for row in rows:
        found.append(row)
        write_csv(found, path)
    return found


def main() -> None:
    parser = parser_for(__doc__, [*SETTINGS, TRAINING], "setting", "quality.csv")
    parser.add_argument("--steps", type=int, default=128)
    options = parser.parse_args()
    rows = collect(measure(molgen.load(options.model), options), options.out)
    print(markdown(rows, options))
    print("\nmean ± standard deviation over seeds; drift in standard deviations of training")


if __name__ == "__main__":
    main()

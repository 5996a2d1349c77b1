"""Measure a file of molecules, by every convention asked for.

Reads the column raw, else smiles, else the one named. Every rate divides by what its convention
divides by; molgen's own, strict, divides by all rows.

Example:
  molgen evaluate samples.csv --train qm9
  molgen evaluate samples.csv --train qm9 --conventions strict,paper --property qed --json
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from molgen.known import KnownMolecules
    from molgen.metrics import Count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", metavar="FILE", help="csv, parquet, smi or txt; may be gzipped")
    parser.add_argument("--column", metavar="C", help="the column to read")
    parser.add_argument(
        "--train",
        metavar="MODEL_OR_FILE",
        help="what counts as known: a model's training set, or a file of SMILES",
    )
    parser.add_argument(
        "--reference", metavar="FILE", help="molecules to compare property distributions with"
    )
    parser.add_argument(
        "--conventions",
        default="strict,paper",
        metavar="LIST",
        help="of strict, paper, moses, guacamol (default: strict,paper)",
    )
    parser.add_argument(
        "--property",
        action="append",
        default=[],
        metavar="PROP",
        help="report this property too; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return the exit status."""
    from molgen.evaluation import evaluate
    from molgen.metrics import MOSES, convention, count, wasserstein
    from molgen.molecules import interpret_all
    from molgen.moses import describe
    from property_models.descriptors import compute, get

    conventions = [convention(name.strip()) for name in arguments.conventions.split(",")]
    for name in arguments.property:
        get(name)
    raw = texts(arguments.file, arguments.column)
    others = texts(arguments.reference, None) if arguments.reference else []
    known = known_molecules(arguments.train) if arguments.train else None
    molecules = interpret_all(raw, progress="molecules")
    described = None
    if others and MOSES in conventions:
        described = describe(others, progress="reference")
    result: dict[str, Any] = {
        "rows": len(molecules),
        "status": dict(Counter(str(molecule.status) for molecule in molecules)),
        **evaluate(molecules, conventions, known, described, progress="metrics"),
    }
    values = compute(arguments.property, [m.smiles for m in molecules])
    for c in conventions if values else []:
        result[c.name] |= property_means(count(molecules, c, known), values)
    for name, column in compute(arguments.property if others else [], others).items():
        result[f"{name}_wasserstein"] = wasserstein(values[name], column)
    warning = known.check() if known is not None else None
    if warning:
        result["warning"] = warning
    if arguments.json:
        print(json.dumps(_finite(result), indent=2))
    else:
        print(readable(result, [c.name for c in conventions]))
    return 0


def property_means(counted: Count, values: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Return each property's mean over the unique rows and, where they are known, the novel."""
    chosen = {"unique": counted.unique, "novel": counted.novel}
    return {
        f"{name}_mean_{which}": _mean(column[marks])
        for name, column in values.items()
        for which, marks in chosen.items()
        if marks is not None
    }


def texts(path: str, column: str | None) -> list[str]:
    """Return the strings of a file: column ``raw``, else ``smiles``, else the one named.

    Raises:
        ValueError: if there is none of them, naming those there are, if the file has no rows or
            cannot be read.
    """
    from molgen.tables import read_table

    frame: pd.DataFrame = read_table(path)
    if not len(frame):
        raise ValueError(f"{path}: a header line and no rows")
    for name in [column] if column else ["raw", "smiles"]:
        if name in frame.columns:
            return ["" if text is None or text != text else str(text) for text in frame[name]]
    wanted = repr(column) if column else "raw or smiles"
    raise ValueError(f"{path} has no column {wanted}; it has {', '.join(map(str, frame.columns))}")


def known_molecules(name: str) -> KnownMolecules:
    """Return the index of a model, or that of a file of SMILES.

    Raises:
        ValueError: if it is neither, or the model has no index.
    """
    from molgen import checkpoint
    from molgen.known import KnownMolecules

    if Path(name).is_file():
        return KnownMolecules.from_smiles(texts(name, None), progress="known molecules")
    index = checkpoint.locate(name) / "known.safetensors"
    if not index.is_file():
        raise ValueError(f"model {name!r} has no index of known molecules")
    return KnownMolecules.load(index)


def readable(result: dict[str, Any], conventions: list[str]) -> str:
    """Return the result as a table, one column for each convention."""
    status = ", ".join(f"{n} {name}" for name, n in result["status"].items())
    lines = [f"{result['rows']} rows: {status}", ""]
    keys = list(dict.fromkeys(key for name in conventions for key in result[name]))
    width = max(map(len, keys)) + 2
    lines.append(" " * width + "".join(f"{name:>12}" for name in conventions))
    for key in keys:
        cells = "".join(f"{_shown(result[name].get(key)):>12}" for name in conventions)
        lines.append(f"{key:<{width}}{cells}")
    lines += [f"{k}: {_shown(v)}" for k, v in result.items() if k.endswith("_wasserstein")]
    if "warning" in result:
        lines += ["", f"warning: {result['warning']}"]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean of what is a number (other conventions count rows that are no molecule)."""
    given = values[values == values]
    return float(given.mean()) if len(given) else math.nan


def _finite(value: Any) -> Any:
    """Return a value that JSON knows: NaN becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value

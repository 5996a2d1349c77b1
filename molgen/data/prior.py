"""The prior: the training molecules that lend their lengths and values to molecules to be made.

A target is asked for in words (:mod:`molgen.targets`); the network wants a value and a length. Both
come from a table of training molecules: the rows that fit the targets best are found, one is drawn
for each molecule to be made, and that row lends its length and, where the target was not a plain
number, its values. A molecule asked to have the highest QED is therefore given a QED that exists,
and a length at which it exists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from molgen.errors import MolgenError
from molgen.targets import Range, Target, ends
from molgen.utils import randomness
from molgen.utils.array_files import Array, read_safetensors
from molgen.utils.json_files import checked, parse_json

TAIL = 0.01  # part of the table that "max" and "min" draw from
NEAREST = 128  # rows that a plain number draws its length from
TABLE_ROWS = 16_384
EXTREMES = 512  # rows of either tail of each property that are always in the table
STORED = {
    "lengths": Array("ui", "rows"),
    "values": Array("f", "rows", "properties"),
    "weight": Array("f", "rows"),
}


@dataclass(frozen=True)
class Prior:
    """A table of training molecules: their lengths and property values.

    Attributes:
        lengths: tokens of each row, shape (rows,).
        values: property values with shape (rows, properties).
        properties: names of the columns.
        weight: how many training molecules each row stands for, shape (rows,).
    """

    lengths: NDArray[np.int64]
    values: NDArray[np.float64]
    properties: tuple[str, ...]
    weight: NDArray[np.float64]

    @classmethod
    def from_training(
        cls,
        lengths: NDArray[np.int64],
        values: NDArray[np.floating],
        properties: Sequence[str],
        seed: int = 0,
    ) -> Prior:
        """Keep a random part of the training rows, and the extremes of every property whole."""
        count = len(lengths)
        kept = np.zeros(count, dtype=bool)
        chosen = np.random.default_rng(seed).permutation(count)[:TABLE_ROWS]
        for column in values.T:
            order = np.argsort(column)  # NaN sorts last
            known = int((~np.isnan(column)).sum())
            kept[order[:known][:EXTREMES]] = kept[order[:known][-EXTREMES:]] = True
        extremes = int(kept.sum())
        rest = chosen[~kept[chosen]]
        kept_rest = len(rest)
        weight = np.ones(count)
        if kept_rest:
            weight[rest] = (count - extremes) / kept_rest
        rows = np.sort(np.concatenate([np.flatnonzero(kept), rest]))
        return cls(
            lengths[rows].astype(np.int64),
            values[rows].astype(np.float64),
            tuple(properties),
            weight[rows],
        )

    def save(self, path: str | Path) -> None:
        """Write one safetensors file; values are rounded to float16 unless one is too large."""
        from safetensors.numpy import save_file

        from molgen.utils.files import replacing

        largest = np.nanmax(np.abs(self.values), initial=0.0)
        kind = np.float16 if largest <= np.finfo(np.float16).max else np.float64
        tensors = {
            "lengths": self.lengths.astype(np.uint16),
            "values": self.values.astype(kind),
            "weight": self.weight.astype(np.float32),
        }
        with replacing(path) as part:
            save_file(tensors, part, metadata={"properties": json.dumps(self.properties)})

    @classmethod
    def load(cls, path: str | Path) -> Prior:
        """Read what :meth:`save` wrote.

        Raises:
            MolgenError: if it is damaged.
            OSError: if it cannot be opened.
        """
        arrays, about = read_safetensors(path, STORED)
        names = _names(about.get("properties", ""), path)
        lengths, weight = arrays["lengths"].astype(np.int64), arrays["weight"].astype(np.float64)
        values = arrays["values"].astype(np.float64)
        faults = {
            "properties": values.shape[1] != len(names) or len(set(names)) != len(names),
            "lengths": not len(lengths) or lengths.min() < 1,
            "weight": not (np.isfinite(weight).all() and (weight >= 0).all() and weight.sum() > 0),
            "values": bool(np.isinf(values).any()),
        }
        for name, fault in faults.items():
            if fault:
                raise MolgenError(f"{path} is damaged: its {name} are none of a table of molecules")
        return cls(lengths, values, tuple(names), weight)

    @property
    def std(self) -> dict[str, float]:
        """Training standard deviation of each property."""
        return dict(zip(self.properties, self._moments()[1].tolist(), strict=True))

    @property
    def mean(self) -> dict[str, float]:
        """Training mean of each property."""
        return dict(zip(self.properties, self._moments()[0].tolist(), strict=True))

    def _moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        w = np.where(np.isnan(self.values), 0.0, self.weight[:, None])
        v = np.nan_to_num(self.values)
        with np.errstate(invalid="ignore"):  # a property that no molecule has: NaN
            mean = (w * v).sum(0) / w.sum(0)
            return mean, np.sqrt((w * (v - mean) ** 2).sum(0) / w.sum(0))

    def check(self, targets: Mapping[str, Target]) -> None:
        """Check that every target names a property of the model.

        Raises:
            MolgenError: naming the ones that do not, and those there are.
        """
        unknown = [name for name in targets if name not in self.properties]
        if unknown:
            known = ", ".join(self.properties) or "none"
            raise MolgenError(
                f"target {', '.join(unknown)}: the model is not conditioned on it; it knows {known}"
            )

    def outside(self, targets: Mapping[str, Target]) -> list[str]:
        """Return a line for each target that lies outside the values of the training molecules.

        Args:
            targets: of any properties; those without training values are left out.
        """
        lines = []
        for name in (name for name in targets if name in self.properties):
            target, values = targets[name], self.values[:, self.properties.index(name)]
            if isinstance(target, str) or np.isnan(values).all():
                continue
            low, high = float(np.nanmin(values)), float(np.nanmax(values))
            least, most = ends(target)
            if least > high or most < low:
                shown = f"{target:g}" if not isinstance(target, Range) else str(target)
                lines.append(
                    f"target {name}={shown} is outside the training data, {low:.3g}..{high:.3g}: "
                    "few molecules will meet it, if any"
                )
        return lines

    def draw(
        self,
        targets: Mapping[str, Target],
        count: int,
        seed: int,
        first: int = 0,
        profile: bool = False,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
        """Draw a length and a condition for each molecule.

        Args:
            targets: what is asked for; empty for none.
            count: molecules.
            seed: of the draw; row ``i`` depends on the seed and ``first + i`` alone.
            first: index of the first molecule.
            profile: whether the row drawn lends all its other values, too.

        Returns:
            Lengths with shape (count,) and conditions with shape (count, properties), NaN where
            nothing is asked; None instead of conditions where there are none.

        Raises:
            MolgenError: if a target is not a property of the model, or no row of the table has all
                the properties asked for.
        """
        self.check(targets)
        rows = self._fitting(targets)
        u = randomness.uniform(seed, randomness.LENGTH, first + np.arange(count))
        drawn = rows[randomness.choose(self.weight[rows], u)]
        if not (targets or profile):
            return self.lengths[drawn], None
        condition = np.full((count, len(self.properties)), np.nan, dtype=np.float32)
        if profile:
            condition[:] = self.values[drawn]
        for name, target in targets.items():
            i = self.properties.index(name)
            column = self.values[drawn, i]
            if isinstance(target, Range):
                column = column.clip(target.low, target.high)
            condition[:, i] = target if isinstance(target, float | int) else column
        return self.lengths[drawn], condition

    def _fitting(self, targets: Mapping[str, Target]) -> NDArray[np.int64]:
        """Return the rows to draw from.

        Distance is counted in standard deviations: first the rows nearest to every number and
        inside (or nearest to) every range, then, among them, the tail of what is to be extreme.
        A row that lacks a property asked for cannot lend it, and is left aside.
        """
        asked = [self.properties.index(name) for name in targets]
        able = np.flatnonzero(~np.isnan(self.values[:, asked]).any(1))
        if not len(able):
            raise MolgenError(f"no training molecule has {', '.join(targets) or 'a length'}")
        _, std = self._moments()
        distance = np.zeros(len(self.lengths))
        height = np.zeros(len(self.lengths))
        for name, target in targets.items():
            i = self.properties.index(name)
            column, unit = self.values[:, i], std[i] if std[i] > 0 else 1.0
            if isinstance(target, str):
                height += (1 if target == "max" else -1) * column / unit
            else:
                low, high = ends(target)
                distance += (np.maximum(low - column, column - high).clip(min=0) / unit) ** 2
        rows = able[np.argsort(distance[able], kind="stable")]
        extreme = any(isinstance(target, str) for target in targets.values())
        exact = int((distance[able] <= 0).sum())
        wanted = max(exact, NEAREST * (10 if extreme and exact < len(rows) else 1))
        rows = rows[:wanted]
        if extreme:
            order = rows[np.argsort(-height[rows], kind="stable")]
            mass = np.cumsum(self.weight[order])
            tail = int(np.searchsorted(mass, TAIL * self.weight[rows].sum())) + 1
            rows = order[: max(tail, min(NEAREST, len(order)))]
        return np.sort(rows)


def _names(text: str, source: str | Path) -> list[str]:
    """Read the names of a table's columns; older files have blanks between them."""
    if not text.startswith("["):
        return text.split()
    return checked(parse_json(text, source), list[str], source)


@dataclass(frozen=True)
class PriorDraw:
    """What training molecules lend to rows.

    Attributes:
        lengths: tokens of each row, shape (rows,).
        condition: property values with shape (rows, properties), NaN where left out; None where
            the network is not told any.
    """

    lengths: NDArray[np.int64]
    condition: NDArray[np.float32] | None

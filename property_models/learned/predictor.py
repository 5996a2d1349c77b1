"""The judge: a property learned from measured molecules, for clean molecules.

    value(m) = mean of a Gaussian process,    interval(m) = value ± q spread   (conformal)

A judge is a folder: ``property.json`` (what it is, how it was made, how good it is) and
``property.safetensors`` (arrays). Nothing is unpickled, and prediction needs neither scikit-learn
nor torch. It is found by its folder's name: ``property_models.get("model:FOLDER")``, and its
standard deviation by ``uncertainty:FOLDER``. It scores finished molecules; what steers unfinished
ones is the guide (:mod:`property_models.classifiers.network`), another network, trained on other
molecules.
"""

from __future__ import annotations

import functools
import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
from msgspec import Meta, Struct
from rdkit import Chem, rdBase

from molgen.molecules.parsing import parse
from molgen.utils.array_files import Array, read_safetensors
from molgen.utils.arrays import Floats
from molgen.utils.files import replacing
from molgen.utils.json_files import checked, read_json
from property_models.learned.calibration import ONE_SIGMA, Conformal
from property_models.learned.features import DESCRIPTORS, Features
from property_models.learned.gaussian_process import STORED, GaussianProcess
from property_models.learned.kernel import Kernel
from property_models.property import Direction, Property

INFO, ARRAYS = "property.json", "property.safetensors"
SCORES = "calibration_scores"
FORMAT = 1
PROBES = 4  # molecules whose predictions are stored, to notice an RDKit that computes otherwise
CLOSE = 1e-6  # of the property's standard deviation, between a probe's predictions


class _Data(Struct, frozen=True):
    source: str = "a table"


class _Card(Struct, frozen=True):
    """What is looked at of a card; the rest is for people."""

    data: _Data = _Data()
    rdkit: str = ""


class _Info(Struct):
    """What ``property.json`` holds."""

    format: int
    name: str
    unit: str
    direction: Annotated[str, Meta(pattern="^(max|min|none)$")]
    kernel: Kernel
    descriptors: list[str]
    card: _Card
    probes: list[tuple[str, float]] = []

    def __post_init__(self) -> None:
        """Check that the numbers are numbers and the probes molecules.

        Raises:
            ValueError: naming what is not.
        """
        kernel = tuple(asdict(self.kernel).values())
        if not all(math.isfinite(number) and number > 0 for number in kernel):
            raise ValueError(f"kernel is {kernel}, expected finite numbers above 0")
        for smiles, value in self.probes[:PROBES]:
            if parse(smiles) is None or not math.isfinite(value):
                raise ValueError(f"probes hold {smiles[:40]!r}, expected molecules with numbers")


@dataclass(frozen=True)
class PropertyPredictor:
    """A learned property.

    Attributes:
        name: of the property.
        unit: empty for a number without one.
        direction: whether more (``max``) or less (``min``) is better, or neither (``none``).
        process: predicts the mean and a spread.
        conformal: how far from the mean calibration molecules were, in spreads.
        probes: SMILES and what was predicted for them when the judge was made.
        card: how it was made and how good it is; see :func:`property_models.learned.fit.fit_judge`.
    """

    name: str
    unit: str
    direction: Direction
    process: GaussianProcess
    conformal: Conformal
    probes: tuple[tuple[str, float], ...] = ()
    card: dict[str, Any] = field(default_factory=dict, repr=False)

    def predict(self, mols: Sequence[Chem.Mol]) -> tuple[Floats, Floats]:
        """Return mean and spread of RDKit molecules, both with shape (molecules,)."""
        return self.process.predict(Features.of(mols))

    def value(self, mols: Sequence[Chem.Mol]) -> Floats:
        """Return the mean alone, which is quicker."""
        return self.process.predict(Features.of(mols), variance=False)[0]

    def uncertainty(self, mols: Sequence[Chem.Mol]) -> Floats:
        """Return half the width of the 68 % interval: one standard deviation, calibrated."""
        return self.conformal.factor(ONE_SIGMA) * self.predict(mols)[1]

    def interval(self, smiles: Sequence[str], coverage: float = 0.9) -> tuple[Floats, Floats]:
        """Return intervals that hold the value of so many molecules.

        Args:
            smiles: of the molecules; what is none gets NaN.
            coverage: share of molecules, between 0 and 1; see
                :mod:`property_models.learned.calibration` for what is promised.

        Returns:
            Lower and upper bounds, both with shape (molecules,).
        """
        mols = [parse(text) for text in smiles]
        rows = [i for i, mol in enumerate(mols) if mol is not None and mol.GetNumAtoms()]
        low, high = np.full(len(mols), np.nan), np.full(len(mols), np.nan)
        if rows:
            predicted = self.predict([mols[i] for i in rows])
            low[rows], high[rows] = self.conformal.interval(*predicted, coverage)
        return low, high

    def as_property(self, name: str = "") -> Property:
        """Return the value as a property, called ``name`` or by the judge's own name."""
        about = f"{self.name}, learned from {self.card.get('data', {}).get('source', 'a table')}"
        return Property(
            name or self.name, self.unit, self.direction, self.value, False, about, True
        )

    def as_uncertainty(self, name: str = "") -> Property:
        """Return the calibrated standard deviation as a property, of which less is better."""
        about = f"standard deviation of {self.name}"
        title = name or f"{self.name}_uncertainty"
        return Property(title, self.unit, "min", self.uncertainty, False, about, True)

    def check(self) -> str | None:
        """Return why the predictions here differ from those that were measured, or None.

        The features are RDKit's, whose descriptors change now and then between releases.
        """
        if not self.probes:
            return None
        smiles, expected = zip(*self.probes, strict=True)
        off = np.abs(self.value([parse(text) for text in smiles]) - np.array(expected)).max()
        if off <= CLOSE * self.process.std:
            return None
        made, here = self.card.get("rdkit", "another release"), rdBase.rdkitVersion
        return (
            f"{self.name} was fitted with RDKit {made} and predicts otherwise with RDKit {here} "
            f"(by up to {off:.2g}): fit it again"
        )

    def save(self, folder: str | Path) -> None:
        """Write the judge into a folder, which is made if it does not exist."""
        from safetensors.numpy import save

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {**self.process.arrays(), SCORES: self.conformal.scores}
        info = {
            "format": FORMAT,
            "kind": "property",
            "name": self.name,
            "unit": self.unit,
            "direction": self.direction,
            "kernel": asdict(self.process.kernel),
            "descriptors": list(DESCRIPTORS),
            "probes": [list(probe) for probe in self.probes],
            "card": _finite(self.card),
        }
        with replacing(folder / ARRAYS) as part:
            part.write_bytes(save({name: np.ascontiguousarray(a) for name, a in arrays.items()}))
        with replacing(folder / INFO) as part:
            part.write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> PropertyPredictor:
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: if the folder holds no learned property, a newer one, or a damaged one.
        """
        folder = Path(folder)
        raw = read_info(folder)
        info = checked(raw, _Info, folder / INFO)
        if info.descriptors != list(DESCRIPTORS):
            raise ValueError(
                f"the property in {str(folder)!r} has other descriptors than this molgen: "
                "fit it again"
            )
        try:
            arrays, _ = read_safetensors(folder / ARRAYS, STORED | {SCORES: Array("f", "kept")})
            conformal = Conformal(arrays.pop(SCORES).astype(np.float64))
            process = GaussianProcess.from_arrays(info.kernel, arrays)
        except (ValueError, OSError) as error:
            raise ValueError(f"the property in {str(folder)!r} is damaged: {error}") from error
        about = info.name, info.unit, cast(Direction, info.direction)
        return cls(*about, process, conformal, tuple(info.probes[:PROBES]), raw["card"])


def read_info(folder: str | Path) -> dict[str, Any]:
    """Return what a judge's folder says about it.

    Raises:
        ValueError: if it is no such folder, or one of a newer molgen.
    """
    path = Path(folder) / INFO
    if not path.is_file():
        raise ValueError(
            f"{str(folder)!r} holds no learned property (no {INFO}); "
            "`molgen fit-property` makes such a folder"
        )
    info: dict[str, Any] = read_json(path, dict)
    if info.get("kind") != "property":
        raise ValueError(f"{str(path)!r} describes no learned property")
    if info.get("format") != FORMAT:
        raise ValueError(
            f"the property in {str(folder)!r} has format {info.get('format')}, expected {FORMAT}: "
            "it is another molgen's"
        )
    return info


def predictor(folder: str | Path) -> PropertyPredictor:
    """Return the judge of a folder, read once for each time its files changed.

    Warns where this RDKit makes it predict otherwise than when it was fitted.

    Raises:
        ValueError: if the folder holds none.
    """
    read_info(folder)
    paths = [Path(folder).resolve() / name for name in (INFO, ARRAYS)]
    try:
        stamps = tuple(path.stat().st_mtime_ns for path in paths)
    except OSError as error:
        raise ValueError(f"the property in {str(folder)!r} is damaged: {error}") from error
    return _judge(str(Path(folder).resolve()), stamps)


@functools.lru_cache(maxsize=16)
def _judge(folder: str, stamps: tuple[int, ...]) -> PropertyPredictor:
    found = PropertyPredictor.load(folder)
    if trouble := found.check():
        warnings.warn(trouble, stacklevel=2)
    return found


def _finite(value: Any) -> Any:
    """Return a value that JSON knows: NaN becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value

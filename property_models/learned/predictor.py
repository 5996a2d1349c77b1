"""The property predictor: a property learned from measured molecules, for clean molecules.

    value(m) = mean of a Gaussian process,    interval(m) = value ± q spread   (conformal)

A predictor is stored as a folder: ``property.json`` (metadata, fit and errors) and
``property.safetensors`` (arrays). Nothing is unpickled, and prediction needs neither scikit-learn
nor torch. Its property is ``property_models.get("model:FOLDER")``, and its standard deviation
``uncertainty:FOLDER``. It scores clean molecules; guidance of noised ones uses a noisy classifier
(:mod:`property_models.classifiers.network`), a separate network with other training molecules.
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

from molgen.errors import MolgenError
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
PROBES = 4  # molecules with stored predictions, to detect an RDKit with other descriptors
CLOSE = 1e-6  # of the property's standard deviation, between a probe's predictions


class _Data(Struct, frozen=True):
    source: str = "a table"


class _Card(Struct, frozen=True):
    """The checked part of a card; the rest is informative."""

    data: _Data = _Data()
    rdkit: str = ""


class _Info(Struct):
    """Content of ``property.json``."""

    format: int
    name: str
    unit: str
    direction: Annotated[str, Meta(pattern="^(max|min|none)$")]
    kernel: Kernel
    descriptors: list[str]
    card: _Card
    probes: list[tuple[str, float]] = []

    def __post_init__(self) -> None:
        """Check the kernel and the probes.

        Raises:
            MolgenError: if a number is not finite, or a probe is not a molecule.
        """
        kernel = tuple(asdict(self.kernel).values())
        if not all(math.isfinite(number) and number > 0 for number in kernel):
            raise MolgenError(f"kernel is {kernel}, expected finite numbers above 0")
        for smiles, value in self.probes[:PROBES]:
            if parse(smiles) is None or not math.isfinite(value):
                raise MolgenError(f"probes has {smiles[:40]!r}, expected molecules with numbers")


@dataclass(frozen=True)
class PropertyPredictor:
    """A learned property.

    Attributes:
        name: of the property.
        unit: empty for a number without one.
        direction: whether more (``max``) or less (``min``) is better, or neither (``none``).
        process: predicts the mean and a spread.
        conformal: deviations of calibration molecules from the mean, in units of the spread.
        probes: SMILES and their predictions at the time of the fit.
        card: data, fit and errors; see :func:`property_models.learned.fit.fit_predictor`.
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
        """Return the mean only, which is faster."""
        return self.process.predict(Features.of(mols), variance=False)[0]

    def uncertainty(self, mols: Sequence[Chem.Mol]) -> Floats:
        """Return half the width of the 68 % interval: one standard deviation, calibrated."""
        return self.conformal.factor(ONE_SIGMA) * self.predict(mols)[1]

    def interval(self, smiles: Sequence[str], coverage: float = 0.9) -> tuple[Floats, Floats]:
        """Return prediction intervals of a given coverage.

        Args:
            smiles: of the molecules; NaN for any other string.
            coverage: fraction of molecules within their interval, between 0 and 1; see
                :mod:`property_models.learned.calibration`.

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
        """Return the value as a property, with a given name or the predictor's own."""
        about = f"{self.name}, learned from {self.card.get('data', {}).get('source', 'a table')}"
        return Property(
            name or self.name, self.unit, self.direction, self.value, False, about, True
        )

    def as_uncertainty(self, name: str = "") -> Property:
        """Return the calibrated standard deviation as a property to be minimised."""
        about = f"standard deviation of {self.name}"
        title = name or f"{self.name}_uncertainty"
        return Property(title, self.unit, "min", self.uncertainty, False, about, True)

    def check(self) -> str | None:
        """Return a warning if predictions differ from those at the time of the fit, else None.

        RDKit's descriptors can change between releases.

        Raises:
            MolgenError: if they differ with the release of the fit.
        """
        if not self.probes:
            return None
        smiles, expected = zip(*self.probes, strict=True)
        off = np.abs(self.value([parse(text) for text in smiles]) - np.array(expected)).max()
        if off <= CLOSE * self.process.std:
            return None
        made, here = self.card.get("rdkit", "another release"), rdBase.rdkitVersion
        if made == here:
            raise MolgenError(
                f"the predictions of {self.name} differ from those at the time of its fit by up "
                f"to {off:.2g}: its files are damaged"
            )
        return (
            f"{self.name} was fitted with RDKit {made}, and its predictions differ with RDKit "
            f"{here} (by up to {off:.2g}): fit it again"
        )

    def save(self, folder: str | Path) -> None:
        """Write the predictor into a folder, which is created if it does not exist."""
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
        """Read a folder of :meth:`save`.

        Raises:
            MolgenError: if the folder has no learned property, a newer one, or a damaged one.
        """
        folder = Path(folder)
        raw = read_info(folder)
        info = checked(raw, _Info, folder / INFO)
        if info.descriptors != list(DESCRIPTORS):
            raise MolgenError(
                f"the property in {str(folder)!r} has other descriptors than this molgen: "
                "fit it again"
            )
        try:
            arrays, _ = read_safetensors(folder / ARRAYS, STORED | {SCORES: Array("f", "kept")})
            conformal = Conformal(arrays.pop(SCORES).astype(np.float64))
            process = GaussianProcess.from_arrays(info.kernel, arrays)
        except (ValueError, OSError) as error:
            raise MolgenError(f"the property in {str(folder)!r} is damaged: {error}") from error
        about = info.name, info.unit, cast(Direction, info.direction)
        return cls(*about, process, conformal, tuple(info.probes[:PROBES]), raw["card"])


def read_info(folder: str | Path) -> dict[str, Any]:
    """Return the metadata of a predictor's folder.

    Raises:
        MolgenError: if it is not such a folder, or has another format.
    """
    path = Path(folder) / INFO
    if not path.is_file():
        raise MolgenError(
            f"{str(folder)!r} has no learned property (no {INFO}); "
            "`molgen fit-property` makes such a folder"
        )
    info: dict[str, Any] = read_json(path, dict)
    if info.get("kind") != "property":
        raise MolgenError(f"{str(path)!r} is not a learned property")
    if info.get("format") != FORMAT:
        raise MolgenError(
            f"the property in {str(folder)!r} has format {info.get('format')}, expected {FORMAT}"
        )
    return info


def predictor(folder: str | Path) -> PropertyPredictor:
    """Return the predictor of a folder, read again only if its files have changed.

    Warns if predictions with this RDKit release differ from those at the time of the fit.

    Raises:
        MolgenError: if the folder has none.
    """
    read_info(folder)
    paths = [Path(folder).resolve() / name for name in (INFO, ARRAYS)]
    try:
        stamps = tuple(path.stat().st_mtime_ns for path in paths)
    except OSError as error:
        raise MolgenError(f"the property in {str(folder)!r} is damaged: {error}") from error
    return _cached(str(Path(folder).resolve()), stamps)


@functools.lru_cache(maxsize=16)
def _cached(folder: str, stamps: tuple[int, ...]) -> PropertyPredictor:
    found = PropertyPredictor.load(folder)
    if warning := found.check():
        warnings.warn(warning, stacklevel=2)
    return found


def _finite(value: Any) -> Any:
    """Return a value for JSON: NaN becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value

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
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from molgen.molecules.parsing import parse
from molgen.utils.arrays import Floats
from molgen.utils.files import replacing
from property_models.learned.calibration import ONE_SIGMA, Conformal
from property_models.learned.features import DESCRIPTORS, Features
from property_models.learned.gaussian_process import GaussianProcess
from property_models.learned.kernel import Kernel
from property_models.property import Direction, Property

INFO, ARRAYS = "property.json", "property.safetensors"
FORMAT = 1
PROBES = 4  # molecules whose predictions are stored, to notice an RDKit that computes otherwise
CLOSE = 1e-6  # of the property's standard deviation, between a probe's predictions


@dataclass(frozen=True)
class Judge:
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
        arrays = {**self.process.arrays(), "calibration_scores": self.conformal.scores}
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
    def load(cls, folder: str | Path) -> Judge:
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: if the folder holds no learned property, a newer one, or a damaged one.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(folder)
        info = read_info(folder)
        try:
            arrays = cast(dict[str, NDArray[np.generic]], load_file(folder / ARRAYS))
            conformal = Conformal(arrays.pop("calibration_scores").astype(np.float64))
            process = GaussianProcess.from_arrays(Kernel(**info["kernel"]), arrays)
            probes = tuple((str(smiles), float(value)) for smiles, value in info["probes"])
            name, unit, direction = (info[key] for key in ("name", "unit", "direction"))
            judge = cls(name, unit, direction, process, conformal, probes, info["card"])
            stale = info["descriptors"] != list(DESCRIPTORS)
        except (SafetensorError, KeyError, TypeError, ValueError, IndexError, OSError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"the property in {str(folder)!r} is damaged: {reason}") from error
        if stale:
            raise ValueError(
                f"the property in {str(folder)!r} has other descriptors than this molgen: "
                "fit it again"
            )
        return judge


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
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not JSON, or not text
        raise ValueError(f"the property in {str(folder)!r} is damaged: {error}") from error
    if not isinstance(info, dict) or info.get("kind") != "property":
        raise ValueError(f"{str(path)!r} describes no learned property")
    if info.get("format") != FORMAT:
        raise ValueError(
            f"the property in {str(folder)!r} has format {info.get('format')}, expected {FORMAT}: "
            "it is another molgen's"
        )
    return cast(dict[str, Any], info)


def judge(folder: str | Path) -> Judge:
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
def _judge(folder: str, stamps: tuple[int, ...]) -> Judge:
    found = Judge.load(folder)
    if trouble := found.check():
        warnings.warn(trouble, stacklevel=2)
    return found


def _finite(value: Any) -> Any:
    """Return a value that JSON knows: NaN becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value

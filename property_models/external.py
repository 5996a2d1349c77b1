"""Scorers outside of Python as properties: commands, HTTP endpoints, docking.

=======================  =========================================================================
``command:PROGRAM ...``  a program that speaks lines of JSON: :mod:`molgen.scorers.command`
``http://HOST/PATH``     an HTTP endpoint, also ``https:``: :mod:`molgen.scorers.endpoint`
``dock:TARGET``          docking: :mod:`molgen.scorers.docking.vina`
``efficiency:NAME``      the value of a property per heavy atom
=======================  =========================================================================

They run in the runs of :mod:`property_models.scorers`, with the same time limits and reports of
failures. Like the name of a function, such a name is read only from the user, never from a file.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molgen.errors import MolgenError
from molgen.scorers import command, endpoint
from molgen.scorers.command import Command
from molgen.scorers.docking import vina
from molgen.scorers.docking.vina import Docking, Seconds
from molgen.scorers.endpoint import Endpoint
from property_models.property import Property
from property_models.scorers import Scorer, active, pickled

EFFICIENCY = "efficiency:"
FORMS = f"{command.PREFIX}PROGRAM, http://HOST/PATH, {vina.PREFIX}TARGET, {EFFICIENCY}NAME"
AMPLE = 3.0  # times the usual seconds, which a large ligand takes


def named(name: str) -> Property:
    """Return the property of a scorer's name.

    Raises:
        MolgenError: naming the part of the name that cannot be used.
    """
    if name.startswith(command.PREFIX):
        return _property(name, Command.read(name), "value of a command")
    if name.startswith(endpoint.PREFIXES):
        return _property(name, Endpoint.read(name), "value of an HTTP endpoint")
    docking = Docking.read(name)
    about = f"Vina score in {Path(docking.receptor.path).name}"
    return _property(name, docking, about, "kcal/mol", "min")


@functools.lru_cache(maxsize=64)  # one scorer, and its processes, for equal ones
def _property(
    name: str, function: Any, about: str, unit: str = "", direction: Any = "none"
) -> Property:
    beside = beside_name(name)
    return Property(name, unit, direction, Scorer(name, function), False, about, True, beside)


def beside_name(name: str) -> str:
    """Return the name of the property that stands beside a scorer's; empty if none does."""
    return EFFICIENCY + name if name.startswith(vina.PREFIX) else ""


@dataclass(frozen=True)
class PerHeavyAtom:
    """A property divided by the number of heavy atoms.

    Attributes:
        base: the property.
    """

    base: Property

    def __call__(self, mols: Sequence[Chem.Mol]) -> NDArray[np.float64]:
        """Return the values of molecules, with shape (molecules,); NaN without heavy atoms."""
        return self.base.values(mols) / heavy_atoms(mols)


def heavy_atoms(mols: Sequence[Chem.Mol | None]) -> NDArray[np.float64]:
    """Return numbers of heavy atoms, NaN for none."""
    counts = [0 if mol is None else mol.GetNumHeavyAtoms() for mol in mols]
    return np.array([count or np.nan for count in counts], dtype=np.float64)


def per_heavy_atom(base: Property) -> Property:
    """Return a property per heavy atom, of a score the ligand efficiency."""
    unit = f"{base.unit} per heavy atom".strip()
    about = f"{base.name} per heavy atom"
    function = PerHeavyAtom(base)
    return Property(EFFICIENCY + base.name, unit, base.direction, function, False, about, True)


def files(scorer: Scorer) -> list[Path]:
    """Return the files that a scorer's values depend on, as far as they are known."""
    function = scorer.function
    if isinstance(function, Docking):
        return function.files()
    if isinstance(function, Command):
        words = [shutil.which(function.words[0]) or "", *function.words[1:]]
        return [path for path in map(Path, words) if path.is_file()]
    return []


def costs(names: Iterable[str]) -> list[str]:
    """Return what scorers cost, by measurement: a line for each docking experiment.

    Args:
        names: of properties of any kind.

    Raises:
        MolgenError: if a ligand takes longer than the run allows, or cannot be docked at all.
    """
    return [_cost(Docking.read(name)) for name in names if name.startswith(vina.PREFIX)]


def _cost(docking: Docking) -> str:
    run = active()
    try:
        seconds = docking.exhaustiveness * _seconds(Seconds.of(docking), run.timeout)
    except MolgenError as error:
        raise MolgenError(f"property {docking.name!r}: {error}") from error
    about = (
        f"{docking.name}: about {seconds:.1f} s a ligand and core (box "
        f"{' x '.join(f'{side:g}' for side in docking.receptor.size)} angstrom, exhaustiveness "
        f"{docking.exhaustiveness}, measured on haloperidol), {run.workers} at a time"
    )
    if seconds > run.timeout:
        raise MolgenError(
            f"{about}: score-timeout is {run.timeout:g} s, expected at least "
            f"{AMPLE * seconds:.0f}, a lower exhaustiveness, or evaluations=100000"
        )
    if AMPLE * seconds > run.timeout:
        about += f"; ligands that take more than {run.timeout:g} s fail (--score-timeout)"
    return about


@functools.lru_cache(maxsize=64)
def _seconds(timing: Seconds, timeout: float) -> float:
    """Return the seconds of a ligand, measured in another process, which Vina may end.

    Raises:
        MolgenError: if the receptor cannot be used.
    """
    from property_models.processes import Processes

    own = Processes(pickled(timing, timing.docking.name), False, timeout, 1)
    try:
        (found,) = own.outcomes([vina.REFERENCE])
    finally:
        own.close()
    if not isinstance(found, float):
        raise MolgenError(f"haloperidol is not docked: {found}")
    return found

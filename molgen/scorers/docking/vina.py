"""Docking with AutoDock Vina as a scorer: ``dock:DRD2``, ``dock:receptor.pdbqt,box=...``.

    score(m) = min over stereoisomers s of  E_vina(best pose of s)      in kcal/mol

Every random number follows from the seed, and a ligand is docked by one thread, so a value is a
function of the molecule and of the parameters, in any process and in any order. The best pose is
kept in a file (:mod:`molgen.scorers.docking.poses`). Ligands are prepared by
:mod:`molgen.scorers.docking.ligand`.

Reference: Eberhardt et al., "AutoDock Vina 1.2.0: new docking methods, expanded force field, and
Python bindings" (2021).
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rdkit import Chem

from molgen.errors import MolgenError
from molgen.scorers.docking import ligand, poses, receptor
from molgen.scorers.docking.ligand import Ligand, NotPrepared
from molgen.scorers.docking.receptor import Point, Receptor, box_of
from molgen.scorers.names import numbers, split, whole
from molgen.utils.imports import install, installed

PREFIX = "dock:"
PARAMETERS = ("box", "size", "exhaustiveness", "evaluations", "ph", "seed", "isomers", "poses")
PACKAGES = ("vina", "meeko", "scipy", "gemmi", "dimorphite_dl")
EXHAUSTIVENESS, PH, SEED, ISOMERS = 8, 7.4, 1, 4
MOST = {"exhaustiveness": 1000, "isomers": 1000, "evaluations": 10**9, "seed": 2**31 - 1}
REFERENCE = "O=C(CCCN1CCC(O)(c2ccc(Cl)cc2)CC1)c1ccc(F)cc1"
"""Haloperidol, a ligand of usual size, whose time is measured."""


@dataclass(frozen=True)
class Docking:
    """A docking experiment, as a function of one RDKit molecule.

    Attributes:
        name: of the property.
        receptor: with its box.
        exhaustiveness: number of Vina's independent searches; time is proportional to it.
        evaluations: most evaluations of each search; None for Vina's own number, which is ten times
            what most ligands need.
        ph: at which ligands are protonated.
        seed: of conformers and of the search.
        isomers: most stereoisomers to dock where stereochemistry is undefined.
        poses: folder of the poses; empty for none.
    """

    name: str
    receptor: Receptor
    exhaustiveness: int = EXHAUSTIVENESS
    evaluations: int | None = None
    ph: float = PH
    seed: int = SEED
    isomers: int = ISOMERS
    poses: str = ""

    @classmethod
    def read(cls, name: str) -> Docking:
        """Read ``dock:TARGET`` or ``dock:FILE.pdbqt,box=x,y,z,sx,sy,sz`` with parameters.

        Raises:
            MolgenError: naming the parameter or the file that cannot be used, or the extra that is
                not installed.
        """
        if missing := [package for package in PACKAGES if not installed(package)]:
            raise MolgenError(f"property {name!r} needs {missing[0]}: {install('docking')}")
        try:
            body, given = split(name.removeprefix(PREFIX), PARAMETERS)
            place = _receptor(body, given)
            place.check()
            counts = {key: whole(key, given[key], 1, MOST[key]) for key in MOST if key in given}
            (ph,) = numbers("ph", given.get("ph", f"{PH}"), [1])
            if not 0 <= ph <= 14:
                raise MolgenError(f"ph is {ph:g}, expected 0 to 14")
        except MolgenError as error:
            raise MolgenError(f"property {name!r}: {error}") from error
        return cls(name, place, ph=ph, poses=given.get("poses", ""), **counts)  # type: ignore[arg-type]

    def kept_in(self, folder: str | Path) -> Docking:
        """Return the experiment with a folder of poses, unless it has one."""
        return self if self.poses else replace(self, poses=str(folder))

    def files(self) -> list[Path]:
        """Return the files that values depend on."""
        return [Path(self.receptor.path)]

    def __call__(self, mol: Chem.Mol) -> float:
        """Return the score in kcal/mol; lower is better.

        Raises:
            NotPrepared: if the molecule cannot be docked, with the reason.
        """
        found = ligand.states(mol, self.ph, self.isomers, self.seed)
        docked, failures = [], []
        for smiles in found.smiles:
            try:
                docked.append(self._docked(ligand.prepare(smiles, self.seed)))
            except NotPrepared as error:  # an isomer that no ring system allows
                failures.append(error)
        if not docked:
            raise failures[0]
        score, pose, smiles = min(docked)
        if self.poses:
            facts = {
                "property": self.name,
                "score": f"{score:.3f}",
                "efficiency": f"{score / mol.GetNumHeavyAtoms():.4f}",
                "state": smiles,
                "isomers": f"{len(docked)} of {found.isomers} docked",
                "exhaustiveness": self.exhaustiveness,
                "evaluations": self.evaluations or "by Vina",
                "ph": self.ph,
                "seed": self.seed,
            }
            poses.write(self.poses, Chem.MolToSmiles(mol), pose, facts)
        return score

    def _docked(self, state: Ligand) -> tuple[float, str, str]:
        """Return the score of a state, its pose in PDBQT format, and its SMILES."""
        engine = _engine(self.receptor, self.seed)
        engine.set_ligand_from_string(state.pdbqt)
        most = self.evaluations or 0
        engine.dock(exhaustiveness=self.exhaustiveness, n_poses=1, max_evals=most)
        return float(engine.energies(n_poses=1)[0][0]), engine.poses(n_poses=1), state.smiles


@dataclass(frozen=True)
class Seconds:
    """The seconds of a search at exhaustiveness 1, as a function of one RDKit molecule.

    Attributes:
        docking: the experiment.
    """

    docking: Docking

    @classmethod
    def of(cls, docking: Docking) -> Seconds:
        """Return those of an experiment, equal for experiments of equal searches."""
        return cls(replace(docking, name=PREFIX, exhaustiveness=1, isomers=1, poses=""))

    def __call__(self, mol: Chem.Mol) -> float:
        """Return the seconds, without those for the grid, which is computed once in a process."""
        _engine(self.docking.receptor, self.docking.seed)
        start = time.perf_counter()
        self.docking(mol)
        return time.perf_counter() - start


@functools.lru_cache(maxsize=4)
def _engine(place: Receptor, seed: int) -> Any:
    """Return Vina with the grid of a receptor, which is computed once in a process."""
    from vina import Vina

    engine = Vina(sf_name="vina", cpu=1, seed=seed, verbosity=0)
    engine.set_receptor(place.path)
    engine.compute_vina_maps(list(place.centre), list(place.size))
    return engine


def _box(text: str) -> tuple[Point, Point]:
    """Return the centre and the size of a box, six numbers or the name of a file with them."""
    if Path(text).is_file():
        return box_of(Path(text))
    x, y, z, *sides = numbers("box", text, [6])
    return (x, y, z), (sides[0], sides[1], sides[2])


def _receptor(body: str, given: dict[str, str]) -> Receptor:
    """Return the receptor with its box.

    Raises:
        MolgenError: if there is none, or a number cannot be read.
    """
    by_file = body.lower().endswith(".pdbqt")
    if not by_file and "," in body:
        stray = body.partition(",")[2]
        raise MolgenError(f"parameter is {stray!r}, expected {'=, '.join(PARAMETERS)}=")
    if by_file and not Path(body).is_file():
        raise MolgenError(f"there is no file {body!r}")
    if by_file and "box" not in given:
        raise MolgenError("box is missing, expected box=x,y,z,sx,sy,sz in angstrom, or box=FILE")
    found = None if by_file else receptor.read(body)
    if "box" in given:
        path = str(Path(body).resolve()) if found is None else found.path
        found = Receptor(path, *_box(given["box"]))
    assert found is not None
    if "size" in given:
        sides = [*numbers("size", given["size"], [1, 3])] * 3
        found = replace(found, size=(sides[0], sides[1], sides[2]))
    return found

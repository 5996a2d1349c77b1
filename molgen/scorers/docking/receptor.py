"""Receptors and boxes: by the name of a target of dockstring, or a ``.pdbqt`` file and a box.

The package dockstring has 58 prepared receptors with boxes (Garcia-Ortegon et al., "DOCKSTRING:
easy molecular docking yields better benchmarks for ligand design", 2022). Only its files are read:
its own code needs Open Babel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from molgen.errors import MolgenError
from molgen.utils.imports import folder_of

Point = tuple[float, float, float]
TARGETS, RECEPTOR, BOX = "resources/targets", "_target.pdbqt", "_conf.txt"
LONGEST = 126.0  # largest side of a box in angstrom that Vina's grid of 0.375 has room for
SETTING = re.compile(r"(center|size)_([xyz])\s*=\s*(-?\d+(?:\.\d*)?)\s*")


@dataclass(frozen=True)
class Receptor:
    """A receptor with a box.

    Attributes:
        path: of the .pdbqt file.
        centre: of the box, in angstrom.
        size: of the box, in angstrom.
    """

    path: str
    centre: Point
    size: Point

    def check(self) -> None:
        """Check the box and that atoms of the receptor are in it.

        Raises:
            MolgenError: if not, or the file cannot be read.
        """
        if not all(0 < side <= LONGEST for side in self.size):
            raise MolgenError(f"size is {self.size}, expected sides up to {LONGEST:g} angstrom")
        atoms = _atoms(Path(self.path))
        if not atoms:
            raise MolgenError(f"{self.path}: no atom is read, expected a receptor in .pdbqt format")
        box = list(zip(self.centre, self.size, strict=True))
        if not any(
            all(2 * abs(x - mid) <= side for x, (mid, side) in zip(atom, box, strict=True))
            for atom in atoms
        ):
            raise MolgenError(
                f"box of {self.path} has its centre at {self.centre} and has none of the "
                f"{len(atoms)} atoms, expected a box around the binding site"
            )


def read(name: str) -> Receptor:
    """Return a receptor of dockstring with its box.

    Raises:
        MolgenError: if there is no such receptor, or the package is not installed.
    """
    found = targets()
    if not found:
        raise MolgenError(
            f"receptor is {name!r}, which is no .pdbqt file, and receptors by name are those of "
            "the package dockstring: pip install --no-deps dockstring"
        )
    if name not in found:
        close = get_close_matches(name.upper(), found, 1)
        near = f", such as {close[0]}" if close else ""
        raise MolgenError(
            f"receptor is {name!r}, expected a .pdbqt file or one of the {len(found)} targets of "
            f"dockstring{near} (ABL1, DRD2, ...)"
        )
    return Receptor(str(found[name]), *box_of(found[name].with_name(name + BOX)))


def box_of(path: Path) -> tuple[Point, Point]:
    """Return the centre and the size in a Vina configuration, ``center_x = 9.2`` and so on.

    Raises:
        MolgenError: if the file cannot be read or lacks a number.
    """
    try:
        found = SETTING.findall(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise MolgenError(f"box {str(path)!r} cannot be read: {error.strerror}") from error
    values = {kind + axis: float(number) for kind, axis, number in found}
    names = [kind + axis for kind in ("center", "size") for axis in "xyz"]
    if missing := [name for name in names if name not in values]:
        raise MolgenError(f"box {str(path)!r}: {missing[0][:-1]}_{missing[0][-1]} is missing")
    x, y, z, *sides = (values[name] for name in names)
    return (x, y, z), (sides[0], sides[1], sides[2])


def targets() -> dict[str, Path]:
    """Return the files of dockstring's receptors by name; none if it is not installed."""
    package = folder_of("dockstring")
    files = sorted((package / TARGETS).glob(f"*{RECEPTOR}")) if package else []
    return {path.name.removesuffix(RECEPTOR): path for path in files}


def _atoms(path: Path) -> list[Point]:
    """Return the positions of the atoms of a .pdbqt file, by the columns of the format."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines:
            if line.startswith(("ATOM", "HETATM")) and line[76:].strip():
                found.append((float(line[30:38]), float(line[38:46]), float(line[46:54])))
    except ValueError as error:
        raise MolgenError(f"{path}: an atom has no position ({error})") from error
    except OSError as error:
        raise MolgenError(f"receptor {str(path)!r} cannot be read: {error.strerror}") from error
    return found

"""Standard InChIKeys: one name for the forms of a molecule that differ in their drawing.

A standard InChIKey joins what chemists as a rule call one compound: mobile hydrogens (the tautomers
of imidazoles, triazoles, amides, amidines, guanidines and of 2-pyridone with 2-hydroxypyridine), a
zwitterion with its neutral form, the ways of writing a nitro group or an azide, and a metal salt
drawn with bonds or with charges. It does not join a keto form with its enol (acetone and
propen-2-ol: hydrogens on carbon are fixed in a standard InChI), an acid with its anion, isotopes,
or stereoisomers.

There is none for more than 1,023 heavy atoms and for atoms that InChI does not know, such as ``*``.
The keys are RDKit's (Heller et al., "InChI, the IUPAC International Chemical Identifier", 2015).
Imports RDKit, never torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from rdkit.Chem import rdinchi

from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse
from molgen.utils.parallel import map_chunks


def inchikey(smiles: str) -> str:
    """Return the standard InChIKey of a molecule, empty if it has none; never raises."""
    mol = parse(smiles)
    if mol is None or not mol.GetNumAtoms():
        return ""
    with quiet:
        try:
            return str(rdinchi.MolToInchiKey(mol))
        except (ValueError, RuntimeError):  # a violated invariant of RDKit
            return ""


def inchikeys(smiles: Sequence[str], processes: int = 1, progress: str = "") -> list[str]:
    """Apply :func:`inchikey` to every molecule; equal strings are computed once.

    Args:
        smiles: one a row; empty for no molecule.
        processes: number of processes.
        progress: label of a progress bar; empty for none.

    Returns:
        One key a row, in order.
    """
    distinct = list(dict.fromkeys(smiles))
    chunks = map_chunks(_chunk, distinct, processes, progress)
    found = dict(zip(distinct, [key for chunk in chunks for key in chunk], strict=True))
    return [found[text] for text in smiles]


def _chunk(smiles: Sequence[str]) -> list[str]:
    return [inchikey(text) for text in smiles]

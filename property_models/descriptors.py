"""Properties computed by RDKit.

Names follow the field: ``qed`` (Bickerton et al., "Quantifying the chemical beauty of drugs",
2012), ``sa`` (Ertl and Schuffenhauer, "Estimation of synthetic accessibility score of drug-like
molecules", 2009), ``np`` (Ertl, Roggo and Schuffenhauer, "Natural product-likeness score", 2008),
``logp`` (Wildman and Crippen, "Prediction of physicochemical parameters by atomic contributions",
1999), ``tpsa`` (Ertl, Rohde and Selzer, 2000). Every other descriptor of RDKit is available as
``rdkit:NAME``, for example ``rdkit:BertzCT``.
"""

from __future__ import annotations

import contextlib
import functools
import io
from pathlib import Path
from types import ModuleType

from rdkit import Chem, RDConfig

# Crippen, QED and Descriptors import much of RDKit; the C++ module behind them does not.
from rdkit.Chem import rdMolDescriptors

from molgen.errors import MolgenError
from molgen.utils.hints import MOST, hint
from molgen.utils.imports import from_file
from property_models.property import Property

RDKIT_PREFIX = "rdkit:"
CONTRIB = {"sa": ("SA_Score", "sascorer.py"), "np": ("NP_Score", "npscorer.py")}
COUNTING = ("Num", "fr_", "RingCount", "HeavyAtomCount", "NHOHCount", "NOCount")


def plain_names() -> tuple[str, ...]:
    """Return the names of :func:`plain`."""
    return tuple(_REGISTRY)


def plain(name: str) -> Property:
    """Return the property of one of :func:`plain_names`.

    Raises:
        MolgenError: if it needs a part of RDKit that is not installed.
    """
    if name in CONTRIB:
        _contrib_file(name)
    return _REGISTRY[name]


def unknown(name: str, kinds: str) -> str:
    """Return the error message for an unknown name, with similar names.

    Args:
        name: as requested.
        kinds: other allowed forms of names.
    """
    near = hint(name, plain_names(), MOST)
    return f"property {name!r} is unknown, expected {', '.join(plain_names())} or {kinds}{near}"


def rdkit_descriptor(name: str) -> Property:
    """Return ``rdkit:NAME``, a descriptor with RDKit's name.

    Raises:
        MolgenError: if RDKit has none of that name, with similar names.
    """
    from rdkit.Chem import Descriptors

    functions = dict(Descriptors._descList)
    key = name.removeprefix(RDKIT_PREFIX)
    if key not in functions:
        near = hint(key, functions, MOST)
        raise MolgenError(f"property {name!r} is unknown: RDKit has no descriptor {key!r}{near}")
    counts = key.startswith(COUNTING)
    return Property(name, "", "none", functions[key], counts, f"RDKit descriptor {key}")


def _contrib_file(name: str) -> Path:
    path = Path(RDConfig.RDContribDir, *CONTRIB[name])
    if not path.is_file():
        raise MolgenError(
            f"property {name!r} needs RDKit's Contrib/{'/'.join(CONTRIB[name])}, which is not "
            f"installed (expected at {path}); the rdkit wheels and conda packages have it"
        )
    return path


@functools.cache
def _contrib(name: str) -> ModuleType:
    """Return a scorer of RDKit's Contrib folder, loaded from its file."""
    path = _contrib_file(name)
    return from_file(path, f"rdkit_contrib_{path.stem}")


@functools.cache
def _np_model() -> dict[int, float]:
    with contextlib.redirect_stderr(io.StringIO()):  # it prints messages while reading
        return _contrib("np").readNPModel()


def _qed(mol: Chem.Mol) -> float:
    from rdkit.Chem import QED

    return QED.qed(mol)


def _logp(mol: Chem.Mol) -> float:
    return rdMolDescriptors.CalcCrippenDescriptors(mol)[0]


def _ring_count(mol: Chem.Mol) -> int:
    return len(Chem.GetSymmSSSR(mol))


def _rings_cyclomatic(mol: Chem.Mol) -> int:
    return int(mol.GetNumBonds() - mol.GetNumAtoms() + len(Chem.GetMolFrags(mol)))


def _sa(mol: Chem.Mol) -> float:
    return _contrib("sa").calculateScore(mol)


def _np(mol: Chem.Mol) -> float:
    return _contrib("np").scoreMol(mol, _np_model())


_D = rdMolDescriptors
_REGISTRY = {
    p.name: p
    for p in (
        Property("qed", "", "max", _qed, False, "quantitative estimate of drug-likeness, 0 to 1"),
        Property(
            "ring_count",
            "",
            "none",
            _ring_count,
            True,
            "symmetrised smallest set of rings",
            beside="rings_cyclomatic",
        ),
        Property(
            "rings_cyclomatic",
            "",
            "none",
            _rings_cyclomatic,
            True,
            "independent rings: bonds - atoms + fragments",
        ),
        Property("aromatic_rings", "", "none", _D.CalcNumAromaticRings, True, "aromatic rings"),
        Property("logp", "", "none", _logp, False, "Crippen octanol-water partition coefficient"),
        Property("tpsa", "Å²", "none", _D.CalcTPSA, False, "topological polar surface area"),
        Property("mw", "g/mol", "none", _D._CalcMolWt, False, "molecular weight"),
        Property("sa", "", "min", _sa, False, "synthetic accessibility, 1 (easy) to 10 (hard)"),
        Property("hbd", "", "none", _D.CalcNumHBD, True, "hydrogen-bond donors"),
        Property("hba", "", "none", _D.CalcNumHBA, True, "hydrogen-bond acceptors"),
        Property("rotatable_bonds", "", "none", _D.CalcNumRotatableBonds, True, "rotatable bonds"),
        Property("fsp3", "", "none", _D.CalcFractionCSP3, False, "fraction of sp3 carbons"),
        Property("heavy_atoms", "", "none", _D.CalcNumHeavyAtoms, True, "atoms except hydrogen"),
        Property("np", "", "max", _np, False, "natural-product likeness, -5 to 5"),
    )
}

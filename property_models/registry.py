"""The registry of properties by name, and the computation of their values.

====================  ============================================================================
``qed`` ``logp`` ...  :mod:`property_models.descriptors`
``rdkit:NAME``        any descriptor of RDKit, by RDKit's name
``similarity:SMILES`` Tanimoto similarity to a reference; ``count:SMARTS``, ``has:SMARTS``:
                      :mod:`property_models.patterns`
``model:FOLDER``      property predictor of ``molgen fit-property``, or only the folder;
                      ``uncertainty:FOLDER`` is its standard deviation:
                      :mod:`property_models.learned.predictor`
``module:function``   any Python function, also ``file.py:function``, and the name of a function
                      that was given as it is: :mod:`property_models.callables`
``command:`` ...      a command, an HTTP endpoint, docking: :mod:`property_models.external`
====================  ============================================================================

The requested name is also the heading of the property's column.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molgen.errors import MolgenError
from molgen.molecules.logs import quiet
from molgen.molecules.parsing import parse
from molgen.scorers.names import is_scorer
from molgen.utils.arguments import checked
from molgen.utils.parallel import map_chunks
from property_models import callables, descriptors, external, patterns
from property_models.callables import from_function
from property_models.property import Property
from property_models.scorers import Scorer, joined

MODEL, UNCERTAINTY = "model:", "uncertainty:"
KINDS = (
    f"{descriptors.RDKIT_PREFIX}NAME, {patterns.SIMILARITY}SMILES, {patterns.COUNT}SMARTS, "
    f"{patterns.HAS}SMARTS, {MODEL}FOLDER, {UNCERTAINTY}FOLDER, {external.FORMS}, module:function"
)


PropertyLike = str | Property | Callable[..., Any]
"""The name of a property, a property, or a function of a molecule."""


def property_name(found: PropertyLike | Path) -> str:
    """Return the name of a property; a function becomes one by its own name.

    Raises:
        MolgenError: if it is none, or a function has the name of a built-in property.
    """
    if isinstance(found, str | Path):
        return str(found)
    if not callable(found):
        raise MolgenError(f"property is {found!r}, expected a name or a function")
    name = found.name if isinstance(found, Property) else ""
    if name.startswith((MODEL, UNCERTAINTY)) or (name in names() and get(name) == found):
        return name
    own = from_function(found).name if not isinstance(found, Property) else name
    if own in names():
        raise MolgenError(f"property {own!r} is built in, expected a function of another name")
    return callables.give(found).name


def property_names(found: PropertyLike | Iterable[PropertyLike]) -> tuple[str, ...]:
    """Return the names of one or several properties; see :func:`property_name`.

    Raises:
        MolgenError: likewise, and if two functions have one name.
    """
    several = [found] if isinstance(found, str) or callable(found) else list(found)
    own: dict[str, Any] = {}
    for one in several:
        name = property_name(one)
        if not isinstance(one, str) and own.setdefault(name, one) is not one:
            raise MolgenError(f"two functions are called {name!r}, expected distinct names")
    return tuple(dict.fromkeys(map(property_name, several)))


def is_function(name: str) -> bool:
    """Return whether a name is that of a function of the user's."""
    try:
        return callables.given(name) is not None or isinstance(get(name).function, Scorer)
    except MolgenError:  # perhaps a label that only a network knows
        return False


def names() -> tuple[str, ...]:
    """Return the plain names of :func:`get`; see this module for the others."""
    return descriptors.plain_names()


@checked
def get(name: str, functions: bool = True) -> Property:
    """Return the property of that name.

    Args:
        name: of any of this module's kinds.
        functions: whether it may be ``module:function``, whose import runs code, or the name of a
            command, an endpoint or a docking experiment. Only names given by the user may be;
            names read from a file may not.

    Raises:
        MolgenError: if there is none, with the reason.
    """
    makers = {
        descriptors.RDKIT_PREFIX: descriptors.rdkit_descriptor,
        patterns.SIMILARITY: patterns.similarity,
        patterns.COUNT: patterns.count,
        patterns.HAS: patterns.has,
        MODEL: _learned,
        UNCERTAINTY: _uncertainty,
    }
    for prefix, make in makers.items():
        if name.startswith(prefix):
            return make(name)
    if name in names():
        return descriptors.plain(name)
    if name.startswith(external.EFFICIENCY):
        return external.per_heavy_atom(get(name.removeprefix(external.EFFICIENCY), functions))
    own = callables.given(name)
    if own is not None and functions:
        return own
    if is_scorer(name):
        callables.check_named_by_user(name, functions)
        return external.named(name)
    if _is_folder(name):
        return _learned(name)
    if ":" in name.strip(":"):
        callables.check_named_by_user(name, functions)
        return callables.named(name)
    raise MolgenError(descriptors.unknown(name, KINDS))


def computable(name: str) -> bool:
    """Return whether a name is that of a property, and not of a column alone."""
    try:
        get(name)
    except ValueError:
        return False
    return True


def alongside(names: Iterable[str]) -> list[str]:
    """Return the columns of a table of properties: each followed by the one to stand beside it.

    ``rings_cyclomatic`` stands beside ``ring_count``, which counts the rings of cages twice, the
    standard deviation beside a learned property, the efficiency per heavy atom beside docking.

    Args:
        names: of the properties; a name that is unknown has nothing beside it.
    """
    found: dict[str, None] = {}
    for name in names:
        own = _beside(name)
        found |= dict.fromkeys([name, own] if own else [name])
    return list(found)


def files(name: str) -> list[Path]:
    """Return the files that the values of a property depend on; none for a built-in one.

    Raises:
        MolgenError: if it is a user's function that cannot be found.
    """
    folder = name.removeprefix(MODEL).removeprefix(UNCERTAINTY)
    if folder != name or _is_folder(name):
        return sorted(path for path in Path(folder).rglob("*") if path.is_file())
    if name.startswith(external.EFFICIENCY):
        return files(name.removeprefix(external.EFFICIENCY))
    function = get(name).function if ":" in name else None
    if not isinstance(function, Scorer):
        return []
    return external.files(function) if function.is_external else callables.files(function)


@checked
def compute(
    names: Sequence[str],
    smiles: Sequence[str],
    processes: int = 1,
    progress: str = "",
    functions: bool = True,
) -> dict[str, NDArray[np.float64]]:
    """Compute several properties of many molecules, parsing each molecule once.

    Args:
        names: of the properties.
        smiles: one a row; NaN for an invalid one.
        processes: number of processes.
        progress: label of a progress bar; empty for none.
        functions: see :func:`get`.

    Returns:
        For each name its values, with shape (molecules,).

    Raises:
        MolgenError: for an unknown name, or if a user's function fails too often and no run is
            active (:mod:`property_models.scorers`).
    """
    properties = {name: get(name, functions) for name in names}
    scorers = {name: found.function for name, found in properties.items()}
    own = [name for name in scorers if callables.given(name) is properties[name]]
    scored = Scorer, external.PerHeavyAtom  # whose values are computed in other processes already
    built_in = [n for n in scorers if n not in own and not isinstance(scorers[n], scored)]
    work = functools.partial(_compute_chunk, tuple(built_in))
    chunks = map_chunks(work, list(smiles), processes, progress) if built_in else []
    rows = np.concatenate(chunks) if chunks else np.empty((0, len(built_in)))
    found = {name: rows[:, i].copy() for i, name in enumerate(built_in)}
    distinct = list(dict.fromkeys(smiles))
    row = {text: i for i, text in enumerate(distinct)}
    with joined(strict=True):
        for name, scorer in scorers.items():
            if isinstance(scorer, Scorer):
                values = scorer.values(distinct, distinct, progress)
                found[name] = values[[row[text] for text in smiles]]
            elif isinstance(scorer, external.PerHeavyAtom):
                base = scorer.base.name
                values = compute([base], smiles, 1, progress, functions)[base]
                found[name] = values / external.heavy_atoms([parse(text) for text in smiles])
            elif name in own:  # unknown in other processes
                found[name] = properties[name](smiles)
    return {name: found[name] for name in names}


def _compute_chunk(names: tuple[str, ...], smiles: Sequence[str]) -> NDArray[np.float64]:
    """Return the values with shape (molecules, properties)."""
    properties = [get(name) for name in names]
    with quiet:
        mols = [parse(text) for text in smiles]
    columns = [p.values(mols) for p in properties]
    return np.stack(columns, axis=1) if columns else np.empty((len(smiles), 0))


def _beside(name: str) -> str:
    """Return the name of the property that stands beside another one; empty if none does."""
    if name in descriptors.plain_names():
        return descriptors.plain(name).beside
    if name.startswith(MODEL):
        return UNCERTAINTY + name.removeprefix(MODEL)
    return external.beside_name(name)


def _is_folder(name: str) -> bool:
    """Return whether a name is that of a folder; False for a name that the system rejects."""
    try:
        return bool(name) and Path(name).is_dir()
    except (OSError, ValueError):
        return False


def _learned(name: str) -> Property:
    from property_models.learned.predictor import predictor

    return predictor(name.removeprefix(MODEL)).as_property(name)


def _uncertainty(name: str) -> Property:
    from property_models.learned.predictor import predictor

    return predictor(name.removeprefix(UNCERTAINTY)).as_uncertainty(name)

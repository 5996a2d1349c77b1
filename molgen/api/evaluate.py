"""Evaluation: molecules in any form -> rates and metrics by one or several conventions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from molgen.api.goals import PropertiesLike
from molgen.api.molecules import (
    MoleculesLike,
    Read,
    is_file,
    read_molecules,
    training_molecules,
)
from molgen.api.molecules import reference as _reference
from molgen.api.progress import Progress, progress_of
from molgen.checkpoints.files import INDEX, find
from molgen.checkpoints.hub import locate
from molgen.data.carried import carry
from molgen.errors import MolgenError
from molgen.molecules import evaluate as room
from molgen.molecules.conventions import (
    INCHIKEY,
    Convention,
    Count,
    convention,
    count,
    wasserstein,
)
from molgen.molecules.distribution import describe
from molgen.molecules.evaluate import ChemNet
from molgen.molecules.parsing import Molecule, interpret_all
from molgen.molecules.training_index import NO_INCHIKEYS, TrainingIndex
from molgen.sampling.result import Result
from molgen.utils.numbers import whole
from molgen.utils.parallel import cores
from property_models import alongside, compute, get
from property_models.external import costs
from property_models.registry import property_names

if TYPE_CHECKING:
    import pandas as pd

    from molgen.model import Model

DISTANCES = ("logp", "sa", "qed", "mw")  # those that MOSES reports
NO_PROPERTY = "none"


def evaluate(
    molecules: MoleculesLike,
    *,
    train: Model | TrainingIndex | MoleculesLike | None = None,
    reference: MoleculesLike | None = None,
    conventions: Sequence[str] | str | None = None,
    properties: PropertiesLike = (),
    column: str | None = None,
    train_column: str | None = None,
    reference_column: str | None = None,
    counts_only: bool = False,
    no_fcd: bool = False,
    device: str = "cpu",
    workers: int | None = None,
    rows: bool = True,
    progress: Progress | bool | None = None,
) -> Result[dict[str, Any]]:
    """Measure molecules by one or several conventions.

    Each convention has its own denominators of rates; molgen's own, strict, divides by all rows.

        molgen.evaluate(rows, train="zinc250k", conventions=("strict", "paper"))

    Args:
        molecules: a result, a table, SMILES or RDKit molecules in any container, or a file; one
            row each, invalid ones included.
        train: the training set, for novelty: a model or its name, or molecules in any form.
        reference: molecules to compare with (SNN, Frag, Scaf, FCD), in any form.
        conventions: of ``strict``, ``paper``, ``inchikey``, ``moses``, ``guacamol``. By default
            strict and paper, and with ``train`` inchikey, if its InChIKeys are known.
        properties: whose means, and distances to the reference, are reported: names or functions.
            By default distances of logp, sa, qed and mw; ``"none"`` omits them.
        column: of the SMILES in a file or a table; None for the usual ones.
        train_column: the same of ``train``.
        reference_column: the same of ``reference``.
        counts_only: counts alone: no diversity (quadratic in the number of rows), no filters.
        no_fcd: omit the Fréchet ChemNet distance, which takes about 5 ms a molecule and core.
        device: of its network.
        workers: number of processes; None for one a core.
        rows: whether to keep a row for each molecule, in ``output``.
        progress: False for none, or callbacks.

    Returns:
        A table with a row for each metric and a column for each convention; distances of properties
        are over all valid rows, the same in each column. ``counts`` has the same as a dictionary,
        and how molecules were read. ``output`` is a result with a row for each molecule: its
        status, unique and novel by the first convention, the properties, and the other columns of
        the input, ``_input`` behind a name of ours.

    Raises:
        MolgenError: if an argument is invalid, or molecules cannot be read.
    """
    progress = progress_of(progress)
    words: Sequence[str] = ("strict", "paper", *(() if train is None else ("inchikey",)))
    if conventions is not None:
        words = conventions.split(",") if isinstance(conventions, str) else conventions
    chosen = [convention(name.strip()) for name in words]
    names = _property_names(properties)
    workers = cores() if workers is None else whole("workers", workers)
    for name, of, given in (
        ("train", train_column, train),
        ("reference", reference_column, reference),
    ):
        if of is not None and given is None:
            raise MolgenError(f"{name}-column is given without {name}")
    read = read_molecules(molecules, column=column, drawn=True, others=rows)
    sources = {"file": read}
    others: list[str] = []
    if reference is not None:
        others, sources["reference"] = _reference(reference, reference_column, workers)
    known = None
    if train is not None:
        inchi = INCHIKEY in chosen
        known, sources["train"] = training_index(train, train_column, workers, inchi)
        if inchi and known.inchi_keys is None:
            if conventions is not None:
                raise MolgenError(NO_INCHIKEYS)
            chosen.remove(INCHIKEY)
            sources["train"].notes.append(f"inchikey is left out: {NO_INCHIKEYS}")
    network = None if no_fcd or counts_only else _chemnet(device, others, workers)
    for line in (*costs(names), *(line for source in sources.values() for line in source.notes)):
        progress.note(line)
    parsed = interpret_all(read.raw, workers, "molecules")
    features = describe(others, workers, "reference") if others and not counts_only else None
    found: dict[str, Any] = {
        "read": {name: source.facts for name, source in sources.items()},
        "rows": len(parsed),
        "status": dict(Counter(str(molecule.status) for molecule in parsed)),
        **room.evaluate(parsed, chosen, known, features, workers, "metrics", network, counts_only),
    }
    compared = names
    if not properties and {"strict", "paper"} & {c.name for c in chosen}:
        compared = [] if counts_only else list(DISTANCES)
    counted = [count(parsed, c, known, workers) for c in (chosen if names else chosen[:1])]
    values = _add_properties(found, counted, (names, compared), (parsed, others), workers)
    warning = known.check() if known is not None else None
    if warning:
        found["warning"] = warning
    output = None
    if rows:
        own = carry(_rows(parsed, counted[0], values), read.others)
        output = Result(own, found["status"], len(parsed), request=read.facts)
    return Result(_table(found, chosen), found, len(parsed), request=read.facts, output=output)


def training_index(
    train: Model | TrainingIndex | MoleculesLike,
    column: str | None = None,
    workers: int = 1,
    inchi: bool = False,
) -> tuple[TrainingIndex, Read]:
    """Return the training-set index of a model, or one made from molecules.

    Args:
        train: a model or its name, an index, or molecules in any form.
        column: of a file or table.
        workers: number of processes.
        inchi: whether an index made from molecules has InChIKeys.

    Returns:
        The index, and a record of the reading.

    Raises:
        MolgenError: if it is neither, or the model has no index.
    """
    if isinstance(train, TrainingIndex):
        return train, Read([], facts={"molecules": len(train)})
    own = getattr(train, "training_index", None)
    name = train if isinstance(train, str | Path) else getattr(train, "name", "")
    if isinstance(own, TrainingIndex):
        return own, Read([], facts={"model": name})
    if is_file(train) or not isinstance(train, str | Path):
        molecules = cast("MoleculesLike", train)
        smiles, read = training_molecules(molecules, column, workers, "train", "train-column")
        label = "training-set index"
        return TrainingIndex.from_smiles(smiles, False, workers, label, inchi), read
    if column is not None:
        raise MolgenError(f"train-column is {column!r}, but {name!r} is a model: expected a file")
    path = find(locate(str(name)), INDEX)
    if not path.is_file():
        raise MolgenError(f"model {name!r} has no training-set index")
    return TrainingIndex.load(path), Read([], facts={"model": str(name)})


def _property_names(properties: PropertiesLike) -> list[str]:
    """Return the requested properties with those beside them, without repetitions.

    Raises:
        MolgenError: if one is unknown, or ``none`` is given with others.
    """
    names = alongside(property_names(properties))
    if NO_PROPERTY in names:
        if len(names) > 1:
            raise MolgenError(f"property {NO_PROPERTY} cannot be combined: {', '.join(names)}")
        return []
    for name in names:
        get(name)
    return names


def _chemnet(device: str, others: list[str], workers: int) -> ChemNet | None:
    """Return the inputs of FCD; None without a reference, or without the extra.

    Raises:
        MolgenError: if the device cannot be used.
    """
    from molgen.molecules import fcd
    from molgen.nn import chemnet as network
    from molgen.utils.threads import check_device

    if not others or not network.available():
        return None
    if device != "cpu":
        check_device(device)
    activations = network.chemnet(device)
    moments = fcd.reference_moments(others, activations, workers, "reference FCD")
    return ChemNet(moments, activations)


def _add_properties(
    result: dict[str, Any],
    counted: Sequence[Count],
    names: tuple[Sequence[str], Sequence[str]],
    sets: tuple[Sequence[Molecule], Sequence[str]],
    workers: int,
) -> dict[str, NDArray[np.float64]]:
    """Add means of properties by convention, and distances of their distributions.

    Args:
        result: modified in place.
        counted: rows by each convention.
        names: properties for means, and properties for distances.
        sets: the rows, and the SMILES of the reference, possibly none.
        workers: number of processes.

    Returns:
        The values of the properties for means, each with shape (rows,).
    """
    averaged, compared = names
    molecules, others = sets
    wanted = list(dict.fromkeys([*averaged, *(compared if others else ())]))
    if not wanted:
        return {}
    values = compute(wanted, [m.smiles for m in molecules], workers, "properties")
    means = {name: values[name] for name in averaged}
    for one in counted if means else ():
        result[one.convention.name] |= _property_means(one, means)
    if others:
        reference = compute(compared, others, workers, "reference properties")
        for name, column in reference.items():
            result[f"{name}_wasserstein"] = wasserstein(values[name], column)
    return means


def _property_means(counted: Count, values: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Return each property's mean over the unique rows and, with an index, the novel ones."""
    chosen = {"unique": counted.unique, "novel": counted.novel}
    return {
        f"{name}_mean_{which}": _mean(column[marks])
        for name, column in values.items()
        for which, marks in chosen.items()
        if marks is not None
    }


def _rows(
    molecules: Sequence[Molecule], counted: Count, values: Mapping[str, NDArray[np.float64]]
) -> pd.DataFrame:
    """Return a row for each molecule.

    Args:
        molecules: one a row.
        counted: ``valid``, ``unique`` and, with an index, ``novel``.
        values: of properties, each with shape (rows,).
    """
    import pandas as pd

    columns = {
        "index": range(len(molecules)),
        "raw": [molecule.raw for molecule in molecules],
        "smiles": [molecule.smiles for molecule in molecules],
        "status": [str(molecule.status) for molecule in molecules],
        "valid": counted.valid,
        "unique": counted.unique,
        **({} if counted.novel is None else {"novel": counted.novel}),
    }
    return pd.DataFrame({**columns, **values})


def _table(found: Mapping[str, Any], conventions: Sequence[Convention]) -> Any:
    """Return metrics as rows, and conventions as columns."""
    import pandas as pd

    names = [c.name for c in conventions]
    table = pd.DataFrame({name: found[name] for name in names})
    for key, value in found.items():
        if key.endswith("_wasserstein"):
            table.loc[key] = [value] * len(names)
    return table


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean without NaN (some conventions count invalid rows)."""
    given = values[values == values]
    return float(given.mean()) if len(given) else math.nan

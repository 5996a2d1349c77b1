"""Lead optimisation: words or objects -> leads and a request -> attempts with their outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from rdkit import Chem

from molgen.api.donors import donors_of
from molgen.api.goals import (
    GoalsLike,
    PropertiesLike,
    announce,
    columns_of,
    filters_of,
    goals_of,
)
from molgen.api.load import ModelLike, loaded
from molgen.api.molecules import MoleculesLike, lead, parents, read_molecules
from molgen.api.prepared import Prepared
from molgen.api.progress import Progress, progress_of
from molgen.api.scaffolds import AtomsLike, atoms
from molgen.constraints.likeness import Atoms, Likeness
from molgen.data.carried import Columns, carry
from molgen.discovery.goals import TOLERANCE
from molgen.discovery.leads import optimize as room
from molgen.discovery.leads.counts import LeadCounts
from molgen.discovery.leads.lead import Refused, read
from molgen.discovery.objectives import PARETO, SUM
from molgen.discovery.request import Budget, Request
from molgen.errors import MolgenError
from molgen.molecules.filters import Filters
from molgen.molecules.parents import parent_atoms
from molgen.molecules.parsing import parse
from molgen.molecules.smarts import read_smarts
from molgen.sampling.keywords import UNGUIDED, SettingWords, with_settings
from molgen.sampling.result import Result
from molgen.sampling.settings import Settings

if TYPE_CHECKING:
    import pandas as pd


@with_settings
def optimize(
    model: ModelLike,
    leads: MoleculesLike,
    goals: GoalsLike,
    *,
    similarity: float = 0.4,
    attempts: int = 20,
    oracle_calls: int = 0,
    stop_after: int | None = None,
    top_k: int | None = None,
    donors: MoleculesLike | None = None,
    aggregate: str = SUM,
    keep: AtomsLike = None,
    change: AtomsLike = None,
    column: str | None = None,
    filters: Filters | Sequence[str] | str = (),
    properties: PropertiesLike = (),
    tolerance: float = TOLERANCE,
    allow_training_molecules: bool = False,
    allow_radicals: bool = False,
    seed: int = 0,
    settings: Settings | None = None,
    progress: Progress | bool | None = None,
    **given: Unpack[SettingWords],
) -> Result[LeadCounts]:
    """Improve leads: mask a region, keep the rest, redraw the region, and stay similar to the lead.

    A range or a number is met or missed; ``max`` and ``min`` are met by an improvement over the
    lead. Without ``oracle_calls`` no property is computed while drawing.

        molgen.optimize("zinc250k", "CC(=O)NCC1CN(c2ccccc2)C(=O)O1", {"qed": ".9.."})

    Args:
        model: a loaded model, or its name.
        leads: one SMILES or RDKit molecule, several in a list, an array or a series, a table, or a
            file.
        goals: properties, or functions of a molecule, to ``"max"``, ``"min"``, a number,
            ``"LO..HI"`` or a ``Range``; or words such as ``"qed=.9.."``.
        similarity: least Tanimoto similarity to the lead.
        attempts: rows for each lead.
        oracle_calls: distinct molecules for each lead, itself included, that may be scored while
            drawing.
        stop_after: molecules that meet every goal, after which a lead gets no more attempts: by
            ``oracle_calls``, or with ``top_k`` those that the classifier finds likely to.
        top_k: molecules for each lead that the model's noisy classifier selects from all attempts;
            without ``oracle_calls``.
        donors: good molecules whose fragments are tried in place of parts of the lead, and which
            attempts may start from: in any form that leads have. Columns named as the goals'
            properties are their values; other values are computed, without oracle calls.
        aggregate: of several goals: the weighted ``sum``, or ``product`` or ``weighted-mean`` of
            desirabilities.
        keep: kept atoms: SMARTS, or for one lead ``"0,3,5-8"`` or a list of numbers.
        change: atoms that may change, in place of ``keep``.
        column: of a file or table, with the leads.
        filters: ``pains``, ``brenk``, ``moses``, ..., ``smarts:PATTERN`` or ``need:PATTERN``.
        properties: further properties to compute: names, or functions of a molecule.
        tolerance: around a number, in training standard deviations.
        allow_training_molecules: whether molecules of the training set are accepted, too.
        allow_radicals: whether molecules with unpaired electrons are accepted, too.
        seed: the same seed draws the same attempts.
        settings: of the sampler, to start from in place of the recommended ones.
        progress: False for none, or callbacks.
        **given: settings of sampling.

    Returns:
        A row for each attempt with its ``outcome``, ``ok`` for an improved molecule.

    Raises:
        MolgenError: if an argument is invalid, before anything is drawn.
    """
    progress = progress_of(progress)
    found = prepare_leads(
        model,
        leads,
        goals,
        progress,
        dict(given),
        budget=Budget(oracle_calls=oracle_calls, attempts=attempts, stop_after=stop_after),
        likeness=(similarity, keep, change),
        top_k=top_k,
        donors=donors,
        column=column,
        filters=filters,
        properties=properties,
        tolerance=tolerance,
        aggregate=aggregate,
        allow_training_molecules=allow_training_molecules,
        allow_radicals=allow_radicals,
        seed=seed,
        settings=settings,
    )

    def finished(rows: pd.DataFrame) -> None:
        progress.found(found.carried(rows))

    progress.begin(len(found.leads) * found.request.budget.attempts, "attempt")
    try:
        result = room.optimize(found.model, found.leads, found.request, progress.add, finished)
        return replace(result, table=found.carried(result.table), model=found.model)
    finally:
        progress.end()


def prepare_leads(
    model: ModelLike,
    leads: MoleculesLike,
    goals: GoalsLike,
    progress: Progress,
    given: dict[str, Any],
    *,
    budget: Budget,
    likeness: tuple[float, AtomsLike, AtomsLike],
    top_k: int | None,
    donors: MoleculesLike | None,
    column: str | None,
    filters: Filters | Sequence[str] | str,
    properties: PropertiesLike,
    tolerance: float,
    aggregate: str,
    allow_training_molecules: bool,
    allow_radicals: bool,
    seed: int,
    settings: Settings | None,
) -> Prepared:
    """Return leads and a request that is ready to run; arguments as of :func:`optimize`.

    Raises:
        MolgenError: if one is invalid.
    """
    if aggregate == PARETO:
        raise MolgenError("aggregate is 'pareto', which is for a search")
    wanted = goals_of(goals, given.pop("goal_weights", None), tolerance, model, aggregate)
    chosen = filters_of(filters)
    given_donors, notes = donors_of(donors, wanted)
    found = read_molecules(leads, "leads", column, others=True)
    texts = [lead(molecule) for molecule in parents(found.raw)]
    order = _order(leads, found.raw[0], texts[0])
    similarity, keep, change = likeness
    like = Likeness(
        similarity,
        _atoms("keep", keep, found.single, order),
        _atoms("change", change, found.single, order),
    )
    request = Request(
        wanted,
        top_k,
        chosen,
        like,
        budget,
        seed,
        guided_by={} if given.get("guidance") == UNGUIDED else None,
        allow_training_molecules=allow_training_molecules,
        allow_radicals=allow_radicals,
        properties=columns_of(properties),
        donors=given_donors,
    )
    model = loaded(model, progress)
    if found.single and isinstance(refused := read(0, texts[0], model, like), Refused):
        raise MolgenError(refused.reason)
    request = replace(request, settings=model.settings_of(given, base=settings))
    announce(model, request, [*found.notes, *notes], progress, scored=bool(budget.oracle_calls))
    carried = partial(_carry, found.others) if found.others else None
    return Prepared(model, request, carried, tuple(texts))


def _carry(others: Columns, rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the other columns of the file of their leads."""
    return carry(rows, others, rows["lead_index"].tolist())


def _order(leads: MoleculesLike, raw: str, text: str) -> dict[int, int]:
    """Return the places, in the SMILES of the lead, of the atoms that a caller numbers.

    Args:
        leads: as given; the atoms of a molecule are in its own order.
        raw: its SMILES.
        text: of the lead, without salts; it is a part of ``raw``.
    """
    mol = parse(raw)
    if mol is None:
        return {}
    own = parent_atoms(mol) if text in raw.split(".") else []
    given = list(range(mol.GetNumAtoms()))
    if isinstance(leads, Chem.Mol):
        copy = Chem.Mol(leads)
        Chem.MolToSmiles(copy)
        given = list(copy.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
    return {given[atom]: place for place, atom in enumerate(own)}


def _atoms(name: str, given: AtomsLike, single: bool, order: dict[int, int]) -> Atoms | None:
    """Read SMARTS, or indices such as ``0,3,5-8``.

    Raises:
        MolgenError: if it is neither, or indices are given for several leads.
    """
    try:
        found = atoms(given)
    except ValueError as error:
        raise MolgenError(f"{name}: {error}") from error
    if isinstance(found, str):
        read_smarts(found, f"{name} {found!r}")
    elif found is not None and not single:
        raise MolgenError(f"{name} is {given!r} for a file of leads, expected SMARTS")
    elif found is not None:
        wrong = [i for i in found if i not in order]
        if wrong and order:
            most = f"{min(order)}..{max(order)}"
            raise MolgenError(f"{name} has atom {wrong[0]}, expected indices in {most}")
        return [order.get(i, i) for i in found]
    return found

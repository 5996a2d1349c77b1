"""Design: words or objects -> a request -> molecules that meet every goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from molgen.api.goals import (
    GoalsLike,
    PropertiesLike,
    announce,
    columns_of,
    filters_of,
    goals_of,
    part_targets_of,
    remarks,
)
from molgen.api.load import ModelLike, loaded
from molgen.api.prepared import Prepared
from molgen.api.progress import Progress, progress_of
from molgen.api.scaffolds import AtomsLike, ScaffoldsLike, carry_scaffolds, constraints_of
from molgen.discovery import design as room
from molgen.discovery.counts import DesignCounts
from molgen.discovery.goals import TOLERANCE
from molgen.discovery.request import Budget, Request
from molgen.errors import MolgenError
from molgen.molecules.filters import Filters
from molgen.sampling.diversity import stop_of
from molgen.sampling.keywords import UNGUIDED, SettingWords, with_settings
from molgen.sampling.result import Result
from molgen.sampling.settings import Settings
from molgen.utils.numbers import whole

if TYPE_CHECKING:
    import pandas as pd


@with_settings
def design(
    model: ModelLike,
    goals: GoalsLike = None,
    n: int = 100,
    *,
    filters: Filters | Sequence[str] | str = (),
    scaffold: ScaffoldsLike = None,
    scaffold_file: str | Path | None = None,
    superstructure: bool = False,
    keep: AtomsLike = None,
    change: AtomsLike = None,
    part_targets: GoalsLike = None,
    per_scaffold: int | None = None,
    properties: PropertiesLike = (),
    tolerance: float = TOLERANCE,
    max_draws: int | None = None,
    no_filter: bool = False,
    allow_training_molecules: bool = False,
    allow_radicals: bool = False,
    novelty: str = "strict",
    seed: int = 0,
    diversity: float | str | None = None,
    settings: Settings | None = None,
    progress: Progress | bool | None = None,
    **given: Unpack[SettingWords],
) -> Result[DesignCounts]:
    """Draw until ``n`` valid, unique, new molecules meet every goal and pass every filter.

    A range is a filter; a number is met within the tolerance (whole-number properties exactly);
    ``max`` and ``min`` only guide. Goals on properties that the model is conditioned on guide the
    draws, the others filter them.

        molgen.design("zinc250k", {"qed": ".6..", "sa": "..3"}, 50, filters=["pains"])

    Args:
        model: a loaded model, or its name.
        goals: properties, or functions of a molecule, to a number, ``"max"``, ``"min"``,
            ``"LO..HI"``, ``"LO.."``, ``"..HI"`` or a ``Range``; or words such as ``"qed=.6.."``.
        n: molecules to deliver.
        filters: ``pains``, ``brenk``, ``moses``, ..., ``smarts:PATTERN`` (must not match) or
            ``need:PATTERN`` (must match).
        scaffold: SMILES that are grown at their attachment points (``*``); fragments joined by a
            dot or by ``|`` are linked. One or several, over which the rows cycle. What is put at
            each point is in a column, ``part_1`` or as the point is labelled (``[*:1]``: ``R1``),
            what links fragments in ``linker``.
        scaffold_file: a file of scaffolds.
        superstructure: whether a scaffold without attachment points may grow anywhere.
        keep: scaffolds are whole leads of which these atoms are kept: SMARTS, ``"0,3,5-8"`` or a
            list of numbers.
        change: atoms that may change, in place of ``keep``.
        part_targets: limits on the parts beside the scaffold, such as ``{"mw": "..150"}``, or
            ``{"R1:mw": "..150"}`` for one; a part is computed with hydrogen at its open bonds.
        per_scaffold: molecules to deliver for each scaffold, in place of ``n``.
        properties: further properties to compute: names, or functions of a molecule.
        tolerance: around a number, in training standard deviations.
        max_draws: budget of rows, with ``per_scaffold`` for each scaffold; by default 100 for each
            molecule.
        no_filter: deliver the first ``n`` rows without filtering, with the reason of a rejection in
            the column ``lost``.
        allow_training_molecules: deliver molecules of the training set, too.
        allow_radicals: deliver molecules with unpaired electrons, too.
        novelty: unique and new by canonical SMILES (``strict``), or by InChIKey (``inchikey``),
            which rejects tautomers of training molecules and of each other.
        seed: the same seed delivers the same molecules.
        diversity: draw at the model's stop nearest to a diversity such as 0.85, or at the stop of
            a name; without goals, guided by the targets of the stop, which filter nothing.
        settings: of the sampler, to start from in place of the recommended ones.
        progress: False for none, or callbacks.
        **given: settings of sampling.

    Returns:
        The molecules, fewer than ``n`` if the budget ended, with the counts of all rows drawn.

    Raises:
        MolgenError: if an argument is invalid, before anything is drawn.
    """
    progress = progress_of(progress)
    found = prepare(
        model,
        goals,
        n,
        progress,
        dict(given),
        filters=filters,
        scaffolds=(scaffold, scaffold_file, superstructure, keep, change),
        part_targets=part_targets,
        per_scaffold=per_scaffold,
        properties=properties,
        tolerance=tolerance,
        max_draws=max_draws,
        no_filter=no_filter,
        allow_training_molecules=allow_training_molecules,
        allow_radicals=allow_radicals,
        novelty=novelty,
        seed=seed,
        diversity=diversity,
        settings=settings,
    )
    request, drawn = found.request, 0
    total = request.count * (len(request.scaffolds) if request.per_scaffold else 1)
    progress.begin(total, "row" if no_filter else "molecule")

    def ended(rows: int) -> None:
        nonlocal drawn
        drawn += rows
        progress.drawn(drawn)
        if no_filter:
            progress.add(rows)

    def accepted(rows: pd.DataFrame) -> None:
        progress.add(len(rows))
        progress.found(rows)

    try:
        if no_filter:
            result = room.survey(found.model, request, progress.round, on_rows=ended)
        else:
            result = room.design(found.model, request, accepted, progress.round, on_rows=ended)
    finally:
        progress.end()
    return replace(result, table=found.carried(result.table), model=found.model)


def prepare(
    model: ModelLike,
    goals: GoalsLike,
    n: int,
    progress: Progress,
    given: dict[str, Any],
    *,
    filters: Filters | Sequence[str] | str,
    scaffolds: tuple[ScaffoldsLike, str | Path | None, bool, AtomsLike, AtomsLike],
    part_targets: GoalsLike,
    per_scaffold: int | None,
    properties: PropertiesLike,
    tolerance: float,
    max_draws: int | None,
    no_filter: bool,
    allow_training_molecules: bool,
    allow_radicals: bool,
    novelty: str,
    seed: int,
    diversity: float | str | None,
    settings: Settings | None,
) -> Prepared:
    """Return a request of design; arguments as of :func:`design`.

    Raises:
        MolgenError: if one is invalid.
    """
    wanted = goals_of(goals, given.pop("goal_weights", None), tolerance, model)
    if given.get("guidance") == UNGUIDED and len(wanted):
        raise MolgenError("guidance is none with a target, expected `molgen sample`")
    if no_filter and max_draws is not None:
        raise MolgenError("max-draws is given with no-filter, expected one of them")
    parts, file = constraints_of(*scaffolds)
    request = Request(
        wanted,
        whole("n", n) if per_scaffold is None else whole("per-scaffold", per_scaffold),
        filters_of(filters),
        parts,
        Budget(max_draws),
        seed,
        allow_training_molecules=allow_training_molecules,
        allow_radicals=allow_radicals,
        novelty=novelty,
        part_targets=part_targets_of(part_targets, parts),
        per_scaffold=per_scaffold is not None,
    )
    if request.per_scaffold and not parts:
        raise MolgenError("per-scaffold is given without scaffold or scaffold-file")
    purpose = "sampling" if no_filter else "design"
    tuned = None if parts else wanted.targets  # presets are for whole molecules
    model = loaded(model, progress)
    columns = columns_of(properties, model)
    if diversity is not None:
        stop = stop_of(model, diversity, given)
        given = {**given, "preset": stop.sampling}
        progress.remark(f"stop {stop}")
        if not len(wanted):
            columns = tuple(dict.fromkeys([*stop.targets, *columns]))
            guided = given.get("guidance") != UNGUIDED
            request = replace(request, guided_by=stop.targets if guided else {})
    chosen = model.settings_of(given, purpose, tuned, settings)
    request = replace(request, settings=chosen, properties=columns)
    request = replace(request, guided_by=room.resolve(model, request, purpose).guided_by)
    announce(model, request, file.notes() if file else (), progress)
    for line in remarks(request, no_filter):
        progress.remark(line)
    return Prepared(model, request, partial(carry_scaffolds, file=file) if file else None)

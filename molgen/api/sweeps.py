"""Sweeps: words or objects -> methods, axes and an objective; shared by the comparisons."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from molgen.api.load import ModelLike, load, loaded
from molgen.api.progress import Progress
from molgen.checkpoints.hub import resolve
from molgen.errors import MolgenError
from molgen.frontiers import default_methods
from molgen.frontiers import sweep as room
from molgen.frontiers.comparison import Comparison
from molgen.frontiers.duration import duration
from molgen.frontiers.method import METHOD, SHAPING, Method
from molgen.frontiers.plan import Sweep, objective_for, plan
from molgen.frontiers.store import Record, Run, Store
from molgen.model import NO_GUIDE, Model
from molgen.sampling.result import COMPLETE, INTERRUPTED, Result
from molgen.sampling.settings import BY_NAME, MOST
from molgen.targets import Target
from molgen.utils.hints import one_of
from molgen.utils.numbers import whole
from molgen.utils.threads import check_device
from property_models.registry import PropertyLike, is_function, property_name

if TYPE_CHECKING:
    import pandas as pd

Words: TypeAlias = Mapping[str, Any]
MethodsLike: TypeAlias = str | Method | Sequence[str | Method] | Mapping[str, Words]
"""Words such as ``"ReMDM; remask=rescale:eta=.1"``, or labels with settings by name:
``{"MDLM": {}, "ReMDM": {"remask": "rescale:eta=.1", "remask_weights": "sharpened"}}``."""
MOST_AXIS = 100  # values of one axis


def methods_of(methods: MethodsLike, model: str) -> list[Method]:
    """Return methods of a comparison.

    Args:
        methods: in any form.
        model: of methods that name none.

    Raises:
        MolgenError: naming the part that cannot be read.
    """
    if isinstance(methods, Mapping):
        return [_method(label, words, model) for label, words in methods.items()]
    several = [methods] if isinstance(methods, str | Method) else methods
    return [one if isinstance(one, Method) else Method.parse(one, model) for one in several]


def _method(label: str, given: Words, model: str) -> Method:
    """Return a method from settings by name, in words or as objects."""
    words = {"model": given.get("model", model)}
    for name, value in given.items():
        option = BY_NAME.get(name)
        if name != "model" and (option is None or option.key not in {**METHOD, **SHAPING}):
            allowed = [o.name for o in BY_NAME.values() if o.key in {**METHOD, **SHAPING}]
            raise MolgenError(f"method {label}: {name!r} is unknown, {one_of(name, allowed)}")
        if option is not None:
            words[option.key] = value if isinstance(value, str) else str(option.write(value))
    return Method(label, **words)


def axis(name: str, values: Any, fractions: bool = False, least: int = 1) -> tuple[Any, ...]:
    """Return the values of an axis: one number, or several.

    Args:
        name: of the axis.
        values: a number, or several in any container.
        fractions: whether any finite number is allowed, not whole numbers alone.
        least: smallest whole number.

    Raises:
        MolgenError: if one is out of range, or there are none or too many.
    """
    several = list(values) if isinstance(values, Iterable) else [values]
    if isinstance(values, str) or not 0 < len(several) <= MOST_AXIS:
        raise MolgenError(f"{name} is {values!r}, expected 1 to {MOST_AXIS} numbers")
    if not fractions:
        most = MOST if least == 1 else None
        return tuple(dict.fromkeys(whole(name, value, least, most) for value in several))
    try:
        found = tuple(dict.fromkeys(float(value) for value in several))
    except (TypeError, ValueError) as error:
        raise MolgenError(f"{name} is {values!r}, expected numbers") from error
    if not all(map(math.isfinite, found)):
        raise MolgenError(f"{name} is {values!r}, expected finite numbers")
    return found


def speed_of(batch_size: int | None, device: str | None, dtype: str | None) -> dict[str, Any]:
    """Return the settings that change nothing but speed, and the number format.

    Raises:
        MolgenError: if the device cannot be used.
    """
    if device is not None:
        check_device(device)
    named = {"batch_size": batch_size, "device": device, "dtype": dtype}
    return {name: value for name, value in named.items() if value is not None}


def guidable(property: PropertyLike) -> str:
    """Return the name of a property, which a model may not know.

    Raises:
        MolgenError: if it is a user's function, by which draws cannot be guided.
    """
    name = property_name(property)
    if is_function(name):
        raise MolgenError(f"property {name} {NO_GUIDE}")
    return name


def prepare(
    model: ModelLike,
    name: str,
    target: Target | str | None,
    n: int,
    methods: MethodsLike,
    baselines: Sequence[str],
    axes: tuple[tuple[float, ...], tuple[int, ...], tuple[int, ...]],
    budgets: tuple[int, ...],
    speed: Mapping[str, Any],
    progress: Progress,
    small: bool = False,
) -> tuple[Sweep, dict[str, Model]]:
    """Return a sweep and its models, loaded once each.

    Args:
        model: of methods that name none.
        name: of the property.
        target: of the property; None for the best tenth of the data.
        n: rows a run.
        methods: of sampling; none for the default ones.
        baselines: further models as methods, without remasking.
        axes: strengths, numbers of steps and seeds.
        budgets: of forwards a row, for methods that retry failed rows.
        speed: see :func:`speed_of`.
        progress: receives a note for each default baseline that is left out.
        small: whether the default methods are few.

    Raises:
        MolgenError: if an argument is out of range.
    """
    own = resolve(model) if isinstance(model, str | Path) else model.name
    given = methods_of(methods, own)
    base = loaded(own if isinstance(model, str | Path) else model)
    models = {own: base}
    objective = objective_for(base, name, None if target is None else str(target), whole("n", n))
    chosen = given or default_methods.of(base)
    names = [resolve(baseline) for baseline in baselines]
    notes: list[str] = []
    if not given:
        names, notes = default_methods.baselines(own, names)
    for line in notes:
        progress.note(line)
    for other in [*(method.model for method in given), *names]:
        models[other] = models.get(other) or load(other)
    further = (default_methods.of_baseline(models[other]) for other in names)
    chosen = [*chosen, *itertools.chain.from_iterable(further)]
    if small and not given:
        chosen = default_methods.few(chosen, names)
    return Sweep(objective, tuple(chosen), *axes, budgets, speed), models


def execute(
    sweep: Sweep,
    models: Mapping[str, Model],
    folder: Path,
    write_table: Callable[[list[Record]], None],
    progress: Progress,
) -> tuple[list[Record], str]:
    """Draw missing runs; return all runs of the folder, and why it ended early, if it did.

    First a note has the number of rows, and about how long they take.

    Args:
        sweep: the request.
        models: by name.
        folder: of the sweep.
        write_table: writes a table of the finished runs; called after each run.
        progress: callbacks.
    """
    if progress.shown:  # the estimate takes some draws
        size = duration(sweep, models, folder)
        if size.runs:
            progress.note(str(size))
    store, count, begun = Store(folder), itertools.count(1), []

    def start(total: int, finished: int) -> None:
        begun.extend([total, finished])
        progress.begin((total - finished) * sweep.objective.n, "row")

    def begin(run: Run) -> None:
        progress.stage(f"{begun[1] + next(count)}/{begun[0]} {run}")

    def end(record: Record) -> None:
        progress.round(record)
        write_table(store.records())

    try:
        return room.run(sweep, models, folder, room.Progress(start, begin, progress.add, end)), ""
    except KeyboardInterrupt:
        stored = store.records()
        if not begun:
            raise
        if stored:
            write_table(stored)  # perhaps one more than in the table
        wanted = {record.name for record in plan(sweep, models)}
        finished = sum(record.name in wanted for record in stored)
        done = f"{finished} of {len(wanted)} runs are finished"
        return stored, f"{INTERRUPTED}: {done}; the same command continues"
    finally:
        progress.end()


def finished(folder: Path, name: str) -> list[Record]:
    """Return the finished runs of a folder, for charts without a sweep.

    Raises:
        MolgenError: if there are none, or they are of another property.
    """
    records = Store(folder).records()
    if not records:
        raise MolgenError(f"{str(folder)!r} has no finished runs to chart")
    if records[0].objective.property != name:
        raise MolgenError(
            f"property is {name}, expected {records[0].objective.property}, that of "
            f"the runs in {str(folder)!r}"
        )
    return records


def labels(methods: MethodsLike) -> tuple[str, ...]:
    """Return the labels of given methods, which is the order of the charts."""
    return tuple(method.label for method in methods_of(methods, "model"))


def result(
    table: pd.DataFrame,
    records: Sequence[Record],
    sweep: Sweep | None,
    reason: str = COMPLETE,
    made: Comparison | None = None,
) -> Result[dict[str, int]]:
    """Return the result of a comparison.

    Args:
        table: of the runs.
        records: of the folder.
        sweep: the request; None for charts alone.
        reason: of the end.
        made: the charts; None if interrupted.
    """
    counts = {"runs": len(records), "rows": sum(record.objective.n for record in records)}
    planned = len(sweep.cells()) if sweep and made is None else len(records)
    return Result(table, counts, planned, reason, sweep, made)

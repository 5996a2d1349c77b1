"""Reports: a table of molecules, with the record of its run -> one HTML page."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.api.campaign import Campaign
from molgen.api.goals import PropertiesLike, columns_of
from molgen.api.load import ModelLike
from molgen.api.molecules import (
    MoleculesLike,
    is_file,
    other_columns,
    parents,
    read_molecules,
    smiles_column,
)
from molgen.api.molecules import reference as read_reference
from molgen.api.progress import Progress, progress_of
from molgen.campaigns.store import is_campaign
from molgen.checkpoints.hub import HUB, locate
from molgen.data.cells import INPUT, text_of
from molgen.data.tables import read_table
from molgen.data.text_file import STDIN
from molgen.errors import MolgenError
from molgen.molecules.fate import Fate
from molgen.molecules.parsing import Status
from molgen.molecules.training_index import TrainingIndex
from molgen.reports import record as words
from molgen.reports import training
from molgen.reports.data import Distribution, Funnel, ReportData
from molgen.reports.page import write_page
from molgen.reports.rows import CALLS
from molgen.sampling.result import Result
from molgen.sampling.settings import to_words
from molgen.utils.files import check_writable
from molgen.utils.numbers import whole
from molgen.utils.parallel import cores
from molgen.utils.run_record import FORMAT, RunRecord, plain, read_record, record_path, versions
from property_models import compute

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".html", ".htm")
ROWS = 10_000
"""Of a page, which then has about 6 MB."""
SCORE = "score"


def report(
    molecules: MoleculesLike | Campaign,
    out: str | Path,
    *,
    model: ModelLike | None = None,
    reference: MoleculesLike | None = None,
    properties: PropertiesLike = (),
    title: str = "",
    column: str | None = None,
    reference_column: str | None = None,
    rows: int = ROWS,
    workers: int | None = None,
    progress: Progress | bool | None = None,
) -> Result[dict[str, int]]:
    """Write one HTML page on molecules, which needs no network.

    It has the request and the outcome in words, the funnel from drawn to accepted, histograms of
    properties against the training set, a chart of any two properties with its frontier, a diverse
    subset, groups by scaffold and by what was put at attachment points, and a table to sort, filter
    and search, with downloads of CSV, SMILES and SDF.

        molgen.report("designs.csv", "designs.html")
        molgen.report(found, "found.html", reference="train.csv.gz")
        molgen.report("night.campaign", "night.html")

    Args:
        molecules: a file, a result, a campaign, a table, or molecules in any form. The record of
            the run is read where it is beside the file.
        out: of the page, ``.html``.
        model: whose training set the properties are compared with, or its name; by default that of
            the record.
        reference: molecules among which the nearest is looked up, in any form, for example the
            training file; without ``model`` properties are compared with theirs.
        properties: further properties to compute: names or functions.
        title: of the page; by default the name of the file.
        column: of the SMILES in a file or a table; None for the usual ones.
        reference_column: the same of ``reference``.
        rows: of the page at most, the first ones; the funnel counts all.
        workers: number of processes; None for one a core.
        progress: False for none, or callbacks.

    Returns:
        The rows of the page; ``counts`` has the numbers of rows, molecules and bytes, and
        ``output`` the path of the page.

    Raises:
        MolgenError: if an argument is invalid, or molecules cannot be read.
        OSError: if the page cannot be written; no part of a file is left.
    """
    progress = progress_of(progress)
    if isinstance(molecules, str | Path) and is_campaign(molecules):
        with Campaign(molecules) as opened:
            return report(
                opened,
                out,
                model=model,
                reference=reference,
                properties=properties,
                title=title,
                column=column,
                reference_column=reference_column,
                rows=rows,
                workers=workers,
                progress=progress,
            )
    own = molecules if isinstance(molecules, Campaign) else None
    source = "" if own else _file(molecules)
    if Path(out).suffix.lower() not in SUFFIXES:
        raise MolgenError(f"out is {str(out)!r}, expected a name ending in .html")
    check_writable(out, source if source and source != STDIN else None)
    workers = cores() if workers is None else whole("workers", workers)
    rows = whole("rows", rows)
    names = columns_of(properties)
    if reference_column is not None and reference is None:
        raise MolgenError("reference-column is given without reference")
    notes: list[str] = []
    if own is not None:
        run: RunRecord | None = own.record()
        given: Any = _first(own, rows)
        title, model = title or own.path.name, own.model if model is None else model
        if own.status().done > len(given):
            notes.append(f"The page has the first {len(given):,} of {own.status().done:,} rows.")
    else:
        given, run = molecules, _record_of(molecules, source, progress)
    table = _table(given, source, column, workers)
    compared = _compared(model, run, given, reference is None, notes)
    others = None
    if reference is not None:
        smiles, read = read_reference(reference, reference_column, workers)
        others = Path(str(read.facts.get("file", "the reference"))).name, smiles
        if compared[0] is None:
            compared = training.of_molecules(smiles, others[0], workers), compared[1]
    else:
        notes.append(
            "The nearest training molecule is not shown: a model holds no training molecules, only "
            "an index of them. Give the training file as --reference FILE."
        )
    shown = table.head(rows)
    if len(shown) < len(table):
        notes.append(f"The page has the first {len(shown):,} of {len(table):,} rows.")
    new = [name for name in names if name not in table]
    shown = shown.assign(**compute(new, shown["smiles"].tolist(), workers, "properties"))
    data = _data(table, source, title, run, compared, others, notes)
    data = replace(data, table=shown)
    if own is not None:
        going_on = shlex.join(["molgen", "campaign", "run", str(own.path)])
        data = replace(data, commands={"the campaign": going_on}, history=_history(own))
        source = str(own.path)
    if source:
        command = ["molgen", "report", source, "--out", str(out)]
        command += ["--model", str(model)] if isinstance(model, str | Path) else []
        command += ["--reference", str(reference)] if isinstance(reference, str | Path) else []
        data = replace(data, commands={**data.commands, "this page": shlex.join(command)})
    size = write_page(data, out, workers)
    counts = {"rows": len(shown), "molecules": int((shown["smiles"] != "").sum()), "bytes": size}
    return Result(shown, counts, len(table), request=data, output=Path(out))


def _file(molecules: Any) -> str:
    """Return the path of molecules in a file, empty for others."""
    return str(molecules) if isinstance(molecules, Path) or is_file(molecules) else ""


def _first(campaign: Campaign, rows: int) -> pd.DataFrame:
    """Return the first rows of a campaign."""
    import pandas as pd

    parts: list[pd.DataFrame] = []
    for part in campaign.tables():
        parts.append(part)
        if sum(map(len, parts)) >= rows:
            break
    return pd.concat(parts, ignore_index=True).head(rows)


def _history(campaign: Campaign) -> pd.DataFrame | None:
    """Return the score of each molecule that was scored, in the order of rows; None for none."""
    import pandas as pd

    scored = campaign.status().scored
    if not scored:
        return None
    parts = [part[[*scored]].dropna() for part in campaign.tables(True) if {*scored} <= {*part}]
    if not parts:
        return None
    values = pd.concat(parts, ignore_index=True)[next(iter(scored))].astype(float)
    return pd.DataFrame({"calls": range(1, len(values) + 1), SCORE: values})


def _table(molecules: MoleculesLike, source: str, column: str | None, workers: int) -> pd.DataFrame:
    """Return the rows: ``smiles``, ``raw``, ``status``, and the other columns.

    Raises:
        MolgenError: if there are none, or no column of molecules.
    """
    import pandas as pd

    given: Any = molecules.table if isinstance(molecules, Result) else molecules
    if source:
        given = read_table(source)
    if not hasattr(given, "columns"):
        given = pd.DataFrame({"raw": read_molecules(given).raw})
    if not len(given):
        raise MolgenError(f"{source or 'molecules'} has no rows, expected at least one molecule")
    place = smiles_column(given, source or "molecules", column, False)
    texts = [text_of(value).strip() for value in given.iloc[:, place].tolist()]
    found = parents(texts, workers)
    columns: dict[str, Any] = {"smiles": [molecule.smiles for molecule in found], "raw": texts}
    carried = dict(other_columns(given, place))
    if "raw" in carried:
        raw = map(text_of, carried.pop("raw"))
        columns["raw"] = [text or other for text, other in zip(texts, raw, strict=True)]
    states = carried.pop("status", [""] * len(texts))
    columns["status"] = [
        str(state) if not molecule.ok and text_of(state) else str(molecule.status)
        for state, molecule in zip(states, found, strict=True)
    ]
    if any(m.ok and "." in m.raw for m in found):  # of a salt the organic fragment
        columns["as_given"] = [m.raw if m.ok and "." in m.raw else "" for m in found]
    for name, values in carried.items():
        columns[f"{name}{INPUT}" if name in columns else name] = values
    return pd.DataFrame(columns)


def _record_of(molecules: MoleculesLike, source: str, progress: Progress) -> RunRecord | None:
    """Return the record of the run behind molecules, None if there is none."""
    if isinstance(molecules, Result):
        return _result_record(molecules)
    path = record_path(source) if source and source != STDIN else None
    if path is None or not path.is_file():
        return None
    try:
        return read_record(path)
    except (ValueError, OSError) as error:
        progress.note(f"{path} is not used: {error}")
        return None


def _result_record(result: Result[Any]) -> RunRecord:
    """Return the record of a result in memory, without a command."""
    request = result.request
    targets = getattr(getattr(request, "goals", request), "targets", {})
    settings = getattr(request, "settings", None)
    return RunRecord(
        molgen_record=FORMAT,
        command="",
        words=[word for name, one in targets.items() for word in ("--target", f"{name}={one}")],
        seed=getattr(request, "seed", None),
        settings={} if settings is None else to_words(settings),
        versions=versions(),
        counts=plain(result.counts),
        reason=result.reason,
        rows=len(result.table),
    )


def _compared(
    model: ModelLike | None,
    run: RunRecord | None,
    molecules: MoleculesLike,
    wanted: bool,
    notes: list[str],
) -> tuple[Distribution | None, TrainingIndex | None]:
    """Return the training set of a model: that given, else that of the run.

    Args:
        model: given.
        run: the record of the run. A model that it names is not fetched from the hub.
        molecules: a result may have its model.
        wanted: whether the run's model is compared with, where none is given.
        notes: of the page; a missing model is noted.

    Raises:
        MolgenError: if the model given cannot be read.
    """
    chosen = model if model is not None else getattr(molecules, "model", None)
    if chosen is not None and not isinstance(chosen, str | Path):
        label = f"training set of {chosen.name}"
        return training.of_prior(chosen.prior, label), chosen.training_index
    if chosen is not None:
        return training.of_folder(locate(chosen), f"training set of {chosen}")
    if run is None or run.model is None:
        return None, None
    name = run.model.name
    try:
        if name.startswith(HUB):
            raise MolgenError(f"model {name!r} is on the hub, expected as --model")
        found, index = training.of_folder(locate(name), f"training set of {name}")
    except (ValueError, OSError) as error:
        notes.append(f"Not compared with the training set of the run: {error}")
        return None, None
    return found if wanted else None, index


def _data(
    table: pd.DataFrame,
    source: str,
    title: str,
    run: RunRecord | None,
    compared: tuple[Distribution | None, TrainingIndex | None],
    reference: tuple[str, Sequence[str]] | None,
    notes: Sequence[str],
) -> ReportData:
    """Return the content of the page."""
    funnel = (words.funnel(run) if run is not None else None) or _funnel(table, compared[1])
    calls = next((name for name in CALLS if name in table and SCORE in table), None)
    history = table.rename(columns={calls: "calls"})[["calls", SCORE]] if calls else None
    name = Path(source).name if source and source != STDIN else "Molecules"
    return ReportData(
        table,
        title or name,
        words.outcome(run, len(table)) if run is not None else _outcome(table, source, funnel),
        words.request(run) if run is not None else {},
        words.goals(run) if run is not None else {},
        words.commands(run, source) if run is not None and source else {},
        funnel,
        history,
        compared[0],
        reference,
        notes,
    )


def _outcome(table: pd.DataFrame, source: str, funnel: Funnel) -> str:
    rows = f"{len(table):,} {'row' if len(table) == 1 else 'rows'}"
    place = f" of {Path(source).name}" if source and source != STDIN else ""
    return f"{rows}{place}: {funnel.accepted:,} {funnel.kept}."


def _funnel(table: pd.DataFrame, index: TrainingIndex | None) -> Funnel:
    """Return the funnel of a table without the record of a run."""
    smiles, rejected = table["smiles"].tolist(), Counter[str]()
    for state in table["status"]:
        if state != Status.OK:
            rejected[Fate.INVALID.of(state)] += 1
    distinct = list(dict.fromkeys(text for text in smiles if text))
    rejected[str(Fate.DUPLICATE)] = len(smiles) - rejected.total() - len(distinct)
    known = int(index.contains(distinct).sum()) if index is not None else 0
    if index is not None:
        rejected[str(Fate.IN_TRAINING_SET)] = known
    kept: Mapping[str, int] = dict(rejected)
    label = "new molecules" if index is not None else "distinct molecules"
    return Funnel(len(smiles), "rows", kept, len(distinct) - known, label)

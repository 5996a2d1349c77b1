"""A campaign's run: its engine, its work, and its state in numbers."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from molgen.campaigns import scheduler, searching
from molgen.campaigns.designing import Designing
from molgen.campaigns.engine import Engine
from molgen.campaigns.improving import Improving
from molgen.campaigns.local import Local
from molgen.campaigns.plan import LEADS, SEARCH, Plan
from molgen.campaigns.scheduler import COLUMNS_FACT
from molgen.campaigns.searching import Spread
from molgen.campaigns.status import Rate, Status
from molgen.campaigns.store import OK, Store
from molgen.campaigns.tables import tables as rows
from molgen.campaigns.watch import Published
from molgen.discovery import request_files
from molgen.discovery.request_files import NAMED
from molgen.discovery.search_state import Method, Search
from molgen.errors import MolgenError
from molgen.model import Model
from property_models import callables
from property_models.scorers import Scorer

if TYPE_CHECKING:
    import pandas as pd

LOCAL, DASK = "local", "dask"
EVERY_ROW = 1 << 62


EngineLike = str | Callable[[Plan], Engine]
"""The name of an engine, or a function that returns one for a plan."""


def check_engine(name: EngineLike, workers: int | None, address: str | None) -> None:
    """Check the name of an engine and its arguments.

    Raises:
        MolgenError: if there is none, or it does not take the arguments.
    """
    if workers is not None and workers < 1:
        raise MolgenError(f"workers is {workers}, expected at least 1")
    if isinstance(name, str) and name not in (LOCAL, DASK):
        raise MolgenError(f"engine is {name!r}, expected {LOCAL} or {DASK}")
    if name == LOCAL and address is not None:
        raise MolgenError(f"address is {address!r} with engine local, expected engine dask")


def engine_of(name: EngineLike, plan: Plan, workers: int | None, address: str | None) -> Engine:
    """Return an engine.

    Raises:
        MolgenError: as :func:`check_engine`.
    """
    if not isinstance(name, str):
        return name(plan)
    check_engine(name, workers, address)
    if name == LOCAL:
        return Local(plan, workers)
    from molgen.campaigns.dask import Dask  # an extra

    return Dask(plan, workers, address)


def run_tasks(
    store: Store, plan: Plan, work: Designing | Improving, engine: Engine, shown: bool
) -> str:
    """Run the tasks of a campaign to its end; return the reason.

    Args:
        store: the file.
        plan: of the campaign.
        work: its tasks.
        engine: runs them.
        shown: whether the state is shown on stderr.

    Raises:
        MolgenError: as :func:`molgen.campaigns.scheduler.run`.
    """
    rate = Rate(work.done)
    n = int(store.facts()["n"])
    store.set_facts(paid=list(plan.paid), reason="")

    def state() -> Status:
        return Status(
            plan.kind,
            n,
            store.fates[OK],
            sum(store.fates.values()),
            dict(store.fates),
            work.waiting,
            best=store.best(),
            workers=engine.workers,
            rate=rate(work.done),
            done=min(work.done, n),
        )

    with Published(store.path, state, shown) as published:
        return scheduler.run(store, work, engine, published)


def run_search(
    store: Store,
    plan: Plan,
    model: Model,
    method: Method,
    pareto: bool,
    engine: Engine | None,
    workers: int,
    shown: bool,
) -> str:
    """Run a search to its end; return the reason.

    Args:
        store: the file.
        plan: of the campaign.
        model: that draws, in this process.
        method: of the search.
        pareto: see :func:`molgen.discovery.search.search`.
        engine: runs the user's functions; None for processes on this machine.
        workers: number of these.
        shown: whether the state is shown on stderr.

    Raises:
        MolgenError: as :func:`molgen.campaigns.searching.search`.
    """
    n, states = int(store.facts()["n"]), list[Search]()
    store.set_facts(reason="")

    def state() -> Status:
        if not states:
            return Status(SEARCH, n, 0, 0, workers=workers)
        counts = states[-1].counts
        facts = counts.drawn, dict(counts.fates), 0, counts.forwards, counts.classifier_forwards
        return Status(SEARCH, n, counts.accepted, *facts, workers=workers)

    with (
        Published(store.path, state, shown) as published,
        closing(Spread(plan.timeout, workers, folder=plan.folder, engine=engine)) as scoring,
    ):

        def on_round(search: Search) -> None:
            states[:] = [search]
            published()

        reason = searching.search(store, model, plan.request, method, pareto, scoring, on_round)
    for line in scoring.report():
        print(line, file=sys.stderr)
    return reason


def status(store: Store) -> Status:
    """Return the state of a campaign that is not running: of the rows up to the last accepted."""
    facts, command = store.facts(), store.request()["command"]
    n, end = facts["n"], EVERY_ROW if command == LEADS else _end(store, facts["n"])
    fates, forwards, classifier_forwards = store.counts(end)
    accepted = fates[OK]
    if command == SEARCH:
        fates = Counter(facts.get("counts", {}))
    return Status(
        command,
        n,
        accepted,
        facts.get("drawn", sum(fates.values())),
        dict(fates),
        sum(row < end for row, _ in store.waiting()),
        forwards,
        classifier_forwards,
        store.scored(),
        store.best(),
        facts.get("reason", ""),
        done=facts.get("done", min(accepted, n)),
    )


def tables(store: Store, every: bool = False) -> Iterator[pd.DataFrame]:
    """Yield the molecules of a campaign in tables of consecutive rows, at least one table."""
    import pandas as pd

    facts = store.facts()
    columns, found = facts.get(COLUMNS_FACT, []), False
    if "outcome" in columns:  # of leads: all attempts, each with its properties
        parts = rows(store, columns, (), EVERY_ROW, True)
    else:
        parts = rows(store, columns, facts.get("paid", ()), _end(store, facts["n"]), every)
    for table in parts:
        found = True
        yield table
    if not found:
        yield pd.DataFrame(columns=columns or ["index", "raw", "smiles"])


def _end(store: Store, n: int) -> int:
    """Return the row behind the last one that counts."""
    last = store.last(n)
    return EVERY_ROW if last is None else last + 1


def _source(name: str) -> str:
    """Return a digest of a function that a program gave; empty if there is no text of it."""
    given = callables.given(name)
    if given is None:
        return ""
    function: Any = given.function
    if isinstance(function, Scorer):
        function = function.function
    try:
        return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()
    except (OSError, TypeError):  # it was typed, or is no Python function
        return ""


def contents(request: Mapping[str, Any]) -> dict[str, str]:
    """Return digests of the files that a request names, by their names."""
    named = [text for name in NAMED if isinstance(text := request.get(name), str)]
    guidance, goals = request.get("guidance"), request["goals"] or []
    names = list(goals) if isinstance(goals, dict) else []
    names += request.get("properties") or []
    words = guidance if isinstance(guidance, str) else ""
    own = {f"content of {name}": text for name in names if (text := _source(name))}
    return own | request_files.contents(named, words, names)

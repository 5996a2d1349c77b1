"""A campaign's run: its engine, its work, and its state in numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from molgen.campaigns import scheduler
from molgen.campaigns.designing import Designing
from molgen.campaigns.engine import Engine
from molgen.campaigns.local import Local
from molgen.campaigns.plan import Plan
from molgen.campaigns.scheduler import COLUMNS_FACT
from molgen.campaigns.status import Rate, Status
from molgen.campaigns.store import OK, Store
from molgen.campaigns.tables import tables as rows
from molgen.campaigns.watch import Published
from molgen.discovery.design import DRAWS_PER_MOLECULE
from molgen.errors import MolgenError
from molgen.utils.files import digest
from property_models.registry import files

if TYPE_CHECKING:
    import pandas as pd

LOCAL, DASK = "local", "dask"
EVERY_ROW = 1 << 62


EngineLike = str | Callable[[Plan], Engine]
"""The name of an engine, or a function that returns one for a plan."""


def check_engine(name: str, workers: int | None, address: str | None) -> None:
    """Check the name of an engine and its arguments.

    Raises:
        MolgenError: if there is none, or it does not take the arguments.
    """
    if workers is not None and workers < 1:
        raise MolgenError(f"workers is {workers}, expected at least 1")
    if name not in (LOCAL, DASK):
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
    return Local(plan, workers)


class Run:
    """A run of a design campaign; a context manager.

    Args:
        store: the file.
        plan: of the campaign.
        n: molecules to accept.
        max_draws: budget of rows; None for the default.
        block: rows of a block.
        engine: runs the tasks.
    """

    def __init__(
        self, store: Store, plan: Plan, n: int, max_draws: int | None, block: int, engine: Engine
    ) -> None:
        self.store, self.engine = store, engine
        self.work = Designing(store, plan, n, max_draws or n * DRAWS_PER_MOLECULE, block)
        self.store.set_facts(paid=list(plan.paid), reason="")
        self._n, self._rate = n, Rate(self.work.accepted)

    def to_the_end(self, shown: bool) -> str:
        """Run to the end; return its reason.

        Args:
            shown: whether the state is shown on stderr.
        """
        with Published(self.store.path, self.status, shown) as published:
            return scheduler.run(self.store, self.work, self.engine, published)

    @property
    def stopped(self) -> str:
        """Why user's functions are not called any more; empty while they are."""
        return self.work.stopped

    def status(self) -> Status:
        """Return the state, without a look at all rows."""
        store, accepted = self.store, self.work.accepted
        return Status(
            "design",
            self._n,
            accepted,
            sum(store.fates.values()),
            dict(store.fates),
            self.work.waiting,
            best=store.best(),
            workers=self.engine.workers,
            rate=self._rate(accepted),
            done=min(accepted, self._n),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def status(store: Store) -> Status:
    """Return the state of a campaign that is not running: of the rows up to the last accepted."""
    facts, request = store.facts(), store.request()
    n, end = facts["n"], _end(store, facts["n"])
    fates, forwards, classifier_forwards = store.counts(end)
    return Status(
        request["command"],
        n,
        fates[OK],
        sum(fates.values()),
        dict(fates),
        sum(row < end for row, _ in store.waiting()),
        forwards,
        classifier_forwards,
        store.scored(),
        store.best(),
        facts.get("reason", ""),
        done=min(fates[OK], n),
    )


def tables(store: Store, every: bool = False) -> Iterator[pd.DataFrame]:
    """Yield the molecules of a campaign in tables of consecutive rows, at least one table."""
    import pandas as pd

    facts = store.facts()
    columns, paid = facts.get(COLUMNS_FACT, []), facts.get("paid", [])
    end, found = _end(store, facts["n"]), False
    for table in rows(store, columns, paid, end, EVERY_ROW, every):
        found = True
        yield table
    if not found:
        yield pd.DataFrame(columns=columns or ["index", "raw", "smiles"])


def _end(store: Store, n: int) -> int:
    """Return the row behind the last one that counts."""
    last = store.last(n)
    return EVERY_ROW if last is None else last + 1


CLASSIFIER = re.compile(r"\bclassifier=([^,]+)")


def contents(request: Mapping[str, Any]) -> dict[str, str]:
    """Return digests of the files that a request names, by their names."""
    named = [request.get(name) for name in ("leads", "preset", "scaffold_file")]
    found = [Path(text) for text in named if isinstance(text, str)]
    guidance = request.get("guidance")
    for text in CLASSIFIER.findall(guidance) if isinstance(guidance, str) else ():
        found += sorted(Path(text).glob("*"))
    goals = request["goals"] or []
    names = list(goals) if isinstance(goals, dict) else []
    names += request.get("properties") or []
    for name in names:
        found += files(name)
    paths = [path for path in dict.fromkeys(found) if path.is_file()]
    return {
        f"content of {name}": digest(path for path in paths if path.name == name)
        for name in {path.name for path in paths}
    }

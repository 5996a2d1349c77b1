"""The tasks of a campaign, as a worker process runs them.

A process loads the model once, and draws a probe before its first task: the first rows of the
request. The client compares it with that of the file, so that a processor with other last bits is
noticed before its rows are mixed with those of others.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import cloudpickle
import numpy as np

from molgen.campaigns.plan import LEADS, PROBE, Draw, Improve, Plan, Scoring, Task
from molgen.campaigns.store import Row
from molgen.discovery import design
from molgen.discovery.checks import check_rows
from molgen.discovery.leads import optimize
from molgen.discovery.novelty import with_inchikey_novelty
from molgen.discovery.request import Resolved, Source
from molgen.errors import MolgenError
from molgen.model import Model
from molgen.molecules.fate import Fate
from molgen.sampling import factory
from molgen.sampling.recipe import resolve
from property_models import alongside, callables, compute
from property_models import scorers as running
from property_models.calls import Outcome

if TYPE_CHECKING:
    import pandas as pd

OWN_COLUMNS = ("smiles", "unique")
"""Columns that are not among the stored cells: the file knows them."""
NO_VALUE = "no value"


@dataclass(frozen=True)
class Done:
    """What a worker returns.

    Attributes:
        task: that it ran.
        worker: its host and process.
        probe: digest of its probe; empty for a task that draws nothing.
        seconds: that the task took.
        rows: drawn.
        columns: of their cells.
        forwards: of the network, in all.
        classifier_forwards: of a noisy classifier.
        scores: outcomes by property and molecule.
    """

    task: Task
    worker: str
    probe: str
    seconds: float
    rows: Sequence[Row] = ()
    columns: Sequence[str] = ()
    forwards: int = 0
    classifier_forwards: int = 0
    scores: dict[str, dict[str, float | str]] = field(default_factory=dict)


def run(packed: bytes, task: Task) -> Done:
    """Run a task.

    Args:
        packed: the plan, pickled by the client.
        task: to run.

    Raises:
        MolgenError: if the model of this process has other files than the plan's.
    """
    with _one_at_a_time:
        return _run(_worker(packed), task)


def _run(worker: Worker, task: Task) -> Done:
    started = time.perf_counter()
    name = f"{socket.gethostname()}:{os.getpid()}"
    if isinstance(task, Scoring):
        scores = {task.name: worker.score(task.name, task.smiles)}
        return Done(task, name, "", time.perf_counter() - started, scores=scores)
    probe = worker.probe()
    started = time.perf_counter()
    found = worker.draw(task) if isinstance(task, Draw) else worker.improve(task)
    return replace(found, worker=name, probe=probe, seconds=time.perf_counter() - started)


_one_at_a_time = threading.Lock()  # a worker of a cluster may have several threads


@lru_cache(maxsize=1)
def _worker(packed: bytes) -> Worker:
    plan: Plan = cloudpickle.loads(packed)  # from the client that started this process
    for found in plan.functions.values():
        callables.give(found)
    return Worker(plan)


@dataclass(eq=False)
class Collected(running.Scoring):
    """A run of user's functions that keeps their outcomes.

    Attributes:
        found: outcomes by property and molecule.
    """

    found: dict[str, dict[str, float | str]] = field(default_factory=dict)

    def outcomes(
        self, scorer: running.Scorer, items: Sequence[Any], texts: Sequence[str]
    ) -> Generator[Outcome, None, None]:
        """Yield outcomes in order, and keep them."""
        own = self.found.setdefault(scorer.name, {})
        with closing(super().outcomes(scorer, items, texts)) as called:
            for text, outcome in zip(texts, called, strict=False):
                if outcome is not None:
                    own[text] = outcome
                yield outcome


@dataclass(eq=False)
class Worker:
    """The tasks of one plan; the model is loaded by the first one that draws.

    Attributes:
        plan: of the campaign.
    """

    plan: Plan
    _scoring: Collected = field(init=False, repr=False)
    _drawing: tuple[Model, Source] | None = field(default=None, repr=False)
    _probe: str = ""

    def __post_init__(self) -> None:
        """Prepare calls of user's functions, in one process for each."""
        self._scoring = Collected(self.plan.timeout, 1, folder=self.plan.folder)

    def probe(self) -> str:
        """Return the digest of the first rows of the request; they are drawn once."""
        if not self._probe:
            _, source = self._ready()
            raw = source(PROBE, 0)["raw"]
            self._probe = blake2b("\n".join(raw).encode(), digest_size=16).hexdigest()
        return self._probe

    def draw(self, task: Draw) -> Done:
        """Draw a block of rows, with the fate of each as far as it depends on the row alone."""
        plan, request = self.plan, self.plan.request
        model, source = self._ready()
        table = source(task.rows, task.first)
        forwards = int(table.attrs.get("shared_nfe", 0) + table["nfe"].sum())
        classifier_forwards = int(table["classifier_nfe"].sum())
        checked = check_rows(table, request, plan.computed, request.novelty_for(model))
        gains = plan.computed.score(table)
        table = with_inchikey_novelty(table, model.training_index)
        table = table if plan.carry is None else plan.carry(table)
        smiles = table["smiles"].tolist()
        columns, cells = cells_of(self._placed(table))
        rows = [
            Row(task.first + i, smiles[i], checked.identities[i], checked.fates[i], score, cells[i])
            for i, score in enumerate(np.where(np.isneginf(gains), np.nan, gains).tolist())
        ]
        return Done(task, "", "", 0.0, rows, columns, forwards, classifier_forwards)

    def improve(self, task: Improve) -> Done:
        """Improve leads: a row for each attempt.

        Raises:
            MolgenError: if a user's function fails too often.
        """
        model, _ = self._ready()
        with running.entered(self._fresh()) as scoring:
            found = optimize.optimize(model, task.leads, self.plan.request, first=task.first)
        if scoring.stopped:
            raise MolgenError(scoring.stopped)
        table = found.table if self.plan.carry is None else self.plan.carry(found.table)
        columns, cells = cells_of(table)
        parts = (table[name].tolist() for name in ("index", "smiles", "outcome", "gain"))
        rows = [
            Row(index, smiles, "", "" if fate == Fate.ACCEPTED else fate, gain, text)
            for index, smiles, fate, gain, text in zip(*parts, cells, strict=True)
        ]
        costs = found.counts.forwards, found.counts.classifier_forwards
        return Done(task, "", "", 0.0, rows, columns, *costs, self._scoring.found)

    def score(self, name: str, smiles: Sequence[str]) -> dict[str, float | str]:
        """Return the value or the message of each molecule that was not skipped."""
        with running.entered(self._fresh()) as scoring:
            values = compute([name], smiles)[name].tolist()
        found = self._scoring.found.get(name)
        if found is None:  # no user's function, which reports its failures
            found = {
                text: NO_VALUE if np.isnan(value) else value
                for text, value in zip(smiles, values, strict=True)
                if text not in scoring.skipped
            }
        return found

    def close(self) -> None:
        """End the processes of user's functions."""
        self._scoring.close()

    def _fresh(self) -> running.Scoring:
        """Return the run of user's functions without what it remembers of earlier tasks."""
        scoring = self._scoring
        scoring.failures, scoring.stopped, scoring.skipped, scoring.found = {}, "", set(), {}
        return scoring

    def _ready(self) -> tuple[Model, Source]:
        """Return the model and the source of its rows.

        Raises:
            MolgenError: if its files are not those of the plan.
        """
        if self._drawing is None:
            plan = self.plan
            model = Model.load(plan.model)
            if model.digest() != plan.digest:
                raise MolgenError(
                    f"model {plan.model!r} on {socket.gethostname()} has other files than that of "
                    "the campaign"
                )
            self._drawing = model, self._source(model)
        return self._drawing

    def _source(self, model: Model) -> Source:
        """Return the rows of the request, with the properties that are computed with them."""
        plan, request = self.plan, self.plan.request
        if plan.kind == LEADS:
            recipe = resolve(model, request.settings or model.settings(), request.guided_by or {})
            return lambda rows, first: model.table(
                factory.draw(recipe, rows, request.seed, first), (), first
            )
        found: Resolved = design.resolve(model, request)
        names = tuple(name for name in request.names if name not in plan.paid)
        own = replace(request, goals=replace(request.goals, goals=()), properties=names)
        return found.source(model, own)

    def _placed(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table with empty columns for the properties that are paid."""
        if not self.plan.paid:
            return table
        names = alongside(self.plan.request.names)
        own = [name for name in names if name in table]
        columns = list(table.columns)
        at = columns.index(own[0]) if own else columns.index("classifier_nfe") + 1
        at += sum(c in ("tries", "tokens") for c in columns) if not own else 0
        rest = [name for name in columns if name not in own]
        order = [*rest[:at], *names, *rest[at:]]
        return table.assign(**dict.fromkeys(self.plan.paid, np.nan))[order]


def cells_of(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the columns of a table, and each row without :data:`OWN_COLUMNS` as a JSON list."""
    own = table.drop(columns=[name for name in OWN_COLUMNS if name in table])
    parts = [own[name].tolist() for name in own]
    return list(map(str, table.columns)), [json.dumps(row) for row in zip(*parts, strict=True)]

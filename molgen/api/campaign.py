"""Campaigns: a request whose molecules, drawn by many processes, are in one file that survives."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from molgen.api.commands import COMMANDS
from molgen.api.load import ModelLike, identity
from molgen.api.prepared import Prepared
from molgen.api.progress import Progress, progress_of
from molgen.campaigns import running
from molgen.campaigns.arguments import LEFT, restored, stored, stored_arguments
from molgen.campaigns.designing import Designing
from molgen.campaigns.improving import Improving
from molgen.campaigns.plan import LEADS, SEARCH, Plan, of_one_row, place_of
from molgen.campaigns.running import EngineLike
from molgen.campaigns.status import Status
from molgen.campaigns.store import Store
from molgen.discovery.design import DRAWS_PER_MOLECULE
from molgen.errors import MolgenError
from molgen.sampling.result import COMPLETE
from molgen.sampling.settings import BY_NAME
from molgen.utils.database import remove
from molgen.utils.numbers import whole
from molgen.utils.parallel import cores
from molgen.utils.run_record import FORMAT, RunRecord
from property_models.scorers import POSES

if TYPE_CHECKING:
    import pandas as pd

LEFT_OUT = ("model", "goals", "n", "progress", "settings", "no_filter", "batch_size", "max_draws")
"""Arguments of commands that are not of the stored request, or are stored beside it."""
VERSIONS = ("molgen", "numpy", "rdkit", "torch")  # in the request
IDLE = ("batch_size",)  # settings without an effect on the rows


class Campaign:
    """A request for many molecules in one file, to be continued at any time.

    The first ``n`` accepted rows by sample index are its molecules. They depend on the request
    alone: not on the engine, the number of workers, or how often the campaign was interrupted.

        with molgen.Campaign("night.campaign", "design", "zinc250k", {"qed": ".9.."}, 10_000) as c:
            c.run(workers=8)
            c.export("night.csv")

    The same call continues an unfinished campaign, and ``molgen.Campaign("night.campaign")`` opens
    it by its file alone.

    Args:
        path: of the file, created if there is none.
        command: ``design``, ``search`` or ``optimize``; None to open a file.
        model: a model, or its name or folder.
        goals: as of the command.
        n: molecules to accept; for ``optimize`` the number of leads.
        max_draws: budget of rows; by default 100 for each molecule.
        block: rows, or leads, of one task.
        score_timeout: seconds that a call of a user's function may take.
        progress: False for none, or callbacks.
        **words: other arguments of the command, and settings of sampling.

    Raises:
        MolgenError: if an argument is invalid, or the file is of another request, damaged, or in
            use; a file that was created is deleted.
    """

    def __init__(
        self,
        path: str | Path,
        command: str | None = None,
        model: ModelLike | None = None,
        goals: Any = None,
        n: int = 100,
        *,
        max_draws: int | None = None,
        block: int | None = None,
        score_timeout: float = 60.0,
        progress: Progress | bool | None = None,
        **words: Any,
    ) -> None:
        self.path, self.progress = Path(path), progress_of(progress)
        self._prepared: Prepared | None = None
        created = not os.path.lexists(path)
        if command is None and created:
            raise MolgenError(f"path is {str(path)!r}, expected the file of a campaign")
        request, named = {}, dict(words)
        self._idle = {name: named.pop(name) for name in IDLE if name in named}
        if command is not None:
            if command not in COMMANDS:
                raise MolgenError(f"command is {command!r}, expected {' or '.join(COMMANDS)}")
            request = {
                "command": command,
                "goals": stored(goals, "goals"),
                "block": whole("block", COMMANDS[command][2] if block is None else block),
                "score_timeout": float(score_timeout),
                **stored_arguments(COMMANDS[command][0], named, LEFT_OUT),
            }
        self._store = Store(path)
        try:
            if command is not None:
                self._store.identify(request)
                self._limits(n, max_draws)
                self._prepare(model)
            elif not self._store.request():
                raise MolgenError(f"{path} is empty, expected the file of a campaign")
        except BaseException:
            self._store.close()
            if created:
                with suppress(OSError):
                    remove(path)
            raise

    def run(
        self,
        engine: EngineLike = "local",
        workers: int | None = None,
        address: str | None = None,
    ) -> Status:
        """Draw and score until ``n`` molecules are accepted, or the budget of rows ends.

        Everything that workers return is stored at once. An interrupt (Ctrl-C) ends the run; the
        next one goes on.

        Args:
            engine: ``local`` for processes on this machine, ``dask`` for those of a cluster.
            workers: processes of the local engine, or of a cluster on this machine; None for one
                for each core.
            address: of the scheduler of a running Dask cluster.

        Raises:
            MolgenError: if a task fails, or the file cannot be written; what is stored is kept.
        """
        command, (reason, n, max_draws) = self._command, self._facts("reason", "n", "max_draws")
        running.check_engine(engine, workers, address)
        if reason == COMPLETE:
            return self.status()
        found, store, shown = self._prepare(), self._store, self.progress.shown
        request = store.request()
        kept = str(self.path.resolve()) + POSES
        calls = request["score_timeout"], found.carry, kept
        plan = Plan.of(command, found.model, found.request, *calls)
        if command == SEARCH and engine == running.LOCAL:
            what = store, plan, found.model, found.method, request["pareto"]
            reason = running.run_search(*what, None, workers or cores(), shown)
            store.set_facts(reason=reason)
            return self.status()
        work: Designing | Improving
        with running.engine_of(engine, plan, workers, address) as own:
            if command == SEARCH:
                what = store, plan, found.model, found.method, request["pareto"]
                reason = running.run_search(*what, own, own.workers, shown)
            elif command == LEADS:
                work = Improving(store, found.leads, request["block"])
                reason = running.run_tasks(store, plan, work, own, shown)
            else:
                budget = max_draws or n * DRAWS_PER_MOLECULE
                work = Designing(store, plan, n, budget, request["block"])
                reason = running.run_tasks(store, plan, work, own, shown)
                if work.stopped:
                    self.progress.warn(work.stopped)
        store.set_facts(reason=reason)
        return self.status()

    def extend(self, n: int, max_draws: int | None = None) -> None:
        """Raise the number of molecules; :meth:`run` goes on to it.

        Args:
            n: molecules to accept in all.
            max_draws: budget of rows in all; by default 100 for each molecule.

        Raises:
            MolgenError: if one of them is below what it was.
        """
        (before,) = self._facts("n")
        if self._command == LEADS:
            raise MolgenError("a campaign of leads cannot be extended: begin one for further leads")
        whole("n", n, before)
        self._store.set_facts(n=whole("n", n), max_draws=max_draws, reason="")

    def status(self) -> Status:
        """Return the state in numbers."""
        return running.status(self._store)

    def tables(self, every: bool = False) -> Iterator[pd.DataFrame]:
        """Yield the molecules, some thousands at a time.

        Args:
            every: all rows up to the last accepted one, with the reason of a rejection in the
                column ``lost``.
        """
        return running.tables(self._store, every)

    @property
    def table(self) -> pd.DataFrame:
        """The molecules, in the order of their sample indices."""
        import pandas as pd

        return pd.concat(self.tables(), ignore_index=True)

    def export(self, path: str | Path, every: bool = False) -> int:
        """Write the molecules in the format of the path's suffix; return their number.

        Args:
            path: of the file.
            every: see :meth:`tables`.

        Raises:
            MolgenError: for another suffix.
            OSError: if it cannot be written; no part of a file is left.
        """
        from molgen.data.tables import write_tables

        return write_tables(self.tables(every), path)

    def record(self) -> RunRecord:
        """Return the record of the campaign, as one would lie beside the table of a command."""
        request, status, facts = self._store.request(), self.status(), self._store.facts()
        goals = request["goals"] or {}
        words = (
            [f"{name}={value}" for name, value in goals.items()]
            if isinstance(goals, dict)
            else [str(word) for word in ([goals] if isinstance(goals, str) else goals)]
        )
        named = [("--target", word) for word in words] + [("--n", str(status.n))]
        named += [("--filter", str(word)) for word in request.get("filters") or ()]
        settings = {name: request[name] for name in BY_NAME if request.get(name, LEFT) != LEFT}
        versions = {name: request[name] for name in VERSIONS if name in request}
        return RunRecord(
            molgen_record=FORMAT,
            command=status.command,
            words=[str(facts["model"]), *(word for pair in named for word in pair)],
            seed=request.get("seed"),
            settings=settings,
            versions=versions,
            counts={
                "drawn": status.drawn,
                "fates": dict(status.fates),
                "forwards": status.forwards,
                "classifier_forwards": status.classifier_forwards,
                "oracle_calls": sum(status.scored.values()),
            },
            reason=status.reason or "not ended",
            rows=status.done,
        )

    @property
    def model(self) -> str:
        """The name or the folder of the model."""
        return str(self._store.facts()["model"])

    def simulate(
        self, workers: Sequence[int], n: int | None = None, lost_per_hour: float = 0.0
    ) -> pd.DataFrame:
        """Return how long a design campaign would take with more workers, as this one measured.

        Args:
            workers: of each simulated campaign.
            n: molecules to accept; None for those of this campaign.
            lost_per_hour: workers lost in an hour, of all.

        Returns:
            A row for each: ``workers, hours, drawn``, the shares ``redrawn`` and ``rescored`` that
            were lost with their workers, ``writer``, the share of the time that the client writes,
            ``idle``, that of the workers without a task, and ``writer_is_limit``.

        Raises:
            MolgenError: if this campaign has measured too little, or a number is out of range.
        """
        import pandas as pd

        from molgen.campaigns.simulate import Measured, simulate

        measured, wanted = Measured.of(self._store), n or self._facts("n")[0]
        rows = [
            {
                "workers": one.workers,
                "hours": one.seconds / 3600,
                "drawn": one.drawn,
                "redrawn": one.redrawn / one.drawn,
                "rescored": one.rescored / max(1.0, one.drawn * measured.scored),
                "writer": one.busy,
                "idle": one.idle,
                "writer_is_limit": one.limited,
            }
            for one in simulate(measured, wanted, workers, lost_per_hour)
        ]
        return pd.DataFrame(rows)

    def close(self) -> None:
        """Close the file; other processes may open it."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self.status().done

    def __repr__(self) -> str:
        return f"Campaign({str(self.path)!r})"

    @property
    def _command(self) -> str:
        return str(self._store.request()["command"])

    def _facts(self, *names: str) -> list[Any]:
        facts = self._store.facts()
        return [facts.get(name) for name in names]

    def _limits(self, n: int, max_draws: int | None) -> None:
        """Store the number of molecules and the budget, or compare them.

        Raises:
            MolgenError: if they differ from those of the file.
        """
        given = {"n": whole("n", n), "max_draws": max_draws}
        facts = self._store.facts()
        if self._command == LEADS and "n" in facts:
            return  # it is the number of leads
        for name, value in given.items():
            if facts.get(name, value) != value:
                raise MolgenError(
                    f"{self.path} is of another request: {name} was {facts[name]} and is {value}; "
                    "expected molgen campaign extend to change it"
                )
        self._store.set_facts(**{name: value for name, value in given.items() if name not in facts})

    def _prepare(self, model: ModelLike | None = None) -> Prepared:
        """Return the request, ready to run; the file is of the same model, files and versions.

        Raises:
            MolgenError: if it is not, or an argument is invalid.
        """
        if self._prepared is not None:
            return self._prepared
        request = self._store.request()
        facts = self._store.facts()
        function, prepared, _ = COMMANDS[self._command]
        names = stored_arguments(function, {}, LEFT_OUT)
        words = restored(names | {name: request[name] for name in names if name in request})
        words |= self._idle
        found = prepared(
            model or facts["model"], request["goals"], facts["n"], self.progress, words
        )
        self._store.identify(identity(found.model) | running.contents(request))
        self._store.set_facts(model=place_of(found.model))
        settings = found.request.settings
        if settings is not None and of_one_row(settings) is not settings:
            self.progress.remark("until: without unique, so that a row depends on itself alone")
            found = replace(found, request=replace(found.request, settings=of_one_row(settings)))
        if found.leads:
            self._store.set_facts(n=len(found.leads))
        self._prepared = found
        return found

"""A run of user's functions: failures cost a molecule its value, are counted, and are reported.

    with scoring(timeout=600, workers=4) as run:
        found = design(model, Request(read_goals(["scores.py:docking=..-8"]), 50))
    run.failures["scores.py:docking"].messages   # of each molecule that has no value, by its SMILES

Functions run in worker processes (:mod:`property_models.processes`), which start with the first
call in a run and end with it. A molecule on which a function fails has the value NaN: an exception,
a hang, an exit, None, NaN, infinity, and a result of another type or shape are failures alike. At
the end of the run one line for each property states how many failed and the first message.
``design``, ``search`` and ``optimize`` are a run of their own unless one is active, and so is each
call of a property outside of them.

If all of the first 20 molecules fail, or more than 50 of the last 100, the run stops: no function
is called any more, and the molecules left have no value. Results so far are kept; a call outside of
a run raises :class:`ScoringStopped`.

Scorers outside of Python (:mod:`property_models.external`) run alike; a command or an endpoint is
called by threads, without processes of Python between. Their values are kept for the length of a
run, so a molecule is scored once.

In a run with a journal (:mod:`molgen.utils.journal`) every outcome is stored, and a function is
called once for each molecule, however often the run is interrupted. Failures that stop a run are
not stored, since their reason may be gone when it is resumed.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molgen.errors import MolgenError
from molgen.molecules.fate import Fate
from molgen.scorers.command import Command
from molgen.scorers.docking.vina import Docking
from molgen.scorers.endpoint import Endpoint
from molgen.scorers.outcomes import Backend, OnOutcome, Outcome, message
from molgen.scorers.sessions import Sessions
from molgen.utils import journal
from molgen.utils.arguments import check_fields
from molgen.utils.parallel import cores
from molgen.utils.progress import Bar
from property_models.failures import Failures

STOPPED = "a scorer failed too often"
"""The reason why a run stopped."""
POSES = ".poses"  # after the name of the output: the folder of what scorers keep
TIMEOUT = 60.0  # seconds that a call may take


class ScoringStopped(MolgenError):
    """A user's function failed too often outside of a run."""


@dataclass(frozen=True, eq=False)
class Scorer:
    """A user's function that is called within a run, or a scorer outside of Python.

    Attributes:
        name: of its property.
        function: of one RDKit molecule, or of a list of canonical SMILES; or a command, an
            endpoint or a docking experiment of :mod:`molgen.scorers`.
        batched: whether it takes a list.
        source: its name for other processes; empty for a function that is sent to them.
    """

    name: str
    function: Callable[[Any], Any] | Command | Endpoint
    batched: bool = False
    source: str = ""

    @property
    def is_external(self) -> bool:
        """Whether it is a scorer outside of Python, whose values are kept within a run."""
        return isinstance(self.function, Command | Endpoint | Docking)

    def __call__(self, mols: Sequence[Chem.Mol]) -> NDArray[np.float64]:
        """Return the values of molecules, with shape (molecules,); NaN where it fails."""
        return self.values(mols, [Chem.MolToSmiles(mol) for mol in mols])

    def started(self, timeout: float, count: int, folder: str | Path | None = None) -> Backend:
        """Start processes, or threads for a scorer that runs elsewhere.

        Args:
            timeout: seconds that a call may take.
            count: of processes or threads.
            folder: of what the scorer keeps beside its values; None for nothing.

        Raises:
            MolgenError: if the function cannot be sent to other processes.
        """
        function = self.function
        if isinstance(function, Command | Endpoint):
            return Sessions(function, timeout, count)
        from property_models.processes import Processes

        if isinstance(function, Docking) and folder is not None:
            function = function.kept_in(folder)
        source = self.source or pickled(function, self.name)
        return Processes(source, self.batched, timeout, count)

    def values(
        self, items: Sequence[str | Chem.Mol], texts: Sequence[str], progress: str = ""
    ) -> NDArray[np.float64]:
        """Return the values of molecules.

        Args:
            items: SMILES or sanitised molecules.
            texts: the name of each in reports.
            progress: label of a progress bar; empty for none.

        Returns:
            With shape (molecules,); NaN where it fails, and for what is not a molecule.

        Raises:
            ScoringStopped: if it fails too often and no run is active.
        """
        with (
            joined(strict=True) as run,
            Bar(len(items), label=progress, shown=bool(progress)) as bar,
        ):
            found = np.full(len(items), np.nan)
            failures = run.failures.setdefault(self.name, Failures())
            outcomes = run.outcomes(self, [] if run.stopped else items, texts)
            done = 0
            for done, outcome in enumerate(outcomes, 1):
                if isinstance(outcome, float):
                    found[done - 1] = outcome
                run.count(self, texts[done - 1], outcome)
                bar.add()
                if failures.too_many:
                    run.stopped = f"property {self.name!r}: {failures}; stopped"
                    outcomes.close()
                    if kept := journal.active():  # failures may be due to the moment
                        kept.forget_failures(self.name)
                        kept.keep()
                    break
            run.skipped.update(texts[done:])
        return found


@dataclass(eq=False)
class Scoring:
    """A run of user's functions.

    Attributes:
        timeout: seconds that a call may take: one molecule, or a list for a vectorised function.
        workers: most processes for each function; values do not depend on it.
        failures: of each property.
        stopped: the reason why no function is called any more; empty while they are.
        skipped: SMILES of the molecules that were not scored for that reason.
        folder: of what scorers keep beside their values, such as poses; None for nothing.
    """

    timeout: float = TIMEOUT
    workers: int = field(default_factory=lambda: max(1, cores() // 2))
    failures: dict[str, Failures] = field(default_factory=dict)
    stopped: str = ""
    skipped: set[str] = field(default_factory=set)
    folder: str | Path | None = None
    _processes: dict[str | Scorer, Backend] = field(default_factory=dict, repr=False)
    _known: dict[tuple[str, str], float | str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: if one is out of range.
        """
        check_fields(self)
        if not (self.timeout > 0 and math.isfinite(self.timeout)):
            raise MolgenError(f"timeout is {self.timeout}, expected seconds above 0")
        if self.workers < 1:
            raise MolgenError(f"workers is {self.workers}, expected at least 1")

    def outcomes(
        self, scorer: Scorer, items: Sequence[str | Chem.Mol], texts: Sequence[str]
    ) -> Generator[Outcome, None, None]:
        """Yield the outcomes of a function in order; stored ones are not computed again.

        A journal stores all of them, a run without one those of scorers outside of Python.

        Args:
            scorer: the function.
            items: SMILES or sanitised molecules.
            texts: the name of each molecule.
        """
        kept = journal.active()
        if kept is None and not scorer.is_external:
            yield from self._called(scorer, items)
            return
        scores = self._known if kept is None else kept.scores
        keys = [(scorer.name, text) for text, _ in zip(texts, items, strict=False)]
        new = [i for i, key in enumerate(keys) if key not in scores]
        own = {i: scores[key] for i, key in enumerate(keys) if key in scores}

        waiting = True

        def store(number: int, outcome: Outcome) -> None:
            if kept is not None and waiting and outcome is not None:
                kept.score(*keys[new[number]], outcome)

        with closing(self._called(scorer, [items[i] for i in new], store)) as called:
            try:
                for i in range(len(keys)):
                    yield own[i] if i in own else next(called)
            finally:
                waiting = False  # later failures may be due to an interrupt

    def _called(
        self,
        scorer: Scorer,
        items: Sequence[str | Chem.Mol],
        on_outcome: OnOutcome | None = None,
    ) -> Generator[Outcome, None, None]:
        """Yield the outcomes of a function, from processes that are started if need be."""
        if not len(items):
            return
        key = scorer.source or scorer
        own = self._processes.get(key)
        if own is None or own.count < min(self.workers, len(items)):
            count = min(self.workers, len(items)) if own is None else self.workers
            if own is not None:
                own.close()
            own = self._processes[key] = scorer.started(self.timeout, count, self.folder)
        yield from own.outcomes(items, on_outcome)

    def count(self, scorer: Scorer, text: str, outcome: Outcome) -> None:
        """Count an outcome, unless it was known; keep that of a scorer outside of Python.

        Args:
            scorer: of the value.
            text: the name of the molecule.
            outcome: of the molecule.
        """
        key = scorer.name, text
        if key not in self._known:
            self.failures[scorer.name].add(text, outcome)
        if scorer.is_external and outcome is not None:
            self._known[key] = outcome

    def close(self) -> None:
        """End all processes."""
        for own in self._processes.values():
            own.close()
        self._processes.clear()

    def missing(self, names: Iterable[str], smiles: Iterable[str]) -> list[str]:
        """Return the fate of each molecule that has no value.

        Args:
            names: of properties.
            smiles: of the molecules, as they were scored.

        Returns:
            For each molecule its fate with the message, due to the first property that failed on
            it, or that it was skipped; empty where neither holds.
        """
        known = [(name, self.failures[name].messages) for name in names if name in self.failures]
        return [
            next(
                (Fate.failed(name, told[text]) for name, told in known if text in told),
                str(Fate.NOT_SCORED) if text in self.skipped else "",
            )
            for text in smiles
        ]

    def report(self) -> list[str]:
        """Return a line for each property with failures; the stop alone if there was one."""
        lines = [
            f"property {name!r}: {each}" for name, each in self.failures.items() if each.failed
        ]
        return [self.stopped] if self.stopped else lines


_active: ContextVar[Scoring | None] = ContextVar("scoring", default=None)


def pickled(function: Callable[[Any], Any], name: str) -> bytes:
    """Return a function for other processes.

    Raises:
        MolgenError: with the name of its property, if it cannot be sent to them.
    """
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(function))
    except Exception as error:
        raise MolgenError(
            f"property {name!r}: the function cannot be sent to another process ({message(error)})"
        ) from error


@contextmanager
def scoring(
    timeout: float = TIMEOUT, workers: int | None = None, folder: str | Path | None = None
) -> Iterator[Scoring]:
    """Run user's functions for the length of a block, and report their failures at its end.

    Args:
        timeout: seconds that a call may take.
        workers: most processes for each function; None for half of the cores.
        folder: of what scorers keep beside their values, such as poses; None for nothing.

    Raises:
        MolgenError: if a number is out of range.
    """
    run = Scoring(timeout) if workers is None else Scoring(timeout, workers)
    run.folder = folder
    try:
        with entered(run):
            yield run
    finally:
        run.close()
        for line in run.report() if not isinstance(sys.exc_info()[1], ScoringStopped) else ():
            print(line, file=sys.stderr)


@contextmanager
def entered(run: Scoring) -> Iterator[Scoring]:
    """Make a run the active one in a block; its processes go on after it."""
    token = _active.set(run)
    try:
        yield run
    finally:
        _active.reset(token)


@contextmanager
def joined(strict: bool = False) -> Iterator[Scoring]:
    """Take part in the active run; a run of its own if there is none.

    Args:
        strict: whether a run of its own raises the reason why it stopped.

    Raises:
        ScoringStopped: then.
    """
    run = _active.get()
    if run is not None:
        yield run
        return
    with scoring() as run:
        yield run
        if strict and run.stopped:
            raise ScoringStopped(run.stopped)


def active() -> Scoring:
    """Return the active run; an empty one if there is none."""
    return _active.get() or Scoring()

"""A campaign of a search: its recorded draws and scores are in the campaign's file.

A search draws from the best molecules so far, so its rounds follow each other, on the client; the
user's functions run in as many processes as the campaign has workers. A search that was cut off is
repeated from what is stored, as by a journal (:mod:`molgen.utils.journal`), up to where it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from rdkit import Chem

from molgen.campaigns.engine import Engine
from molgen.campaigns.plan import Scoring, Task
from molgen.campaigns.store import Block, Row, Store
from molgen.campaigns.worker import NO_VALUE, cells_of
from molgen.discovery import search as room
from molgen.discovery.request import Request
from molgen.discovery.search_state import Method, Search
from molgen.model import Model
from molgen.sampling.result import COMPLETE, INTERRUPTED
from molgen.scorers.outcomes import OnOutcome
from molgen.utils.journal import Journal, entered
from property_models import scorers
from property_models.calls import Outcome

BATCH, PAUSE = 8, 0.5  # molecules of a task, and seconds that a look for results takes at most


@dataclass(eq=False)
class Spread(scorers.Scoring):
    """A run of user's functions on the workers of an engine.

    Attributes:
        engine: runs them.
    """

    engine: Engine | None = None
    _found: dict[Task, dict[str, float | str]] = field(default_factory=dict)

    def _called(
        self,
        scorer: scorers.Scorer,
        items: Sequence[str | Chem.Mol],
        on_outcome: OnOutcome | None = None,
    ) -> Generator[Outcome, None, None]:
        """Yield the outcomes of a function in order."""
        if self.engine is None:
            yield from super()._called(scorer, items, on_outcome)
            return
        texts = [x if isinstance(x, str) else Chem.MolToSmiles(x) for x in items]
        self._found.clear()
        starts = range(0, len(texts), BATCH)
        tasks = [Scoring(scorer.name, tuple(texts[start : start + BATCH])) for start in starts]
        for task in tasks:
            self.engine.submit(task)
        for start, task in zip(starts, tasks, strict=True):
            while task not in self._found:
                self._take(self.engine)
            for i, text in enumerate(task.smiles):
                outcome: Outcome = self._found[task].get(text, NO_VALUE) if text else None
                if on_outcome is not None:
                    on_outcome(start + i, outcome)
                yield outcome

    def _take(self, engine: Engine) -> None:
        for one in engine.finished(PAUSE):
            if one.done is None:
                raise one.error or RuntimeError(f"{one.task} failed")
            if isinstance(one.task, Scoring):
                self._found[one.task] = one.done.scores.get(one.task.name, {})


def search(
    store: Store,
    model: Model,
    request: Request,
    method: Method,
    pareto: bool,
    scoring: scorers.Scoring,
    on_round: Callable[[Search], None],
) -> str:
    """Run or continue a search; its molecules are stored at the end.

    Args:
        store: the file.
        model: that draws.
        request: the request.
        method: of the search.
        pareto: see :func:`molgen.discovery.search.search`.
        scoring: of the user's functions.
        on_round: called with the search after each scoring.

    Returns:
        The reason of the end; ``complete`` for ``n`` molecules.

    Raises:
        MolgenError: if an argument is invalid, or the file cannot be written.
    """
    journal = Journal(store.journal())
    journal.keep()
    with entered(journal), scorers.entered(scoring):
        found = room.search(model, request, method, pareto, on_round)
    columns, cells = cells_of(found.table)
    smiles, counts = found.table["smiles"].tolist(), found.counts
    rows = [Row(i, text, "", "", None, cells[i]) for i, text in enumerate(smiles)]
    with store.transaction():
        store.clear_rows()
        store.add_block(
            Block(0, rows, counts.forwards, counts.classifier_forwards, 0.0, "the client")
        )
        store.set_facts(columns=columns, counts=dict(counts.fates), drawn=counts.drawn)
    if found.reason == INTERRUPTED:
        raise KeyboardInterrupt
    return COMPLETE if len(found) >= found.asked else found.reason

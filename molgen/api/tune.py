"""Tuning: words or objects -> a request -> the best settings for a target, as a preset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from molgen.api.goals import targets_of
from molgen.api.load import ModelLike, loaded
from molgen.api.progress import Progress, progress_of
from molgen.api.sweeps import axis, guidable, speed_of
from molgen.errors import MolgenError
from molgen.frontiers import tune as room
from molgen.frontiers.comparison import write_figures
from molgen.frontiers.halving import Rung
from molgen.frontiers.plan import objective_for
from molgen.frontiers.tune_space import Candidate, candidates, retries
from molgen.sampling.preset_file import write_preset
from molgen.sampling.result import INTERRUPTED, Result
from molgen.targets import Target, split_targets
from molgen.utils.files import check_folder, check_writable
from molgen.utils.numbers import whole


def tune(
    model: ModelLike,
    target: Mapping[Any, Target | str] | str,
    out: str | Path,
    *,
    candidates: int = 24,
    start: int = 64,
    n: int = 1024,
    seeds: int | Sequence[int] = (0, 1, 2),
    budget: float = 128.0,
    adapt: bool = False,
    convention: str = "strict",
    search_seed: int = 0,
    batch_size: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    progress: Progress | bool | None = None,
) -> Result[list[room.Standing]]:
    """Tune the settings for a target, and write them as a preset.

    Candidates are compared by successive halving, with the model's present settings in every
    comparison. The score is novel x gain x min(1, budget / NFE). Writes the preset, a table of all
    candidates beside it (FILE.csv), and the draws (FILE-rungs); after an interruption the same call
    continues.

        tuned = molgen.tune("qm9", {"qed": "max"}, "qed.json")
        model.sample(100, {"qed": "max"}, preset=tuned.output)

    Args:
        model: a loaded model, or its name.
        target: the objective: one property to ``"max"``, ``"min"``, a number or a range, or words
            such as ``"qed=max"``.
        out: the preset to write, a .json file.
        candidates: their number, with the model's present settings.
        start: rows of each in the first rung.
        n: rows of each in the last rung.
        seeds: of the last rung; earlier rungs use the first of them.
        budget: forwards a row without a penalty.
        adapt: candidates that retry rows without a new molecule, in place of one draw a row.
        convention: of novelty, ``strict`` or ``paper``.
        search_seed: of the choice of candidates.
        batch_size: rows in the active batch; speed only.
        device: where the network runs.
        dtype: of the matrix products.
        progress: False for none, or callbacks.

    Returns:
        The candidates, best first; ``output`` is the preset, None if interrupted, and ``counts``
        has the standings.

    Raises:
        MolgenError: if an argument is invalid, before anything is drawn.
    """
    progress = progress_of(progress)
    path = Path(out)
    if path.suffix.lower() != ".json":
        raise MolgenError(f"out is {str(out)!r}, expected a file ending in .json")
    table, folder = path.with_suffix(".csv"), path.with_name(f"{path.stem}-rungs")
    for place in (path, table):
        check_writable(place)
    check_folder(folder)
    words = targets_of(target)
    words = words if isinstance(words, dict) else split_targets(words)
    if len(words) != 1:
        raise MolgenError(f"target has {len(words)} properties, expected one")
    ((name, value),) = words.items()
    guidable(name)
    model = loaded(model)
    objective = objective_for(model, name, str(value), whole("n", n))
    present = Candidate.from_words(model.name, model.preset(targets={name: value}))
    request = room.Tune(
        objective,
        tuple(_candidates(model, present, candidates, search_seed, budget if adapt else None)),
        whole("start", start),
        axis("seeds", seeds, least=0),
        budget,
        convention,
        speed_of(batch_size, device, dtype),
    )

    found: list[room.Standing] = []
    begun: list[int] = []

    def begin(rung: Rung, count: int, rows: int) -> None:
        begun.append(rung.number)
        progress.end()
        progress.begin(rows, "row")
        text = f"{rung.number}/{len(request.rungs)}: {count} candidates, {rung.rows} rows"
        progress.stage(text)

    def standings(several: Sequence[room.Standing]) -> None:
        found[:] = several
        write_figures(room.leaderboard(request, several), table)

    try:
        order = room.tune(request, model, folder, room.Progress(begin, progress.add, standings))
    except KeyboardInterrupt:
        if not begun:
            raise
        reason = (
            f"{INTERRUPTED}: {begun[-1] - 1} of {len(request.rungs)} rungs are finished; the same "
            "command continues"
        )
        best = room.leaderboard(request, found)
        return Result(best, found, len(request.candidates), reason, request)
    finally:
        progress.end()
    standings(order)
    preset = room.preset(request, model, order)
    write_preset(path, preset)
    if not order[0].score > 0:
        progress.warn(
            "no candidate has novel molecules that are better than the data, so the preset is the "
            "model's recommendation"
        )
    best = room.leaderboard(request, order)
    return Result(best, order, len(request.candidates), request=request, output=preset)


def _candidates(
    model: Any, present: Candidate, count: int, seed: int, budget: float | None
) -> Sequence[Candidate]:
    """Return the candidates; with a budget, those that retry rows."""
    how = retries(budget) if budget is not None else ()
    count, seed = whole("candidates", count), whole("search_seed", seed, 0)
    return candidates(model, present, count, seed, how)

"""Comparisons: methods by strengths, steps and seeds -> runs, charts and their molecules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from molgen.api import quick as small
from molgen.api.load import ModelLike, loaded
from molgen.api.molecules import MoleculesLike, read_molecules
from molgen.api.progress import Progress, progress_of
from molgen.api.sweeps import (
    MethodsLike,
    axis,
    execute,
    finished,
    guidable,
    labels,
    prepare,
    result,
    speed_of,
)
from molgen.errors import MolgenError
from molgen.frontiers.comparison import Comparison, write_figures
from molgen.frontiers.frontier import hypervolumes, published_table, ratios, run_table
from molgen.frontiers.objective import Objective
from molgen.frontiers.plot import figure_class, frontier_png
from molgen.frontiers.samples import SampleFile, Samples, beside, read_samples
from molgen.frontiers.store import Record, Store
from molgen.reports.frontier import frontier_html
from molgen.sampling.result import Result
from molgen.targets import Target
from molgen.utils.files import check_folder
from molgen.utils.parallel import cores
from property_models.registry import PropertyLike

CONVENTIONS = ("paper", "strict")
SamplesLike: TypeAlias = str | SampleFile | Sequence[str | SampleFile] | Mapping[str, MoleculesLike]
"""Words ``"NAME=FILE"`` or ``"NAME=FILE:COLUMN"``, or names with a file or molecules."""


def frontier(
    model: ModelLike,
    property: PropertyLike | None = None,
    out: str | Path | None = None,
    *,
    target: Target | str | None = None,
    gamma: float | Sequence[float] | None = None,
    steps: int | Sequence[int] | None = None,
    seeds: int | Sequence[int] | None = None,
    n: int | None = None,
    methods: MethodsLike = (),
    baselines: Sequence[str] = (),
    quick: bool = False,
    samples: SamplesLike = (),
    published: str | Path | None = None,
    conventions: Sequence[str] | str = CONVENTIONS,
    only_charts: bool = False,
    batch_size: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    progress: Progress | bool | None = None,
) -> Result[dict[str, int]]:
    """Chart novelty against a property: methods by strengths, steps and seeds.

    Writes frontier.csv (every run, by both conventions), hypervolume.csv, ratios.csv, frontier.png
    and frontier.html into a folder, and the molecules of every run. After an interruption the same
    call continues; other methods, strengths, steps or seeds add to the folder.

        molgen.frontier("qm9", quick=True)
        molgen.frontier("qm9", "ring_count", "out/rings", gamma=[1, 3], steps=32, seeds=0, n=256)
        molgen.frontier("qm9", quick=True, samples={"RNN": "rnn.smi", "GA": "ga.csv:generation"})

    Args:
        model: a loaded model, or its name.
        property: of the chart.
        out: folder to write to; made if missing.
        target: of the property: ``"max"``, ``"min"``, a number, a range, or ``"none"`` for unguided
            draws; by default the best tenth of the training data.
        gamma: strengths of the guidance; by default 1 to 5.
        steps: of the plans; by default 32 and 128.
        seeds: of the draws; by default 0 to 2.
        n: rows a run; by default 1024.
        methods: of sampling: ``"LABEL; remask=...; weights=..."``, or labels with settings,
            ``{"ReMDM": {"remask": "rescale:eta=.1"}}``; by default several.
        baselines: further models as methods, without remasking.
        quick: a small frontier, in about two minutes: plain diffusion, remasking and the baseline
            at three strengths, by default of ring_count (or the model's first property) into
            ``frontier-MODEL-PROPERTY-quick``; what is given beside it is kept.
        samples: another generator's molecules to chart beside the methods, all of their rows
            counted as they are: ``{"NAME": FILE}``, one point; ``{"NAME": "FILE:COLUMN"}``, one for
            each value of a column; or molecules in any other form in place of the file.
        published: a .csv of points from the literature, to overlay.
        conventions: rows of the chart: ``paper``, ``strict``.
        only_charts: draw no molecules, and chart the finished runs of the folder.
        batch_size: rows in the active batch; speed only.
        device: where the network runs.
        dtype: of the matrix products.
        progress: False for none, or callbacks.

    Returns:
        The points as a table (frontier.csv); ``output`` has the hypervolumes, the charts, and the
        molecules.

    Raises:
        MolgenError: if an argument is invalid, before anything is drawn.
    """
    progress = progress_of(progress)
    shown, files = _conventions(conventions), _sample_files(samples)
    if property is None and not quick:
        raise small.missing("property")
    name = small.quick_property(model) if property is None else guidable(property)
    if out is None and not quick:
        raise small.missing("out")
    folder = check_folder(small.quick_folder(model, name) if out is None else out)
    size = small.sizes({"gamma": gamma, "steps": steps, "seeds": seeds, "n": n}, quick)
    strengths, seeded = axis("gamma", size["gamma"], True), axis("seeds", size["seeds"], least=0)
    axes = strengths, axis("steps", size["steps"]), seeded
    figure_class()  # a missing library is reported before hours of sampling
    sweep, reason = None, ""
    if only_charts:
        records, order = finished(folder, name), labels(methods)
        drawn = [record.run.label for record in records]
        read = _read(files, model, records[0].objective, drawn, progress)
    else:
        speed = speed_of(batch_size, device, dtype)
        sweep, models = prepare(
            model, name, target, size["n"], methods, baselines, axes, (), speed, progress, quick
        )
        if published is not None:
            published_table(published, sweep.objective)
        order = tuple(method.label for method in sweep.methods)
        read = _read(files, next(iter(models.values())), sweep.objective, order, progress)
        records, reason = execute(
            sweep, models, folder,
            lambda done: write_figures(run_table(done, order), folder / "frontier.csv"),
            progress,
        )  # fmt: skip
    runs = run_table(records, order)
    if reason:
        return result(runs, records, sweep, reason)
    points = None
    if published is not None:
        points = published_table(published, records[0].objective)
        if points.empty:
            progress.note(f"{published} has no points of {name}")
            points = None
    made = _charts(folder, records, runs, points, read, shown)
    return result(beside(runs, read) if read else runs, records, sweep, made=made)


def _charts(
    folder: Path,
    records: list[Record],
    runs: pd.DataFrame,
    published: pd.DataFrame | None,
    samples: Samples | None,
    conventions: tuple[str, ...],
) -> Comparison:
    """Write the tables and the charts of runs, published points and other molecules."""
    volumes = [hypervolumes(runs)]
    if published is not None:
        volumes.append(hypervolumes(published))
    if samples:
        volumes.append(samples.volumes)
    every = pd.concat(volumes, ignore_index=True)
    made = Comparison(folder, records, runs, folder / "frontier.png", every, ratios(every), samples)
    points = beside(runs, samples) if samples else runs
    for table, file in ((points, "frontier"), (every, "hypervolume"), (made.ratios, "ratios")):
        write_figures(table, folder / f"{file}.csv")
    read_runs = samples.runs if samples else None
    frontier_png(runs, every, made.objective, made.figure, published, conventions, read_runs)
    page = made.figure.with_suffix(".html")
    frontier_html(Store(folder), records, runs, every, page, published, conventions, samples)
    return made


def _sample_files(samples: SamplesLike) -> list[SampleFile]:
    """Read the names and places of other generators' molecules.

    Raises:
        MolgenError: if one is of no such form, or there is no such file.
    """
    if isinstance(samples, Mapping):
        return [_sample_file(str(name), given) for name, given in samples.items()]
    several = [samples] if isinstance(samples, str | SampleFile) else samples
    if not isinstance(several, Sequence) or not all(
        isinstance(s, str | SampleFile) for s in several
    ):
        raise MolgenError(
            f"samples is {samples!r}, expected NAME=FILE, or names to files or molecules"
        )
    return [one if isinstance(one, SampleFile) else SampleFile.parse(one) for one in several]


def _sample_file(name: str, given: MoleculesLike) -> SampleFile:
    if isinstance(given, str | Path):
        return SampleFile.parse(f"{name}={given}")
    return SampleFile(name, raw=tuple(read_molecules(given, drawn=True).raw))


def _read(
    files: Sequence[SampleFile],
    model: ModelLike,
    objective: Objective,
    methods: Sequence[str],
    progress: Progress,
) -> Samples | None:
    """Return the points of other generators' molecules, and note what was read.

    Raises:
        MolgenError: if a file cannot be read, one has the name of a method, or the model has no
            index of its training set.
    """
    if not files:
        return None
    for file in files:
        if file.name in methods:
            raise MolgenError(f"samples has the name {file.name!r} of a method, expected another")
    model = loaded(model)
    if model.training_index is None:
        raise MolgenError(f"model {model.name!r} has no training-set index")
    found = read_samples(files, objective, model.training_index, cores())
    for line in found.notes:
        progress.note(line)
    return found


def _conventions(given: Sequence[str] | str) -> tuple[str, ...]:
    """Read the conventions to chart.

    Raises:
        MolgenError: if one is unknown, or none is given.
    """
    words = given.split(",") if isinstance(given, str) else given
    found = tuple(dict.fromkeys(word.strip() for word in words))
    for name in found or ("",):
        if name not in CONVENTIONS:
            raise MolgenError(f"conventions has {name!r}, expected {' or '.join(CONVENTIONS)}")
    return found

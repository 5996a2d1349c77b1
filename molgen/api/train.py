"""Training: a file or molecules -> a data set -> a model folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from molgen.api.load import ModelLike, load, loaded
from molgen.api.progress import Progress, progress_of
from molgen.api.train_options import (
    NAMES,
    TrainRequest,
    check_source,
    data_options,
    names_of,
    source_of,
)
from molgen.errors import MolgenError
from molgen.sampling.result import COMPLETE, INTERRUPTED, Result
from molgen.utils.files import check_folder
from molgen.utils.locks import locked

if TYPE_CHECKING:
    from molgen.api.molecules import MoleculesLike
    from molgen.model import Model
    from molgen.nn.config import DenoiserConfig
    from molgen.nn.denoiser import MoleculeDenoiser
    from molgen.training.prepared import PreparedDataset
    from molgen.training.recipe import TrainConfig


WRITTEN = ("report.csv", "training_log.csv")  # tables in the folder of a run


def train(
    file: str | Path | MoleculesLike,
    out: str | Path,
    *,
    init: ModelLike | None = None,
    few_step: ModelLike | None = None,
    column: str | None = None,
    properties: Sequence[str] | str | None = None,
    representation: str | None = None,
    max_length: int | None = None,
    held_out: float | None = None,
    keep_salts: bool | None = None,
    neutralise: bool | None = None,
    source: str | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    layers: int | None = None,
    width: int | None = None,
    heads: int | None = None,
    noise: str | None = None,
    self_correct: bool = False,
    prefix_masks: float = 0.0,
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
    workers: int | None = None,
    checkpoint_every: int | None = None,
    export: str | Path | None = None,
    no_resume: bool = False,
    prepare_only: bool = False,
    progress: Progress | bool | None = None,
) -> Result[dict[str, Any]]:
    """Train a model on molecules, or train one further.

    The same call resumes an interrupted run. With ``init``, a series of 20 to 10,000 molecules is
    fine-tuned: training stops when the held-out loss stops improving.

        trained = molgen.train("actives.csv", "tuned", init="zinc250k")
        molgen.load(trained.output).sample(100)

    Args:
        file: a file of SMILES, a finished dataset.npz, a table, or molecules in any container.
        out: folder of the run and its model.
        init: start from this model's weights; with ``few_step`` from its joint block, such as that
            of the network before it was trained further.
        few_step: train a joint block for this model, whose network does not change: the result is
            the model with the block, for ``joint="block"`` and few steps.
        column: of the SMILES; None for the usual ones.
        properties: to condition on, or ``"none"`` (default: qed, ring_count, logp, tpsa, mw, sa).
        representation: ``"smiles"`` (default) or ``"selfies"``.
        max_length: molecules with more tokens are rejected (default: 128).
        held_out: fraction held out (default: 0.05; with init up to 0.2 of a small series).
        keep_salts: keep all fragments of a row (default: the largest organic one).
        neutralise: remove charges by adding or removing protons.
        source: name of the data on the model card.
        epochs: default 30; for a series until its held-out loss stops improving.
        batch_size: default 256; for a series an eighth of it, at most 64.
        lr: peak learning rate.
        layers: of the network (default: 6).
        width: of the network (default: 256).
        heads: of the network (default: 4).
        noise: ``"masked"`` (default), ``"uniform"``, or ``"none"``: an autoregressive network.
        self_correct: also train to correct its own draws and predict their errors.
        prefix_masks: share of the rows, 0 to 1, with every mask behind a clean prefix, for sampling
            block by block (0.15 is usual).
        seed: of the split and of training.
        device: where the network runs.
        dtype: of the matrix products: ``"auto"``, ``"bf16"`` or ``"fp32"``.
        workers: CPU threads and processes.
        checkpoint_every: steps between checkpoints and held-out estimates.
        export: also write the model to this folder, without data and checkpoint.
        no_resume: start again, discarding an earlier run.
        prepare_only: write the data set and stop.
        progress: False for none, or callbacks.

    Returns:
        The log as a table; ``output`` is the folder of the model, None if interrupted, and
        ``counts`` the content of its ``molgen.json``.

    Raises:
        MolgenError: if an argument or the file is invalid, or training fails.
    """
    progress = progress_of(progress)
    given = {name: value for name, value in locals().items() if name in NAMES}
    request = TrainRequest(**{**given, "properties": names_of(properties)})
    folder = Path(out)
    exports = [folder] if export is None else [folder, Path(export)]
    if isinstance(file, str | Path):
        file = source_of(file, folder)
        check_source(file, folder, WRITTEN)
        if file.suffix.lower() == ".npz" and request.changes:
            raise MolgenError(
                f"{file} is a finished data set, expected no options of "
                f"{', '.join(sorted(request.changes))}"
            )
    for place in exports:
        check_folder(place)
    if device is not None:
        from molgen.utils.threads import check_device

        check_device(device)
    if few_step is not None:
        from molgen.api.few_step import train_few_step

        if prepare_only or self_correct or prefix_masks:
            raise MolgenError(
                "few_step is given, expected no prepare_only, self_correct or prefix_masks"
            )
        with failures(), locked(folder):
            source_file = source_of(file, folder)
            how = (not no_resume, progress, init)
            return train_few_step(source_file, few_step, exports, request, *how)
    start = None
    if init is not None:
        request.without_shape()
        start = loaded(init)
        shape: DenoiserConfig = cast(Any, start.denoiser).config
        request.check_prefix_masks(shape.noise, shape.quality)
    with failures(), locked(folder):
        return _train(
            source_of(file, folder), exports, request, start, source or "",
            (not no_resume, prepare_only), progress,
        )  # fmt: skip


@contextmanager
def failures() -> Iterator[None]:
    """Turn failures of training into errors of one line.

    Raises:
        MolgenError: for a missing package, a diverged loss, or too little memory.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MolgenError(
            f"this needs the package {error.name!r}, which is not installed"
        ) from error
    except FloatingPointError as error:
        raise MolgenError(f"{error}; the last checkpoint is kept: try a lower lr") from error
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        reason = str(error).strip().splitlines()[0]
        raise MolgenError(
            f"not enough memory: try a smaller batch_size, max_length or network ({reason})"
        ) from error


def _train(
    file: Path,
    folders: Sequence[Path],
    request: TrainRequest,
    init: Model | None,
    source: str,
    how: tuple[bool, bool],
    progress: Progress,
) -> Result[dict[str, Any]]:
    """Make the data set, train and export."""
    from molgen.training.log import read_log

    resume, prepare_only = how
    folder = folders[0]
    data = _prepare(request, file, folder, source, init, resume, progress.shown)
    progress.remark(data.summary)
    if init is not None and file.suffix.lower() != ".npz":
        _report_unused(file, request.changes, init, progress)
        if "left out" in data.summary:
            progress.remark(f"every row left out, with its reason: {folder / 'report.csv'}")
    if prepare_only:
        for line in data.notes:
            progress.note(line)
        path = folder / "dataset.npz"
        progress.remark(f"{len(data.data):,} molecules in {path}")
        return Result(read_log(folder), {"molecules": len(data.data)}, 1, COMPLETE, request, path)
    return _fit(request, data, folders, init, resume, progress)


def _prepare(
    request: TrainRequest,
    file: Path,
    folder: Path,
    source: str,
    init: Model | None,
    resume: bool,
    shown: bool,
) -> PreparedDataset:
    """Make or load the data set."""
    from molgen.training.prepared import prepare

    prepared = prepare(
        file,
        folder,
        data_options(request.changes, request.seed, init),
        init,
        processes=request.processes,
        resume=resume,
        progress=shown,
        named=request.properties or (),
    )
    if not source:
        return prepared
    about = {**prepared.facts.get("data", {}), "source": source}
    return replace(prepared, facts={**prepared.facts, "data": about})


def _report_unused(file: Path, wanted: dict[str, Any], init: Model, progress: Progress) -> None:
    """Report the numeric columns that the model to start from does not use."""
    from molgen.training.ingest import Options, further_numbers

    used = Options(column=wanted.get("column"), properties=init.properties)
    if unused := further_numbers(file, used):
        progress.remark(
            f"not used: {', '.join(unused)}: {init.name!r} is not conditioned on it; for guidance "
            f"by a measured property: molgen fit-property {file} --column C --out D "
            "--classifier MODEL"
        )


def _fit(
    request: TrainRequest,
    prepared: PreparedDataset,
    folders: Sequence[Path],
    init: Model | None,
    resume: bool,
    progress: Progress,
) -> Result[dict[str, Any]]:
    """Train and export."""
    from molgen.nn.denoiser import MoleculeDenoiser, with_quality_head
    from molgen.training.log import read_log
    from molgen.training.pipeline import fit, shape_for
    from molgen.training.recipe import SERIES
    from molgen.training.state import find, read_meta

    folder, *exports = folders
    network: DenoiserConfig | MoleculeDenoiser
    series = 0
    if init is None:
        config = request.recipe()
        noise = request.noise or "masked"
        network = shape_for(prepared.data, *request.sizes, noise, config.self_correct)
    else:
        network = cast(MoleculeDenoiser, init.denoiser)
        training = int((~prepared.data.held_out).sum())
        series = training if training <= SERIES else 0
        config = request.recipe(True, series, network.config.quality)
        network = with_quality_head(network) if config.self_correct else network
    stopping = bool(series) and bool(prepared.data.held_out.any()) and request.epochs is None
    for line in prepared.notes:
        progress.note(line)
    if init is not None:
        progress.remark(_plan(init, prepared, config, stopping))
    try:
        info = fit(
            prepared,
            (folder, *exports),
            network,
            config,
            resume,
            progress.shown,
            progress.remark,
            stopping,
        )
    except KeyboardInterrupt:
        place = find(folder)
        kept = f"the checkpoint of step {read_meta(place)['step']:,} is" if place else "nothing is"
        reason = f"{INTERRUPTED}: {kept} kept in {folder}; the same command resumes the run"
        return Result(read_log(folder), {}, 1, reason, request)
    if init is not None:
        info = _compare(init.name, prepared, folder, exports, config, request, progress)
    progress.remark(_outcome(info, folder))
    return Result(read_log(folder), info, 1, COMPLETE, request, folder)


def _plan(init: Model, prepared: PreparedDataset, config: TrainConfig, stopping: bool) -> str:
    """Return a line on the recipe of fine-tuning."""
    held_out = int(prepared.data.held_out.sum())
    until = "until the held-out loss stops improving, at most " if stopping else ""
    return (
        f"training starts from the weights of {init.name}, on {len(prepared.data) - held_out:,} "
        f"molecules, {held_out:,} held out: {until}{config.epochs:g} epochs, {config.batch_size} "
        f"molecules a step, learning rate {config.peak_rate:g}"
    )


def _compare(
    original: str,
    prepared: PreparedDataset,
    folder: Path,
    exports: Sequence[Path],
    config: TrainConfig,
    request: TrainRequest,
    progress: Progress,
) -> dict[str, Any]:
    """Measure and report learning and forgetting; return ``molgen.json`` of the model."""
    from molgen.checkpoints.card import fine_tuning as section
    from molgen.training import fine_tuning

    progress.remark("measuring learning and forgetting")
    info = fine_tuning.conclude(
        load(original),  # again: its weights have been trained in place
        folder,
        prepared.data,
        tuple(exports),
        config.device,
        config.dtype,
        config.workers,
        request.properties or (),
    )
    progress.remark(section(info["measured"]["fine_tuning"]))
    return info


def _outcome(info: dict[str, Any], folder: Path) -> str:
    """Return a line on the finished model."""
    found = info["measured"]["held_out"]
    line = f"model in {folder}: {info['parameters']:,} parameters, {info['steps']:,} steps"
    if not found["molecules"]:
        return f"{line}; no held-out molecules to measure it on"
    return (
        f"{line}; held out: {found['nats_per_molecule']:.3f} ± {found['standard_error']:.3f} nats "
        f"per molecule, perplexity {found['perplexity_per_token']:.3f} per token"
    )

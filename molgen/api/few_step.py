"""Few-step models: a model and molecules -> the model with a joint block."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from molgen.api.load import ModelLike, loaded
from molgen.api.progress import Progress
from molgen.api.train_options import TrainRequest, data_options
from molgen.sampling.result import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from molgen.model import Model
    from molgen.nn.denoiser import MoleculeDenoiser
    from molgen.nn.joint_block import JointBlock
    from molgen.training.prepared import PreparedDataset
    from molgen.training.recipe import TrainConfig

EPOCHS, BATCH, RATE = 6.0, 512, 3e-3


def train_few_step(
    file: Path,
    model: ModelLike,
    folders: Sequence[Path],
    request: TrainRequest,
    resume: bool,
    progress: Progress,
    init: ModelLike | None = None,
) -> Result[dict[str, Any]]:
    """Train a joint block for a model; see :func:`molgen.api.train.train`.

    Args:
        file: the training data of the model.
        model: whose network is frozen, or its name.
        folders: the first for the run and the model, the others for the model alone.
        request: options of training.
        resume: continue an earlier run.
        progress: shows it.
        init: a model whose joint block is trained further, for this network.

    Raises:
        MolgenError: if an argument or the file is invalid, the model has no masked noise, or the
            block of ``init`` does not fit it.
    """
    from molgen.training.few_step import RECIPE, check_denoiser, mean_nats, train_block
    from molgen.training.log import read_log
    from molgen.training.prepared import prepare
    from molgen.training.recipe import TrainConfig

    request.without_shape()
    model, folder = loaded(model), folders[0]
    denoiser = cast("MoleculeDenoiser", model.denoiser)
    check_denoiser(denoiser)
    start = None if init is None else _start(loaded(init), denoiser)
    prepared = prepare(
        file,
        folder,
        data_options(request.changes, request.seed, model),
        model,
        processes=request.processes,
        resume=resume,
        progress=progress.shown,
    )
    for line in prepared.notes:
        progress.note(line)
    progress.remark(prepared.summary)
    config = TrainConfig(
        **RECIPE,  # type: ignore[arg-type]
        epochs=request.epochs or EPOCHS,
        batch_size=request.batch_size or BATCH,
        peak_rate=request.lr or RATE,
        seed=request.seed,
        workers=request.workers or 0,
        device=request.device or "cpu",
        dtype=request.dtype or "auto",
    )
    block = train_block(
        prepared.data, denoiser, folder, config, progress.shown, resume, start=start
    )
    nats = mean_nats(prepared.data, denoiser, block, config.seed)
    info = _facts(model, prepared, block, config, nats)
    for place in folders:
        _write(place, folder, model, block, info)
    progress.remark(
        f"joint block in {folder}: {nats['block']:.3f} nats a token drawn, {nats['product']:.3f} "
        "as a product; sample with joint=block and few steps"
    )
    return Result(read_log(folder), info, 1, request=request, output=folder)


def _start(init: Model, denoiser: MoleculeDenoiser) -> JointBlock:
    """Return the joint block of a model, for another network of the same shape.

    Raises:
        MolgenError: if there is none, or it does not fit.
    """
    from molgen.nn.joint_block import check_shape

    block = init.joint_block()
    check_shape(block.config, denoiser.config, "init's joint block")
    return block


def _facts(
    model: Model,
    prepared: PreparedDataset,
    block: JointBlock,
    config: TrainConfig,
    nats: dict[str, float],
) -> dict[str, Any]:
    """Return the content of ``molgen.json``: that of the model, with the facts of the block."""
    from dataclasses import asdict

    few_step = {
        "molecules": len(prepared.data),
        "parameters": sum(p.numel() for p in block.parameters()),
        "recipe": asdict(config),
        "nats_per_token": nats,
    }
    info = {name: value for name, value in model.info.items() if name != "shares"}
    return {**info, "measured": {**info.get("measured", {}), "few_step": few_step}}


def _write(place: Path, run: Path, model: Model, block: JointBlock, info: dict[str, Any]) -> None:
    """Write the model with the block, and its classifier if it has one."""
    from molgen.checkpoints.card import card
    from molgen.checkpoints.files import CLASSIFIER, INDEX, JOINT, find
    from molgen.checkpoints.folder import save_checkpoint, save_network
    from molgen.molecules.training_index import TrainingIndex
    from molgen.nn.denoiser import MoleculeDenoiser
    from molgen.utils.files import staged

    index = TrainingIndex.load(run / INDEX)
    save_network(block, place / JOINT)
    if model.folder is not None and find(model.folder, CLASSIFIER).is_dir():
        with staged(place / CLASSIFIER) as aside:
            shutil.copytree(find(model.folder, CLASSIFIER), aside, dirs_exist_ok=True)
    save_checkpoint(
        place, cast(MoleculeDenoiser, model.denoiser), model.tokenizer, model.prior,
        index, info, card(place.resolve().name, info),
    )  # fmt: skip

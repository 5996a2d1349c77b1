"""A noisy classifier for a model: a file or molecules -> a data set -> a classifier folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from molgen.api.load import ModelLike, loaded
from molgen.api.progress import Progress, progress_of
from molgen.api.train import WRITTEN, failures
from molgen.api.train_options import TrainRequest, check_source, data_options, source_of
from molgen.checkpoints.files import CLASSIFIER, CONFIG, INFO, find
from molgen.errors import MolgenError
from molgen.sampling.result import Result
from molgen.utils.files import check_folder
from molgen.utils.locks import locked

if TYPE_CHECKING:
    from molgen.api.molecules import MoleculesLike
    from molgen.model import Model
    from molgen.nn.denoiser import MoleculeDenoiser
    from property_models.classifiers.network import NoisyClassifier

EPOCHS, BATCH, RATE = 6.0, 256, 2e-3


def train_classifier(
    file: str | Path | MoleculesLike,
    model: ModelLike,
    out: str | Path,
    *,
    column: str | None = None,
    epochs: float = EPOCHS,
    batch_size: int = BATCH,
    lr: float = RATE,
    seed: int = 0,
    workers: int | None = None,
    no_resume: bool = False,
    from_scratch: bool = False,
    init: ModelLike | None = None,
    light_masks: float = 0.0,
    device: str | None = None,
    dtype: str | None = None,
    progress: Progress | bool | None = None,
) -> Result[dict[str, Any]]:
    """Train a noisy classifier for a model: properties of the final molecule from noised tokens.

        made = molgen.train_classifier("training.csv", "qm9", "out/classifier")
        model.sample(100, {"qed": "max"}, guidance=f"cbg:classifier={made.output}")

    Args:
        file: the training data of the model: a file of SMILES, the dataset.npz of its training
            folder, a table, or molecules in any container.
        model: the model to be guided, or its name.
        out: folder of the classifier.
        column: of the SMILES; None for the usual ones.
        epochs: passes over the data.
        batch_size: molecules in a step.
        lr: peak learning rate.
        seed: of the split and of training.
        workers: CPU threads.
        no_resume: start again, discarding an earlier run.
        from_scratch: start from random weights, not from the model's first layers.
        init: a model whose classifier is trained further, or the folder of a classifier.
        light_masks: share of the rows, 0 to 1, with at most a quarter of the tokens masked, so that
            whole molecules are predicted better.
        device: where the network runs.
        dtype: of the matrix products: ``"auto"``, ``"bf16"`` or ``"fp32"``.
        progress: False for none, or callbacks.

    Returns:
        The log as a table; ``output`` is the folder, and ``counts`` has the properties.

    Raises:
        MolgenError: if an argument or the file is invalid, or training fails.
    """
    from molgen.checkpoints.folder import save_network
    from molgen.nn.denoiser import noise_of
    from molgen.training.classifier import RECIPE
    from molgen.training.classifier import train_classifier as fit
    from molgen.training.log import read_log
    from molgen.training.prepared import prepare
    from molgen.training.recipe import TrainConfig, check_light_masks
    from molgen.utils.threads import check_device

    progress, folder = progress_of(progress), Path(out)
    request = TrainRequest(
        column=column, epochs=epochs, batch_size=batch_size, lr=lr, seed=seed, workers=workers
    )
    check_folder(folder)
    if device is not None:
        check_device(device)
    if init is not None and from_scratch:
        raise MolgenError("from_scratch and init are given, expected one of the two")
    model = loaded(model)
    kind = noise_of(model.denoiser)
    check_light_masks(light_masks, kind)
    former = None if init is None else _former(init, model, kind)
    with failures(), locked(folder):
        source = source_of(file, folder)
        check_source(source, folder, WRITTEN)
        prepared = prepare(
            source,
            folder,
            data_options(request.changes, seed, model),
            model,
            processes=request.processes,
            resume=not no_resume,
            progress=progress.shown,
        )
        for line in prepared.notes:
            progress.note(line)
        progress.remark(prepared.summary)
        config = TrainConfig(
            **RECIPE,  # type: ignore[arg-type]
            epochs=epochs,
            batch_size=batch_size,
            peak_rate=lr,
            seed=seed,
            workers=workers or 0,
            light_masks=light_masks,
            device=device or "cpu",
            dtype=dtype or "auto",
        )
        start = None if from_scratch else cast("MoleculeDenoiser | None", model.denoiser)
        classifier = fit(
            prepared.data,
            folder,
            kind,
            config=config,
            resume=not no_resume,
            network=start,
            init=former,
            progress=progress.shown,
        )
        save_network(classifier, folder)
    names = list(classifier.properties)
    progress.remark(f"classifier of {', '.join(names)} for {kind} noise in {folder}")
    counts = {"properties": names, "noise": kind, "molecules": len(prepared.data)}
    return Result(read_log(folder), counts, 1, request=request, output=folder)


def _former(init: ModelLike, model: Model, noise: str) -> NoisyClassifier:
    """Return a copy of a classifier to train further for a model of some noise.

    Raises:
        MolgenError: if there is none, or it does not fit the model.
    """
    import copy

    from molgen.training.classifier import check_same

    folder = Path(init) if isinstance(init, str | Path) else None
    if folder is None or not (folder / CONFIG).is_file() or (folder / INFO).is_file():
        own = loaded(init)  # a model, not the folder of a classifier
        if own.folder is None:
            raise MolgenError(f"init is {own.name!r}, expected a model in a folder")
        folder = find(own.folder, CLASSIFIER)
    found = model.classifier_for({}, str(folder))
    check_same(found, model.properties, noise)
    return copy.deepcopy(found)

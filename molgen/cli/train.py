"""Train a model on a file of SMILES.

The file is cleaned first; every molecule left out is listed in DIR/report.csv with its reason. A
property's values are the file's column of that name where there is one, else RDKit's. The same
command goes on where it was interrupted or killed. FILE may also be the dataset.npz of an earlier
--prepare-only run; that needs no RDKit.

With --init a model goes on from another one's weights. On a series of 20 to 10,000 molecules it is
fine-tuned: training stops when the held-out part stops improving, and a report says what was
learned and what was forgotten (DIR/fine_tuning.json, and on the model card).

Example:
  molgen train molecules.csv --out my_model
  molgen train molecules.smi --out my_model --properties qed,logp --representation selfies
  molgen train actives.csv --out tuned --init qm9
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from molgen.cli import inputs, options, train_options

if TYPE_CHECKING:
    from molgen.model import Model
    from molgen.nn.config import DenoiserConfig
    from molgen.nn.denoiser import MoleculeDenoiser
    from molgen.training.prepared import PreparedDataset
    from molgen.training.recipe import TrainConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "file", metavar="FILE", help="csv, tsv, smi or txt, gzipped or not; or a prepared .npz"
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder of the run and its model"
    )
    parser.add_argument(
        "--init", metavar="MODEL", type=options.model_name, help="start from this model's weights"
    )
    train_options.add_data(parser.add_argument_group("data"))
    train_options.add_training(parser.add_argument_group("training"))
    parser.add_argument(
        "--export", metavar="DIR", help="also write the model alone there, without data and state"
    )
    parser.add_argument(
        "--no-resume", action="store_true", help="begin anew, whatever DIR holds of an earlier run"
    )
    parser.add_argument(
        "--prepare-only", action="store_true", help="stop when the data set is ready"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prepare, train and finish; return the exit status."""
    try:
        return _run(arguments)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"this needs the package {error.name!r}, which is not installed"
        ) from error
    except FloatingPointError as error:
        raise ValueError(f"{error}; the last checkpoint is kept: try a lower --lr") from error
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"not enough memory: try a smaller --batch-size, --max-length or network ({reason})"
        ) from error


def _run(arguments: argparse.Namespace) -> int:
    source, folder = Path(arguments.file), Path(arguments.out)
    train_options.check(arguments)
    wanted = train_options.changes(arguments)
    check_source(source, wanted)
    for place in filter(None, (folder, arguments.export and Path(arguments.export))):
        check_folder(place)
    if arguments.device:
        options.check_device(arguments.device)
    init = load_init(arguments)
    data = prepare(arguments, source, folder, wanted, init)
    options.say(data.summary)
    if init is not None and source.suffix.lower() != ".npz":
        say_aside(source, wanted, init)
        if "left out" in data.summary:
            options.say(f"every row left out, with its reason: {folder / 'report.csv'}")
    if arguments.prepare_only:
        inputs.note(data.notes)
        options.say(f"{len(data.data):,} molecules in {folder / 'dataset.npz'}")
        return 0
    return train(arguments, data, folder, init)


def check_source(source: Path, wanted: dict[str, Any]) -> None:
    """Check that there is a file, and that nothing is asked of a prepared one.

    Raises:
        ValueError: if not.
    """
    if not source.is_file():
        raise ValueError(f"no file {str(source)!r}")
    if source.suffix.lower() == ".npz" and wanted:
        raise ValueError(
            f"{source} is prepared already: {', '.join(sorted(wanted))} cannot be chosen any more"
        )


def check_folder(folder: Path) -> None:
    """Check that a folder is there, or can be made, and can be written to.

    Raises:
        ValueError: if not.
    """
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir():
        raise ValueError(f"cannot write to {str(folder)!r}: {str(there)!r} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"cannot write to {str(folder)!r}: no permission for {str(there)!r}")


def load_init(arguments: argparse.Namespace) -> Model | None:
    """Return the model to start from, if one is asked for.

    Raises:
        ValueError: if there is none of that name, or a shape is asked for beside it.
    """
    if not arguments.init:
        return None
    for name in ("layers", "width", "heads", "noise"):
        if getattr(arguments, name) is not None:
            raise ValueError(f"--{name} comes with the model that --init names")
    from molgen import load

    return load(arguments.init)


def prepare(
    arguments: argparse.Namespace,
    source: Path,
    folder: Path,
    wanted: dict[str, Any],
    init: Model | None,
) -> PreparedDataset:
    """Make or find the data set."""
    from molgen.training.prepared import prepare

    prepared = prepare(
        source,
        folder,
        train_options.data_options(wanted, arguments.seed, init),
        init,
        processes=arguments.workers or os.cpu_count() or 1,
        resume=not arguments.no_resume,
        progress=True,
        named=wanted.get("properties", ()),
    )
    if not arguments.source:
        return prepared
    about = {**prepared.facts.get("data", {}), "source": arguments.source}
    return replace(prepared, facts={**prepared.facts, "data": about})


def say_aside(source: Path, wanted: dict[str, Any], init: Model) -> None:
    """Say which columns of numbers the model to start from has no use for."""
    from molgen.training.ingest import Options, further_numbers

    asked = Options(column=wanted.get("column"), properties=init.properties)
    if aside := further_numbers(source, asked):
        options.say(
            f"left aside: {', '.join(aside)}: {init.name!r} is not conditioned on it; to steer by "
            f"a measured property: molgen fit-property {source} --column C --out D "
            "--classifier MODEL"
        )


def train(
    arguments: argparse.Namespace, prepared: PreparedDataset, folder: Path, init: Model | None
) -> int:
    """Train and finish; return the exit status."""
    from molgen.nn.denoiser import MoleculeDenoiser, with_quality_head
    from molgen.training.pipeline import fit, shape_for
    from molgen.training.recipe import SERIES
    from molgen.training.state import find, read_meta

    exports = (Path(arguments.export),) if arguments.export else ()
    network: DenoiserConfig | MoleculeDenoiser
    if init is None:
        config = train_options.recipe(arguments)
        network = shape_for(
            prepared.data,
            *train_options.sizes(arguments),
            noise=arguments.noise or "masked",
            quality=config.self_correct,
        )
    else:
        network = cast(MoleculeDenoiser, init.denoiser)
        training = int((~prepared.data.held_out).sum())
        series = training if training <= SERIES else 0
        config = train_options.recipe(arguments, series, network.config.quality)
        network = with_quality_head(network) if config.self_correct else network
    held_out = bool(prepared.data.held_out.any())
    stopping = init is not None and bool(series) and held_out and arguments.epochs is None
    inputs.note(prepared.notes)
    if init is not None:
        options.say(plan(init, prepared, config, stopping))
    try:
        info = fit(
            prepared,
            folder,
            network,
            config,
            not arguments.no_resume,
            True,
            exports,
            options.say,
            stopping,
        )
    except KeyboardInterrupt:
        place = find(folder)
        kept = f"the checkpoint of step {read_meta(place)['step']:,} is" if place else "nothing is"
        options.say(f"{kept} kept in {folder}; the same command goes on from there")
        raise
    if init is not None:
        named = train_options.changes(arguments).get("properties", ())
        info = compare(init.name, prepared, folder, exports, config, named)
    options.say(outcome(info, folder))
    return 0


def plan(init: Model, prepared: PreparedDataset, config: TrainConfig, stopping: bool) -> str:
    """Return a line on how a model is fine-tuned."""
    held_out = int(prepared.data.held_out.sum())
    until = "until the held-out part stops improving, at most " if stopping else ""
    return (
        f"{init.name} goes on from its weights on {len(prepared.data) - held_out:,} molecules, "
        f"{held_out:,} held out: {until}{config.epochs:g} epochs, {config.batch_size} molecules a "
        f"step, learning rate {config.peak_rate:g}"
    )


def compare(
    original: str,
    prepared: PreparedDataset,
    folder: Path,
    exports: tuple[Path, ...],
    config: TrainConfig,
    named: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Measure and print what a fine-tuned model learned and forgot; return its ``molgen.json``."""
    from molgen import load
    from molgen.checkpoints.card import fine_tuning as section
    from molgen.training import fine_tuning

    options.say("measuring what was learned and forgotten")
    info = fine_tuning.conclude(
        load(original),  # again: its weights have been trained on in place
        folder,
        prepared.data,
        exports,
        config.device,
        config.dtype,
        config.workers,
        named,
    )
    options.say(section(info["measured"]["fine_tuning"]))
    return info


def outcome(info: dict[str, Any], folder: Path) -> str:
    """Return a line on the finished model."""
    found = info["measured"]["held_out"]
    line = f"model in {folder}: {info['parameters']:,} parameters, {info['steps']:,} steps"
    if not found["molecules"]:
        return f"{line}; nothing was held out to measure it on"
    return (
        f"{line}; held out: {found['nats_per_molecule']:.3f} ± {found['standard_error']:.3f} nats "
        f"per molecule, perplexity {found['perplexity_per_token']:.3f} per token"
    )

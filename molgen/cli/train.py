"""Train a model on a file of SMILES.

The file is cleaned first; every rejected molecule is listed in DIR/report.csv with its reason. The
values of a property are the file's column of that name, or else computed by RDKit. The same command
resumes an interrupted run. FILE may also be the dataset.npz of an earlier --prepare-only run, which
does not need RDKit.

With --init training starts from the weights of another model. On a series of 20 to 10,000 molecules
it is fine-tuned: training stops when the held-out loss stops improving, and learning and forgetting
are measured (DIR/fine_tuning.json, and the model card).

Example:
  molgen train molecules.csv --out my_model
  molgen train molecules.smi --out my_model --properties qed,logp --representation selfies
  molgen train actives.csv --out tuned --init qm9
"""

from __future__ import annotations

import argparse
from pathlib import Path

from molgen.cli import options, outputs, train_options

WRITTEN = ("report.csv", "training_log.csv")  # tables in the folder of a run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "file", metavar="FILE", help="csv, tsv, smi or txt, gzipped or not; or a dataset.npz"
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
        "--export", metavar="DIR", help="also write the model to DIR, without data and checkpoint"
    )
    parser.add_argument(
        "--no-resume", action="store_true", help="start again, discarding an earlier run in --out"
    )
    parser.add_argument("--prepare-only", action="store_true", help="write the data set and stop")


def run(arguments: argparse.Namespace) -> int:
    """Make the data set, train and export; return the exit status."""
    from molgen.api.train import train
    from molgen.api.train_options import NAMES

<<<<<<< HEAD

def _run(arguments: argparse.Namespace) -> int:
    from molgen.utils.files import check_folder
    from molgen.utils.locks import locked

    source, folder = Path(arguments.file), Path(arguments.out)
    train_options.check(arguments)
    wanted = train_options.changes(arguments)
    check_source(source, wanted, folder)
    for place in filter(None, (folder, arguments.export)):
        check_folder(place)
    if arguments.device:
        options.check_device(arguments.device)
    init = load_init(arguments)
    with locked(folder):
        data = prepare(arguments, source, folder, wanted, init)
        options.say(data.summary)
        if init is not None and source.suffix.lower() != ".npz":
            report_unused(source, wanted, init)
            if "left out" in data.summary:
                options.say(f"every row left out, with its reason: {folder / 'report.csv'}")
        if arguments.prepare_only:
            inputs.note(data.notes)
            options.say(f"{len(data.data):,} molecules in {folder / 'dataset.npz'}")
            return 0
        return train(arguments, data, folder, init)


def check_source(source: Path, wanted: dict[str, Any], folder: Path) -> None:
    """Check that the file exists, that a data set has no data options, and that none is replaced.

    Raises:
        MolgenError: if not.
    """
    if not source.is_file():
        raise MolgenError(f"no file {str(source)!r}")
    if source.resolve() in [(folder / name).resolve() for name in WRITTEN]:
        raise MolgenError(f"file is {str(source)!r}, which a run in {str(folder)!r} replaces")
    if source.suffix.lower() == ".npz" and wanted:
        raise MolgenError(
            f"{source} is a finished data set, expected no options of {', '.join(sorted(wanted))}"
        )


def load_init(arguments: argparse.Namespace) -> Model | None:
    """Return the model to start from, or None without ``--init``.

    Raises:
        MolgenError: if there is no such model, or a shape is given too.
    """
    if not arguments.init:
        return None
    for name in ("layers", "width", "heads", "noise"):
        if getattr(arguments, name) is not None:
            raise MolgenError(f"--{name} is given, expected only --init, whose model defines it")
    from molgen import load

    return load(arguments.init)


def prepare(
    arguments: argparse.Namespace,
    source: Path,
    folder: Path,
    wanted: dict[str, Any],
    init: Model | None,
) -> PreparedDataset:
    """Make or load the data set."""
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


def report_unused(source: Path, wanted: dict[str, Any], init: Model) -> None:
    """Print the numeric columns that the model to start from does not use."""
    from molgen.training.ingest import Options, further_numbers

    used = Options(column=wanted.get("column"), properties=init.properties)
    if unused := further_numbers(source, used):
        options.say(
            f"not used: {', '.join(unused)}: {init.name!r} is not conditioned on it; for guidance "
            f"by a measured property: molgen fit-property {source} --column C --out D "
            "--classifier MODEL"
        )


def train(
    arguments: argparse.Namespace, prepared: PreparedDataset, folder: Path, init: Model | None
) -> int:
    """Train and export; return the exit status."""
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
            (folder, *exports),
            network,
            config,
            not arguments.no_resume,
            True,
            options.say,
            stopping,
        )
    except KeyboardInterrupt:
        place = find(folder)
        kept = f"the checkpoint of step {read_meta(place)['step']:,} is" if place else "nothing is"
        options.say(f"{kept} kept in {folder}; the same command resumes the run")
        raise
    if init is not None:
        named = train_options.changes(arguments).get("properties", ())
        info = compare(init.name, prepared, folder, exports, config, named)
    options.say(outcome(info, folder))
=======
    names = (*NAMES, "init", "source", "export", "no_resume", "prepare_only")
    given = {name: getattr(arguments, name) for name in names}
    found = train(Path(arguments.file), arguments.out, **given, progress=outputs.Screen())
    train_options.check_interrupted(found)
>>>>>>> w-d
    return 0

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
  molgen train qm9.csv --out few_step --few-step qm9
"""

from __future__ import annotations

import argparse
from pathlib import Path

from molgen.cli import options, outputs, train_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "file", metavar="FILE", help="csv, tsv, smi or txt, gzipped or not; or a dataset.npz"
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder of the run and its model"
    )
    parser.add_argument(
        "--init",
        metavar="MODEL",
        type=options.model_name,
        help="start from this model's weights (with --few-step from its joint block)",
    )
    parser.add_argument(
        "--few-step",
        metavar="MODEL",
        type=options.model_name,
        help="train a joint block for this model, for sampling with --joint block and few steps",
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

    names = (*NAMES, "init", "few_step", "source", "export", "no_resume", "prepare_only")
    given = {name: getattr(arguments, name) for name in names}
    found = train(Path(arguments.file), arguments.out, **given, progress=outputs.Screen())
    train_options.check_interrupted(found)
    return 0

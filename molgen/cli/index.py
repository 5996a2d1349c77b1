"""Add InChIKeys to the training-set index of a model folder of an earlier release.

FILE is the training file; of a fine-tuned model, several: those of both trainings. Its molecules
are compared with the index, and nothing is written unless all of the index are among them. A model
that is trained now has InChIKeys already.

InChIKeys join mobile hydrogens (tautomers of azoles, amides, amidines, ...), zwitterions with
neutral forms, and ways of writing a nitro group; they do not join keto and enol forms, acids and
their anions, or stereoisomers. They count in `molgen evaluate --conventions inchikey`, and in
`molgen design` and `molgen search` with --novelty inchikey.

Example:
  molgen index out/model train.csv
  molgen index out/fine-tuned zinc250k.csv.gz series.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path

from molgen.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("folder", metavar="FOLDER", help="of the model")
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="csv, parquet, smi or txt; may be gzipped"
    )
    parser.add_argument("--column", metavar="C", help="the column to read of each file")
    parser.add_argument(
        "--workers", type=options.positive, metavar="N", help="processes (default: one a core)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Compute and write; return the exit status."""
    from molgen.api.molecules import training_molecules
    from molgen.checkpoints.files import INDEX, find
    from molgen.checkpoints.folder import read_info
    from molgen.checkpoints.hub import locate
    from molgen.checkpoints.info import home
    from molgen.cli.outputs import Screen
    from molgen.errors import MolgenError
    from molgen.molecules.training_index import TrainingIndex
    from molgen.utils.files import check_writable, replacing
    from molgen.utils.parallel import cores

    folder = locate(arguments.folder)
    path = find(home(folder, read_info(folder)), INDEX)
    if not path.is_file():
        raise MolgenError(f"model {arguments.folder!r} has no training-set index")
    check_writable(path)
    index, workers = TrainingIndex.load(path), arguments.workers or cores()
    read = [training_molecules(Path(file), arguments.column, workers) for file in arguments.files]
    smiles = [text for found, _ in read for text in found]
    index = index.with_inchikeys(smiles, workers, "training-set index")
    for _, record in read:
        for line in record.notes:
            Screen().note(line)
    with replacing(path) as part:
        index.save(part)
    keys = 0 if index.inchi_keys is None else len(index.inchi_keys)
    print(f"{keys:,} InChIKeys of {len(index):,} molecules")
    print(f"wrote {path}")
    return 0

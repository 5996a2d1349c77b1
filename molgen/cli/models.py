"""List the bundled models.

Example:
  molgen models
  molgen models qm9
"""

from __future__ import annotations

import argparse

from molgen.cli import options
from molgen.errors import MolgenError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "name", nargs="?", metavar="MODEL", type=options.model_name, help="print this model's card"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print; return the exit status."""
    from molgen.checkpoints.files import CARD
    from molgen.checkpoints.hub import BUNDLED, bundled_names, locate
    from molgen.checkpoints.info import read_info
    from molgen.nn.stored import StoredShape, read_shape
    from molgen.utils.json_files import read_bytes

    if arguments.name:
        folder = locate(arguments.name)
        card = folder / CARD
        if not card.is_file():
            raise MolgenError(f"model {arguments.name!r} has no card")
        print(read_bytes(card).decode("utf-8", "replace"))
        return 0
    for name in bundled_names():
        folder = BUNDLED / name
        info = read_info(folder)
        properties = ", ".join(read_shape(folder, StoredShape).properties) or "none"
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        print(f"{name:12s} {info.get('summary', '')} ({size:.1f} MB)")
        print(f"{'':12s} conditioned on {properties}")
    return 0

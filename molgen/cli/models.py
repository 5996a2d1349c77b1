"""List the models that come with molgen.

Example:
  molgen models
  molgen models qm9
"""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("name", nargs="?", metavar="MODEL", help="print this model's card")


def run(arguments: argparse.Namespace) -> int:
    """Print; return the exit status."""
    from molgen.checkpoints.folder import read_info
    from molgen.checkpoints.hub import BUNDLED, bundled_names, locate

    if arguments.name:
        folder = locate(arguments.name)
        card = folder / "README.md"
        if not card.is_file():
            raise ValueError(f"model {arguments.name!r} has no card")
        print(card.read_text(encoding="utf-8"))
        return 0
    for name in bundled_names():
        folder = BUNDLED / name
        info = read_info(folder)
        shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        properties = ", ".join(shape["properties"]) or "none"
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        print(f"{name:12s} {info.get('summary', '')} ({size:.1f} MB)")
        print(f"{'':12s} conditioned on {properties}")
    return 0

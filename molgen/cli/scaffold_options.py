"""Options for constraints: scaffolds, linker ends, kept atoms of a lead.

Scaffolds are SMILES with attachment points ``*`` (also ``[*]``, ``[*:1]``, ``[1*]``), each an
argument or a line of a file; see :mod:`molgen.constraints.scaffolds`.
"""

from __future__ import annotations

import argparse
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group(
        "scaffold",
        "constraint on every molecule; with several scaffolds, rows cycle through them. Quote "
        "SMILES, because the shell expands *",
    )
    group.add_argument(
        "--scaffold",
        action="append",
        default=[],
        metavar="SMILES",
        help="grown at its attachment points, * or [*] or [*:1] or [1*]; fragments joined by a dot "
        "or by | are linked; may be repeated. What is put at a point is in the column part_1, or "
        "R1 if its label is 1, and what links fragments in the column linker",
    )
    group.add_argument(
        "--scaffold-file",
        metavar="FILE",
        help="a list of scaffolds, or a table with a column scaffold or smiles, in any format",
    )
    group.add_argument(
        "--superstructure",
        action="store_true",
        help="a scaffold without attachment points may grow anywhere",
    )
    group.add_argument(
        "--keep",
        metavar="ATOMS",
        help="scaffolds are whole leads of which these atoms are kept and all others may change: "
        "SMARTS, or numbers such as 0,3,5-8, from 0 in the order of the SMILES",
    )
    group.add_argument(
        "--change", metavar="ATOMS", help="atoms that may change, in the same notation"
    )
    group.add_argument(
        "--part-target",
        action="append",
        default=[],
        metavar="PROP=VALUE",
        help="limit on each part beside the scaffold, such as mw=..150 or heavy_atoms=..8, or on "
        "one of them, such as R1:mw=..150; open bonds are filled with hydrogen; may be repeated",
    )


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of :func:`molgen.api.design.design` on scaffolds."""
    names = ("scaffold", "scaffold_file", "superstructure", "keep", "change")
    return {name: getattr(arguments, name) for name in names}

"""Draw texts with a pretrained masked language model: ``molgen sample --template`` or ``--length``.

Options of targets, properties and molecules are errors.
"""

from __future__ import annotations

import argparse
import sys

from molgen.cli import options, outputs
from molgen.errors import MolgenError
from molgen.utils.interrupts import INTERRUPTED

OF_MOLECULES = ("target", "score", "property", "trajectory", "preset", "diversity")
"""Arguments that have no meaning for texts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a masked language model."""
    group = parser.add_argument_group(
        "masked language models",
        "MODEL is the folder of one (BERT, RoBERTa, ESM, ...) or its hf: name; no targets",
    )
    group.add_argument(
        "--template",
        metavar="FILE",
        help="draw the masks of each line of a text file, or of the column `template` of a table; "
        "[MASK] is a mask, [MASK*13] are thirteen; --n rows for each",
    )
    group.add_argument(
        "--length", type=options.positive, metavar="L", help="draw rows of L masks alone"
    )


def run(arguments: argparse.Namespace) -> int:
    """Draw and write; return the exit status."""
    from molgen.data.templates import read_templates

    for name in OF_MOLECULES:
        if getattr(arguments, name, None):
            raise MolgenError(f"{name} is for molecules, expected none with template or length")
    if arguments.template is not None and arguments.length is not None:
        raise MolgenError("template and length are both given, expected one of them")
    outputs.check_files(arguments, tables=True)
    templates = None if arguments.template is None else read_templates(arguments.template)

    from molgen.api.denoiser import denoiser_from
    from molgen.api.load import identify

    model = denoiser_from(arguments.model)
    identify(model)
    found = model.sample(
        arguments.n,
        templates,
        arguments.length,
        arguments.seed,
        **options.given(arguments),
    )
    if found.reason == "interrupted" and not len(found):
        raise KeyboardInterrupt
    outputs.deliver(found, arguments)
    print(found.counts)
    if len(found) == found.asked:
        return 0
    print(f"interrupted: {len(found)} of {found.asked} rows written", file=sys.stderr)
    return INTERRUPTED

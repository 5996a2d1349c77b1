"""Draw N molecules, one row each, into a file.

Row i is one draw: never rejected, retried, repaired or filtered. The same seed gives the same rows,
and a smaller N is a prefix of a larger one. A property that the model learned from a column of its
training file can be a target like any other; its values cannot be computed, as its column states.

With --template or --length, MODEL is a pretrained masked language model of any text (a folder of
transformers, or hf:owner/name), and the columns are index, raw, nfe.

Example:
  molgen sample qm9 --n 1000 --out samples.csv
  molgen sample qm9 --n 1000 --target qed=max --gamma 3 --remask rescale --eta 0.1 --out high.csv
  molgen sample hf:owner/name --template texts.txt --n 20 --out texts.csv
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.cli import options, outputs, sample_sequences
from molgen.errors import MolgenError
from molgen.utils.progress import Bar

if TYPE_CHECKING:
    from molgen.model import Model
    from molgen.sampling.result import Result, SampleCounts

EVENTS = (".csv", ".parquet")  # rows of a trajectory are events, not molecules


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    options.add_model(parser)
    parser.add_argument(
        "--n", type=options.positive, required=True, metavar="N", help="rows to draw"
    )
    options.add_goals(parser)
    outputs.add_out(parser)
    parser.add_argument(
        "--property",
        action="append",
        default=[],
        metavar="PROP",
        help="a further property to compute; may be repeated",
    )
    parser.add_argument(
        "--trajectory",
        metavar="FILE",
        help="also write every event: which token was placed, removed, replaced, and when (.csv)",
    )
    sample_sequences.add_arguments(parser)
    options.add_diversity(parser)
    options.add_sampling(parser)
    options.add_scorers(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw and write; return the exit status."""
    if arguments.template is not None or arguments.length is not None:
        return sample_sequences.run(arguments)

    from molgen.data.tables import write_table

    outputs.check_files(arguments)
    check_trajectory(arguments.trajectory, arguments.out)
    words, columns = options.goals(arguments)

    from molgen.api.goals import not_computed
    from molgen.api.load import loaded
    from molgen.model import SampleRequest
    from molgen.sampling.diversity import stop_of
    from molgen.sampling.finished import finished
    from molgen.sampling.keywords import UNGUIDED
    from molgen.utils.interrupts import INTERRUPTED
    from property_models import alongside
    from property_models.external import costs

    model = loaded(arguments.model)
    wanted, given = model.guidable(words), options.given(arguments)
    if arguments.diversity is not None:
        stop = stop_of(model, arguments.diversity, given)
        given["preset"], wanted = stop.sampling, wanted or stop.targets
        options.say(f"stop {stop}")
    guided_by = {} if arguments.guidance == UNGUIDED else wanted
    settings = model.settings_of(given, "sampling", guided_by)
    further = (*arguments.property, *columns)
    request = SampleRequest(arguments.n, wanted, arguments.seed, 0, further, settings)
    own = model.own_labels(request.names)
    model.check(guided_by, settings)
    for line in costs(request.names):
        print(line, file=sys.stderr)
    for line in model.prior.outside(guided_by):
        print(f"warning: {line}", file=sys.stderr, flush=True)
    n, seed, record = arguments.n, arguments.seed, bool(arguments.trajectory)
    with Bar(n, "row") as bar:
        samples, ended = finished(
            lambda on_done: model.draw(
                n, guided_by, seed, settings=settings, record=record, on_done=on_done
            ),
            bar.add,
        )
    if ended is not None and not len(ended):
        raise KeyboardInterrupt
    found = model.result(samples, request, ended)
    outputs.deliver(found, arguments)
    if samples.trajectory is not None:
        write_table(samples.trajectory.frame(), arguments.trajectory)
    print(summary(found, [name for name in alongside(request.names) if name not in own]))
    for line in not_computed(own):
        print(line, file=sys.stderr)
    warning = warn(model)
    if warning:
        print(f"warning: {warning}", file=sys.stderr)
    if ended is None:
        return 0
    print(f"interrupted: {len(found)} of {n} rows written", file=sys.stderr)
    return INTERRUPTED


def check_trajectory(path: str | None, out: str) -> None:
    """Check the name of the file of events.

    Raises:
        MolgenError: if its extension is unsupported, or it is the file of the molecules.
    """
    from molgen.utils.files import check_writable

    if path is None:
        return
    if Path(path).suffix.lower() not in EVENTS:
        raise MolgenError(
            f"trajectory is {path!r}, expected a file ending in {' or '.join(EVENTS)}"
        )
    check_writable(path)
    if Path(path).resolve() == Path(out).resolve():
        raise MolgenError(f"trajectory and out are one file, {path!r}")


def summary(found: Result[SampleCounts], names: list[str]) -> str:
    """Return the counts of rows in a few lines; every rate is over all rows."""
    table = found.table
    if not len(table):
        return f"0 of {found.asked} rows"
    failures = table.loc[table["status"] != "ok", "status"].value_counts()
    lines = [str(found.counts)]
    if len(failures):
        lines.append("invalid: " + ", ".join(f"{n} {name}" for name, n in failures.items()))
    for name in names:
        values = table.loc[table["unique"], name]
        if values.notna().any():
            lines.append(
                f"{name} of the distinct valid: mean {values.mean():.3f}, "
                f"{values.min():.3f} to {values.max():.3f}"
            )
    return "\n".join(lines)


def warn(model: Model) -> str | None:
    """Return a warning on the column ``novel``, or None."""
    if model.training_index is None:
        return "the model has no training-set index, so no row counts as novel"
    return model.training_index.check()

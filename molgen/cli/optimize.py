r"""Improve leads: redraw the region with the worst attribution, and stay similar to the lead.

LEADS is a SMILES or a file of them. An attempt masks a region of a lead, keeps the rest and redraws
the region under guidance; every attempt is a row, with its similarity to the lead (Tanimoto, Morgan
radius 2, 2,048 bits), its gain over the lead in training standard deviations, and its outcome:
invalid, unchanged, duplicate, constraint lost, similarity below, filter failed, not selected, goal
missed, or ok. A range or a number is met or missed; max and min are met by an improvement over the
lead.

There are two tiers, given in the column `tier` and in the report. By default the properties are not
computed while drawing: the model's noisy classifier scores the regions, and attempts continue from
the molecules with the highest target probability; without a classifier the network scores the
regions, and all attempts start from the lead. With --top-k P the classifier selects P molecules a
lead at the end; the others are `not selected`, and their properties are not computed. With
--oracle-calls M, up to M distinct molecules a lead are scored while drawing, and attempts continue
from improved molecules; --stop-after E ends the attempts at a lead after E molecules that meet
every goal.

The exit status is 0 if every lead was improved and 3 if not. Finished rows are written every 64
leads. Rejected leads are rows with the reason.

Example:
  molgen optimize qm9 'CCC1=CNC(=O)N1' --target qed=max --similarity 0.4 --out better.csv
  molgen optimize qm9 leads.smi --target qed=0.5.. --attempts 20 --oracle-calls 20 --out better.csv
  molgen optimize zinc250k leads.smi --target qed=0.9.. --attempts 120 --top-k 20 --out better.csv
  molgen optimize zinc250k leads.smi --target qed=0.9.. --attempts 200 --oracle-calls 100 \
      --stop-after 1 --out better.csv
  molgen optimize qm9 'OCC1CCCO1' --target logp=0.5..1.5 --keep 'C1CCCO1' --out better.csv
"""

from __future__ import annotations

import argparse
import sys
<<<<<<< HEAD
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.cli import inputs, options, outputs, resume, scaffold_options
=======
from typing import TYPE_CHECKING

from molgen.cli import options, outputs
>>>>>>> w-d
from molgen.cli.outputs import FEWER, SHOWN

if TYPE_CHECKING:
    import pandas as pd

<<<<<<< HEAD
    from molgen.constraints.likeness import Atoms
    from molgen.data.carried import Columns
    from molgen.discovery.goals import Goals
    from molgen.discovery.leads.report import Optimized
    from molgen.molecules.parsing import Molecule
=======
    from molgen.discovery.leads.counts import LeadCounts
    from molgen.sampling.result import Result
>>>>>>> w-d

WIDEST = 36  # characters of a molecule in the short table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    options.add_model(parser)
<<<<<<< HEAD
    parser.add_argument("leads", metavar="LEADS", help=f"a SMILES, or a file: {inputs.FILE}")
    options.add_targets(parser, required=True)
=======
    parser.add_argument("leads", metavar="LEADS", help="a SMILES, or a .smi or .csv file of them")
    options.add_goals(parser)
>>>>>>> w-d
    parser.add_argument(
        "--similarity", type=float, default=0.4, metavar="S", help="least similarity (default 0.4)"
    )
    parser.add_argument(
        "--attempts",
        type=options.positive,
        default=20,
        metavar="K",
        help="attempts a lead (default 20)",
    )
    parser.add_argument(
        "--oracle-calls",
        type=options.whole,
        default=0,
        metavar="M",
        help="distinct molecules a lead, itself included, that may be scored while drawing "
        "(default 0: none)",
    )
    parser.add_argument(
        "--stop-after",
        type=options.positive,
        metavar="E",
        help="molecules that meet every goal, after which a lead gets no more attempts; needs "
        "--oracle-calls (default: all attempts)",
    )
    parser.add_argument(
        "--top-k",
        type=options.positive,
        metavar="P",
        help="molecules a lead that the model's noisy classifier selects from all attempts; "
        "without --oracle-calls (default: every attempt)",
    )
    outputs.add_out(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--keep", metavar="ATOMS", help="kept atoms: SMARTS, or for one lead 0,3,5-8"
    )
    which.add_argument(
        "--change", metavar="ATOMS", help="atoms that may change, in the same notation"
    )
    parser.add_argument("--column", metavar="C", help="column of the file with the leads")
    outputs.add_weights(parser, "the guidance and the gain")
    outputs.add_filters(parser)
    outputs.add_allowed(parser, training_molecules=False)
    outputs.add_tolerance(parser)
    options.add_sampling(parser)
    options.add_scorers(parser)


def run(arguments: argparse.Namespace) -> int:
    """Improve and write; return the exit status."""
<<<<<<< HEAD
    from molgen.constraints.likeness import Likeness
    from molgen.data.carried import carry
    from molgen.discovery.leads.lead import Refused, read
    from molgen.discovery.request import Budget, Request
    from molgen.molecules.filters import Filters
    from property_models.scorers import STOPPED

    outputs.check_files(arguments)
    goals = outputs.read_goals(arguments)
    filters = Filters.read(arguments.filter)
    leads, notes, columns = read_leads(arguments.leads, arguments.column)
    single = not notes
    keep, change = (_atoms(name, getattr(arguments, name), single) for name in ("keep", "change"))
    likeness = Likeness(arguments.similarity, keep, change)

    from molgen.discovery.leads.optimize import optimize

    model = resume.load_model(arguments.model)
    if single and isinstance(lead := read(0, leads[0], model, likeness), Refused):
        raise MolgenError(lead.reason)
    request = Request(
        goals,
        arguments.top_k,
        filters,
        likeness,
        Budget(
            oracle_calls=arguments.oracle_calls,
            attempts=arguments.attempts,
            stop_after=arguments.stop_after,
        ),
        arguments.seed,
        options.settings(arguments, model),
        {} if arguments.guidance == "none" else None,
=======
    outputs.check_files(arguments.out)
    targets, _ = options.goals(arguments, needed=True)
    weights = outputs.read_weights(arguments.weight)

    from molgen.api.optimize import optimize
    from property_models.scorers import STOPPED

    found = optimize(
        arguments.model,
        arguments.leads,
        targets,
        similarity=arguments.similarity,
        attempts=arguments.attempts,
        oracle_calls=arguments.oracle_calls,
        stop_after=arguments.stop_after,
        top_k=arguments.top_k,
        keep=arguments.keep,
        change=arguments.change,
        column=arguments.column,
        filters=arguments.filter,
        tolerance=arguments.tolerance,
>>>>>>> w-d
        allow_radicals=arguments.allow_radicals,
        seed=arguments.seed,
        progress=Screen(arguments.out),
        goal_weights=weights,
        **options.given(arguments),
    )
<<<<<<< HEAD
    inputs.note(notes)
    options.warn_of_targets(model, goals.targets)

    def write(table: pd.DataFrame, counts: object = None, reason: str = "unfinished") -> None:
        table = carry(table, columns, table["lead_index"].tolist())
        outputs.deliver(table, arguments, model, request.settings, counts, reason)

    screen = Screen(len(leads) * arguments.attempts, None if options.is_piped(arguments) else write)
    try:
        found = optimize(model, leads, request, screen.add, screen.finished)
    finally:
        screen.close()
=======
>>>>>>> w-d
    interrupted = found.reason == "interrupted"
    if interrupted and not len(found):
        raise KeyboardInterrupt
<<<<<<< HEAD
    write(found.table, found.counts, found.reason)
    print(report(found, goals, single))
    print(f"wrote {outputs.place(arguments.out)}")
    inputs.note(outputs.not_computed(goals.learned))
    if not found.every_lead and found.reason != STOPPED:
=======
    print(report(found))
    print(f"wrote {arguments.out}")
    complete = found.counts.every_lead
    if not complete and found.reason != STOPPED:
>>>>>>> w-d
        why = f": {found.reason}" if interrupted else ""
        improved = f"{found.counts.improved} of {found.asked} leads improved"
        print(f"{improved}{why}", file=sys.stderr)
    return 130 if interrupted else 0 if complete else FEWER


class Screen(outputs.Screen):
    """Shows a bar of attempts, and writes finished rows."""

<<<<<<< HEAD
    def __init__(self, attempts: int, write: Callable[[pd.DataFrame], None] | None) -> None:
        super().__init__(attempts, "attempt")
        self.write = write
=======
    unit = "attempt"

    def __init__(self, out: str) -> None:
        super().__init__()
        self.out = out
>>>>>>> w-d
        self.tables: list[pd.DataFrame] = []

    def found(self, rows: pd.DataFrame) -> None:
        """Write the rows of all finished leads."""
        import pandas as pd

        self.tables.append(rows)
        if self.write:
            self.write(pd.concat(self.tables, ignore_index=True))


<<<<<<< HEAD
def read_leads(text: str, column: str | None) -> tuple[list[str], list[str], Columns]:
    """Return the leads, and notes on the file and its other columns, none for a single lead.

    Raises:
        MolgenError: if the text is neither a file nor a molecule, or the file cannot be read.
    """
    from molgen.data.reading import bare, read_table
    from molgen.data.text_file import STDIN

    try:
        is_file = text == STDIN or Path(text).is_file()
    except (OSError, ValueError):  # no system allows such a name
        is_file = False
    if is_file:
        table = read_table(text, column, others=True)
        leads = [_lead(molecule) for molecule in inputs.given(table.raw)]
        return leads, table.notes(), table.others
    (molecule,) = inputs.given([bare(text)])
    if not molecule.ok:
        raise MolgenError(f"leads is {text!r}, expected a file or a molecule: {molecule.status}")
    if column is not None:
        raise MolgenError(f"column is {column!r}, but leads is a molecule, expected a file")
    return [_lead(molecule)], [], {}


def _lead(molecule: Molecule) -> str:
    """Return a lead with the atom order of the input; of a salt, the organic fragment."""
    from molgen.molecules.parsing import canonical

    if not molecule.ok or "." not in molecule.raw:
        return molecule.raw
    parts = molecule.raw.split(".")
    return next((part for part in parts if canonical(part) == molecule.smiles), molecule.smiles)


def _atoms(name: str, text: str | None, single: bool) -> Atoms | None:
    """Read SMARTS, or indices such as ``0,3,5-8``.

    Raises:
        MolgenError: if it is neither, or indices are given for several leads.
    """
    try:
        found = scaffold_options.atoms(text)
    except ValueError as error:
        raise MolgenError(f"{name}: {error}") from error
    if isinstance(found, str):
        from molgen.molecules.smarts import read_smarts

        read_smarts(found, f"{name} {text!r}")
    elif found is not None and not single:
        raise MolgenError(f"{name} is {text!r} for a file of leads, expected SMARTS")
    return found


def report(found: Optimized, goals: Goals, single: bool) -> str:
    """Return the short table and the counts."""
    from molgen.molecules.fate import Fate

    names = list(goals.computed.targets)
=======
def report(found: Result[LeadCounts]) -> str:
    """Return the short table and the counts."""
    from molgen.molecules.fate import Fate

    names = list(found.request.goals.targets)
>>>>>>> w-d
    ok = found.table[found.table["outcome"] == Fate.ACCEPTED]
    ok = ok.sort_values(["gain", "similarity"], ascending=False, kind="stable")
    if found.asked > 1:
        ok = ok.drop_duplicates("lead_index").sort_values("lead_index")
    lines = [f"{'lead':<{WIDEST}} {'better':<{WIDEST}} {'similarity':>10}"]
    lines[0] += "".join(f"{name:>18}" for name in names)
    for _, row in ok.head(SHOWN).iterrows():
        values = "".join(f"{row[f'lead_{name}']:8.3f} ->{row[name]:7.3f}" for name in names)
        text = f"{_short(row['lead'])} {_short(row['smiles'])} {row['similarity']:10.3f}"
        lines.append(text + values)
    if len(ok) > SHOWN:
        lines.append(f"... and {len(ok) - SHOWN} more")
    refused = found.table[found.table["try"] == 0]
    lines += [
        f"{_short(row['lead'])} {row['outcome']}" for _, row in refused.head(SHOWN).iterrows()
    ]
    return "\n".join([*lines, str(found.counts)])


def _short(text: str) -> str:
    return f"{text if len(text) <= WIDEST else text[: WIDEST - 3] + '...':<{WIDEST}}"

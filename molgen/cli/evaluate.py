"""Measure a file of molecules by one or several conventions.

Reads the given column, or else raw, or else the first usual heading with a SMILES (smiles,
canonical_smiles, structure, ...), or else the only column (named on stderr). Each convention has
its own denominators of rates; molgen's own, strict, divides by all rows. Rows are evaluated as
written; training and reference molecules are read as in training, of a salt the largest organic
fragment. With --out each row is also written, with its status, unique and novel by the first
convention, the properties, and the other columns of the file (_input behind a name of ours).

conventions (set: the rows over which IntDiv ... FCD are computed):
  strict     valid: one sanitised fragment; identity: canonical SMILES; set: unique rows
  paper      valid: as strict; identity: the string, so "novel" is inflated; set: unique rows
  inchikey   valid: as strict; identity: standard InChIKey, which joins mobile hydrogens (tautomers
             of azoles, amides, ...), not keto and enol forms; counts only
  moses      valid: readable by RDKit; the definitions and keys of MOSES; set: all valid rows
  guacamol   valid: as moses; identity: SMILES without stereochemistry; counts only

metrics of a set (- or null if undefined):
  IntDiv, IntDiv2   internal diversity, 0 (all equal) to 1
  Filters           fraction without unwanted substructures
  with --reference:
  SNN               mean similarity to the nearest molecule of the reference
  Frag, Scaf        cosine similarity of fragment and scaffold counts
  FCD               Fréchet ChemNet distance; only if the extra `fcd` is installed
  PROP_wasserstein  distance of a property's distributions, over all valid rows

Example:
  molgen evaluate samples.csv --train qm9
  molgen evaluate samples.csv --train qm9 --conventions strict,paper --property qed --json
  molgen evaluate samples.csv --reference test.csv.gz --conventions moses --json
  molgen evaluate assay.sdf --property qed --out assay.xlsx
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

<<<<<<< HEAD
from molgen.cli import options, outputs
from molgen.cli.inputs import FILE, Read, note, reference, training_index
from molgen.errors import MolgenError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from molgen.molecules.conventions import Convention, Count
    from molgen.molecules.evaluate import ChemNet
    from molgen.molecules.parsing import Molecule
    from molgen.molecules.training_index import TrainingIndex

DISTANCES = ("logp", "sa", "qed", "mw")  # those that MOSES reports
NO_PROPERTY = "none"
=======
from molgen.cli import options
from molgen.cli.outputs import Screen
>>>>>>> w-d


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", metavar="FILE", help=FILE)
    parser.add_argument("--column", metavar="C", help="the column to read")
    parser.add_argument(
        "--train",
        metavar="MODEL_OR_FILE",
        type=options.model_or_file,
        help="the training set, for novelty: that of a model, or a file of SMILES",
    )
    parser.add_argument("--train-column", metavar="C", help="the column to read of that file")
    parser.add_argument(
        "--reference", metavar="FILE", help="molecules to compare with: SNN, Frag, Scaf, FCD, ..."
    )
    parser.add_argument("--reference-column", metavar="C", help="the column to read of that file")
    parser.add_argument(
        "--conventions",
        metavar="LIST",
        help="of strict, paper, inchikey, moses, guacamol (default: strict,paper, and with --train "
        "inchikey)",
    )
    parser.add_argument(
        "--property",
        action="append",
        default=[],
        metavar="PROP",
        help="report this property's mean and its distance to the reference; may be repeated "
        "(default with --reference, for strict and paper: distances of logp, sa, qed and mw; "
        "none omits them)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    outputs.add_out(parser, "")
    group = parser.add_argument_group("speed")
    group.add_argument(
        "--counts-only",
        action="store_true",
        help="counts only: no diversity (quadratic in the number of rows), no filters",
    )
    group.add_argument(
        "--no-fcd",
        action="store_true",
        help="omit FCD, which takes about 5 ms a molecule and core, and as much for the reference, "
        "whose part is cached",
    )
    group.add_argument("--device", default="cpu", metavar="D", help="of FCD's network")
    group.add_argument(
        "--workers", type=options.positive, metavar="N", help="processes (default: one a core)"
    )
    options.add_scorers(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return the exit status."""
<<<<<<< HEAD
    from molgen.data.carried import carry
    from molgen.data.reading import read_table
    from molgen.molecules.conventions import INCHIKEY, convention
    from molgen.molecules.evaluate import evaluate
    from molgen.molecules.parsing import interpret_all
    from molgen.molecules.training_index import NO_INCHIKEYS
    from molgen.utils.parallel import cores

    if arguments.out:
        outputs.check_files(arguments)
    words = arguments.conventions
    if words is None:
        words = "strict,paper,inchikey" if arguments.train else "strict,paper"
    conventions = [convention(name.strip()) for name in words.split(",")]
    names = property_names(arguments.property)
    workers = arguments.workers or cores()
    for name in ("train", "reference"):
        if getattr(arguments, f"{name}_column") is not None and not getattr(arguments, name):
            raise MolgenError(f"{name}-column is given without --{name}")
    table = read_table(arguments.file, arguments.column, drawn=True, others=bool(arguments.out))
    sources = {"file": Read(table.notes(), table.facts())}
    others: list[str] = []
    if arguments.reference:
        column = arguments.reference_column
        others, sources["reference"] = reference(arguments.reference, column, workers)
    known = None
    if arguments.train:
        column = arguments.train_column
        inchi = INCHIKEY in conventions
        known, sources["train"] = training_index(arguments.train, column, workers, inchi)
        if inchi and known.inchi_keys is None:
            if arguments.conventions is not None:
                raise MolgenError(NO_INCHIKEYS)
            conventions.remove(INCHIKEY)
            sources["train"].notes.append(f"inchikey is left out: {NO_INCHIKEYS}")
    network = chemnet(arguments, others, workers)
    for source in sources.values():
        note(source.notes)
    molecules = interpret_all(table.raw, workers, "molecules")
    features = None
    if others and not arguments.counts_only:
        from molgen.molecules.distribution import describe

        features = describe(others, workers, "reference")
    result: dict[str, Any] = {
        "read": {name: source.facts for name, source in sources.items()},
        "rows": len(molecules),
        "status": dict(Counter(str(molecule.status) for molecule in molecules)),
        **evaluate(
            molecules,
            conventions,
            known,
            features,
            workers,
            "metrics",
            network,
            arguments.counts_only,
        ),
    }
    compared = names
    if not arguments.property and {"strict", "paper"} & {c.name for c in conventions}:
        compared = [] if arguments.counts_only else list(DISTANCES)
    add_properties(result, conventions, (names, compared), (molecules, others), known, workers)
    if arguments.out:
        rows = row_table(molecules, conventions[0], known, names, workers)
        outputs.deliver(carry(rows, table.others), arguments, counts=result["status"])
    warning = known.check() if known is not None else None
    if warning:
        result["warning"] = warning
=======
    from molgen.api.evaluate import evaluate

    names = (
        *("train", "column", "train_column", "reference_column", "counts_only"),
        *("no_fcd", "device", "workers"),
    )
    found = evaluate(
        Path(arguments.file),
        conventions=arguments.conventions,
        properties=arguments.property,
        progress=Screen(),
        reference=Path(arguments.reference) if arguments.reference else None,
        **{name: getattr(arguments, name) for name in names},
    )
>>>>>>> w-d
    if arguments.json:
        print(json.dumps(_finite(found.counts), indent=2))
    else:
        print(readable(found.counts, list(found.table.columns)))
    return 0


<<<<<<< HEAD
def row_table(
    molecules: Sequence[Molecule],
    convention: Convention,
    known: TrainingIndex | None,
    names: Sequence[str],
    workers: int,
) -> pd.DataFrame:
    """Return a row for each row of the file.

    Args:
        molecules: of the rows.
        convention: of ``valid``, ``unique`` and ``novel``.
        known: training-set index; without one there is no column ``novel``.
        names: of properties.
        workers: number of processes.
    """
    import pandas as pd

    from molgen.molecules.conventions import count
    from property_models import compute

    counted = count(molecules, convention, known)
    columns: dict[str, Any] = {
        "index": range(len(molecules)),
        "raw": [molecule.raw for molecule in molecules],
        "smiles": [molecule.smiles for molecule in molecules],
        "status": [str(molecule.status) for molecule in molecules],
        "valid": counted.valid,
        "unique": counted.unique,
        **({} if counted.novel is None else {"novel": counted.novel}),
    }
    values = compute(names, columns["smiles"], workers) if names else {}
    return pd.DataFrame(columns | values)


def property_names(words: Sequence[str]) -> list[str]:
    """Return the requested properties with those beside them, without repetitions.

    Raises:
        MolgenError: if one is unknown, or ``none`` is given with others.
    """
    from property_models import alongside, get

    names = alongside(words)
    if NO_PROPERTY in names:
        if len(names) > 1:
            raise MolgenError(f"property {NO_PROPERTY} cannot be combined: {', '.join(names)}")
        return []
    for name in names:
        get(name)
    return names


def chemnet(arguments: argparse.Namespace, others: list[str], workers: int) -> ChemNet | None:
    """Return the inputs of FCD; None without a reference, without the extra, or if disabled.

    Raises:
        MolgenError: if the device cannot be used.
    """
    from molgen.molecules import fcd
    from molgen.molecules.evaluate import ChemNet
    from molgen.nn import chemnet as network

    if not others or arguments.no_fcd or arguments.counts_only or not network.available():
        return None
    if arguments.device != "cpu":
        options.check_device(arguments.device)
    activations = network.chemnet(arguments.device)
    moments = fcd.reference_moments(others, activations, workers, "reference FCD")
    return ChemNet(moments, activations)


def add_properties(
    result: dict[str, Any],
    conventions: Sequence[Convention],
    names: tuple[Sequence[str], Sequence[str]],
    sets: tuple[Sequence[Molecule], Sequence[str]],
    known: TrainingIndex | None,
    workers: int,
) -> None:
    """Add means of properties by convention, and distances of their distributions.

    Args:
        result: modified in place.
        conventions: of counting.
        names: properties for means, and properties for distances.
        sets: the rows, and the SMILES of the reference, possibly none.
        known: training-set index, for the means over novel rows.
        workers: number of processes.
    """
    from molgen.molecules.conventions import count, wasserstein
    from property_models import compute

    averaged, compared = names
    molecules, others = sets
    wanted = list(dict.fromkeys([*averaged, *(compared if others else ())]))
    if not wanted:
        return
    values = compute(wanted, [m.smiles for m in molecules], workers, "properties")
    means = {name: values[name] for name in averaged}
    for c in conventions if means else ():
        result[c.name] |= property_means(count(molecules, c, known, workers), means)
    if others:
        reference = compute(compared, others, workers, "reference properties")
        for name, column in reference.items():
            result[f"{name}_wasserstein"] = wasserstein(values[name], column)


def property_means(counted: Count, values: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Return each property's mean over the unique rows and, with an index, the novel ones."""
    chosen = {"unique": counted.unique, "novel": counted.novel}
    return {
        f"{name}_mean_{which}": _mean(column[marks])
        for name, column in values.items()
        for which, marks in chosen.items()
        if marks is not None
    }


=======
>>>>>>> w-d
def readable(result: dict[str, Any], conventions: list[str]) -> str:
    """Return the result as a table, one column for each convention."""
    status = ", ".join(f"{n} {name}" for name, n in result["status"].items())
    lines = [f"{result['rows']} rows: {status}", ""]
    keys = list(dict.fromkeys(key for name in conventions for key in result[name]))
    width = max(map(len, keys)) + 2
    lines.append(" " * width + "".join(f"{name:>12}" for name in conventions))
    for key in keys:
        cells = "".join(f"{_shown(result[name].get(key)):>12}" for name in conventions)
        lines.append(f"{key:<{width}}{cells}")
    lines += [f"{k}: {_shown(v)}" for k, v in result.items() if k.endswith("_wasserstein")]
    if "warning" in result:
        lines += ["", f"warning: {result['warning']}"]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:
    """Return a value for JSON: NaN becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""The data set of a run: made once from a file, and used again when the run is resumed.

``prepared.json`` records the source of the data and the options. The same file and options load the
data set; others are rejected while the folder has a checkpoint of a run. A file that ends in
``.npz`` is an existing data set and is copied with its index and record, without RDKit.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from molgen.checkpoints.files import INDEX, WEIGHTS, find
from molgen.data.dataset import TokenDataset
from molgen.data.tokenizer import Tokenizer
from molgen.errors import MolgenError
from molgen.training import state
from molgen.training.ingest import Ingested, Options, ingest
from molgen.utils.files import replacing
from molgen.utils.json_files import checked, read_json

if TYPE_CHECKING:
    from molgen.model import Model

DATASET, REPORT, RECORD = "dataset.npz", "report.csv", "prepared.json"
LEAST = 20  # molecules to fine-tune on: with fewer, the held-out part is too small
PRESETS = ("sampling", "design", "presets")  # of molgen.json: sampling settings


class _Facts(Struct):
    """The checked part of the facts; all of them are written to ``molgen.json``."""

    data: dict[str, Any] = {}
    seeds: dict[str, int] = {}
    init: str = ""
    sampling: dict[str, Any] = {}
    design: dict[str, Any] = {}
    presets: dict[str, Any] = {}


class _Record(Struct):
    """The content of ``prepared.json``."""

    fingerprint: str
    facts: _Facts
    summary: str


@dataclass(frozen=True)
class PreparedDataset:
    """A data set for training, with its record.

    Attributes:
        data: the data set.
        facts: its entries of the model's ``molgen.json``.
        summary: one line on accepted and rejected rows.
        notes: lines on the reading of the file.
    """

    data: TokenDataset
    facts: dict[str, Any] = field(default_factory=dict)
    summary: str = ""
    notes: tuple[str, ...] = ()


def prepare(
    source: Path,
    folder: Path,
    options: Options,
    init: Model | None = None,
    processes: int = 1,
    resume: bool = True,
    progress: bool = False,
    named: Collection[str] = (),
) -> PreparedDataset:
    """Make the data set of a run, or load the one made from the same file.

    Args:
        source: a file of SMILES, or an existing data set (``.npz``).
        folder: of the run.
        options: of reading and cleaning; ignored for an ``.npz``.
        init: a model to start from: its tokenizer is used, and its training-set index is included.
        processes: number of processes for chemistry.
        resume: raise an error rather than replace the data of a run with a checkpoint.
        progress: show bars if standard error is a terminal.
        named: properties that the user named; those of ``init`` are never read as functions.

    Raises:
        MolgenError: if the source is invalid, or the folder has another run.
        OSError: if a file cannot be opened or written; no partial file is left.
    """
    if source.suffix.lower() == ".npz":
        return adopt(source, folder, init, resume)
    made_with = {**asdict(options), "properties": list(options.properties)}
    identity = {"file": digest(source), "options": made_with, "init": init_digest(init)}
    record = read_record(folder)
    if record.get("identity") == identity and find(folder, INDEX).exists():
        data = TokenDataset.load(folder / DATASET)
        if data.fingerprint() == record["fingerprint"]:
            notes = tuple(record.get("notes", ()))
            return PreparedDataset(data, record["facts"], record["summary"], notes)
    if resume and state.find(folder):
        before = record.get("facts", {}).get("data", {}).get("source", "other data")
        raise MolgenError(another_run(folder, f"made from {before}, or with other options"))
    tokenizer, own = (init.tokenizer, named) if init else (None, None)
    made = ingest(source, options, tokenizer, processes, progress, own)
    if init is not None:
        check_size(len(made.data), init, f"{source}: {made.cleaned.summary()}")
    facts = facts_of(source, made, options, init)
    prepared = PreparedDataset(made.data, facts, made.cleaned.summary(), made.notes)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD).unlink(missing_ok=True)  # it would describe the replaced data
    made.cleaned.write_report(folder / REPORT)
    index = made.training_index
    if init is not None and init.training_index is not None:
        index = init.training_index.union(index)
    index.save(folder / INDEX)
    made.data.save(folder / DATASET)
    write_record(folder, prepared, identity)
    return prepared


def facts_of(source: Path, made: Ingested, options: Options, init: Model | None) -> dict[str, Any]:
    """Return the entries of ``molgen.json`` on the source of the data."""
    from molgen.data.cleaning import NEUTRALISED, SALTS_REMOVED, Reason

    counts = made.cleaned.counts
    about = {
        "source": source.name,
        "rows": counts["rows"],
        "left_out": {str(reason): counts[reason] for reason in Reason},
        "changed": {name: counts[name] for name in (SALTS_REMOVED, NEUTRALISED)},
        "property_sources": made.sources,
        "read": made.read,
    }
    return {"data": about, "seeds": {"split": options.seed}, **init_fact(init)}


def init_fact(init: Model | None) -> dict[str, Any]:
    """Return the name of the model to start from, and its sampling settings."""
    if init is None:
        return {}
    own = {name: init.info[name] for name in PRESETS if name in init.info}
    return {"init": short_name(init), **own}


def short_name(model: Model) -> str:
    """Return the name of a model on a card: for a folder, its base name."""
    return Path(model.name).resolve().name if Path(model.name).is_dir() else model.name


def check_size(molecules: int, init: Model, found: str) -> None:
    """Check that there are enough molecules to fine-tune on.

    Raises:
        MolgenError: if not, with their number.
    """
    if molecules < LEAST:
        raise MolgenError(
            f"{found}: {molecules} usable molecules, expected at least {LEAST} to fine-tune "
            f"{short_name(init)!r} on"
        )


def adopt(source: Path, folder: Path, init: Model | None, resume: bool) -> PreparedDataset:
    """Copy an existing data set with its index and record.

    Raises:
        MolgenError: if it is not one, does not fit ``init``, or the folder has another run.
    """
    data, place = TokenDataset.load(source), folder / DATASET
    if init is not None:
        check_init(data, init)
        check_size(len(data), init, str(source))
    fingerprint = data.fingerprint()
    record = read_record(source.parent)
    if record.get("fingerprint") != fingerprint:
        record = {"facts": {"data": {"source": source.name}}, "summary": f"{len(data):,} molecules"}
    taken = resume and state.find(folder) is not None and place.exists()
    if taken and TokenDataset.load(place).fingerprint() != fingerprint:
        raise MolgenError(another_run(folder, "on other data"))
    folder.mkdir(parents=True, exist_ok=True)
    if not (place.exists() and source.samefile(place)):
        (folder / RECORD).unlink(missing_ok=True)
        copy(find(source.parent, INDEX), folder / INDEX)
        copy(source, place)
    if init is not None:
        extend_index(find(folder, INDEX), init)
    prepared = PreparedDataset(data, {**record["facts"], **init_fact(init)}, record["summary"])
    write_record(folder, prepared, record.get("identity"))
    return prepared


def copy(source: Path, place: Path) -> None:
    """Copy a file; if there is none, remove the destination."""
    if not source.exists():
        place.unlink(missing_ok=True)
    elif not (place.exists() and source.samefile(place)):
        with replacing(place) as part:
            shutil.copyfile(source, part)


def extend_index(path: Path, init: Model) -> None:
    """Add a model's training-set index to an index."""
    from molgen.molecules.training_index import TrainingIndex

    if init.training_index is None:
        return
    index = TrainingIndex.load(path) if path.exists() else init.training_index
    init.training_index.union(index).save(path)


def check_init(data: TokenDataset, init: Model) -> None:
    """Check that a model's tokenizer and properties are those of a data set.

    Raises:
        MolgenError: if they differ.
    """
    own = Tokenizer(list(data.vocab), data.representation)
    same = own.vocab == init.tokenizer.vocab
    if not same or own.representation != init.tokenizer.representation:
        raise MolgenError(f"the data set was not made with the tokenizer of {init.name!r}")
    if data.properties != init.properties:
        raise MolgenError(
            f"the data set has the properties {', '.join(data.properties) or 'none'}, "
            f"{init.name!r} has {', '.join(init.properties) or 'none'}"
        )


def another_run(folder: Path, origin: str) -> str:
    """Return the error message for a folder that is in use."""
    return (
        f"{str(folder)!r} has another run ({origin}): choose another --out, or start again there "
        "with --no-resume"
    )


def digest(path: Path) -> str:
    """Return a digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def init_digest(init: Model | None) -> str:
    """Return a digest of the weights to start from, empty for none."""
    if init is None:
        return ""
    from molgen.checkpoints.hub import locate

    return digest((init.folder or locate(init.name)) / WEIGHTS)


def read_record(folder: Path) -> dict[str, Any]:
    """Return ``prepared.json``, empty if it is missing or damaged."""
    try:
        record = read_json(folder / RECORD, dict)
        checked(record, _Record, folder / RECORD)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return record


def write_record(folder: Path, prepared: PreparedDataset, identity: Any) -> None:
    """Write ``prepared.json``."""
    record = {
        "identity": identity,
        "fingerprint": prepared.data.fingerprint(),
        "facts": prepared.facts,
        "summary": prepared.summary,
        "notes": prepared.notes,
    }
    with replacing(folder / RECORD) as part:
        part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

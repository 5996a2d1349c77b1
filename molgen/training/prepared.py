"""Data ready to train on: made once from a file, found again when the same command goes on.

``prepared.json`` says what the data was made from and how. The same file and options find the data
as it is; other ones are refused while the folder holds a checkpoint of a run. A file that ends in
``.npz`` is a data set prepared before, and is taken over with what lies beside it: no RDKit needed.
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
from molgen.training import state
from molgen.training.ingest import Ingested, Options, ingest
from molgen.utils.files import replacing
from molgen.utils.json_files import checked, read_json

if TYPE_CHECKING:
    from molgen.model import Model

DATASET, REPORT, RECORD = "dataset.npz", "report.csv", "prepared.json"
LEAST = 20  # molecules to fine-tune on: of fewer, nothing can be held out that says anything
PRESETS = ("sampling", "design", "presets")  # of molgen.json: how to draw


class _Facts(Struct):
    """What is looked at of the facts; all of them go into ``molgen.json``."""

    data: dict[str, Any] = {}
    seeds: dict[str, int] = {}
    init: str = ""
    sampling: dict[str, Any] = {}
    design: dict[str, Any] = {}
    presets: dict[str, Any] = {}


class _Record(Struct):
    """What ``prepared.json`` holds."""

    fingerprint: str
    facts: _Facts
    summary: str


@dataclass(frozen=True)
class PreparedDataset:
    """Data ready to train on.

    Attributes:
        data: the data set.
        facts: what the model's ``molgen.json`` says about it.
        summary: one line on what was kept and left out.
        notes: lines on what was read, and how.
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
    """Make the data set of a run, or find the one that was made from the same file.

    Args:
        source: a file of SMILES, or a data set prepared before (``.npz``).
        folder: of the run.
        options: what to make of the file; for an ``.npz`` that has been decided.
        init: a model whose tokenizer is used, and whose known molecules stay known.
        processes: how many processes share the chemistry.
        resume: refuse to replace the data of a run that has a checkpoint in the folder.
        progress: show bars where standard error is a terminal.
        named: properties that the user named beside ``init``: of its own names none is looked up
            as a function.

    Raises:
        ValueError: if the source is no good, or the folder holds another run.
        OSError: if a file cannot be opened or written; nothing half-written is left.
    """
    if source.suffix.lower() == ".npz":
        return adopt(source, folder, init, resume)
    made_how = {**asdict(options), "properties": list(options.properties)}
    identity = {"file": digest(source), "options": made_how, "init": init_digest(init)}
    record = read_record(folder)
    if record.get("identity") == identity and find(folder, INDEX).exists():
        data = TokenDataset.load(folder / DATASET)
        if data.fingerprint() == record["fingerprint"]:
            notes = tuple(record.get("notes", ()))
            return PreparedDataset(data, record["facts"], record["summary"], notes)
    if resume and state.find(folder):
        before = record.get("facts", {}).get("data", {}).get("source", "other data")
        raise ValueError(another_run(folder, f"made from {before}, or with other options"))
    tokenizer, own = (init.tokenizer, named) if init else (None, None)
    made = ingest(source, options, tokenizer, processes, progress, own)
    if init is not None:
        check_enough(len(made.data), init, f"{source}: {made.cleaned.summary()}")
    facts = facts_of(source, made, options, init)
    prepared = PreparedDataset(made.data, facts, made.cleaned.summary(), made.notes)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD).unlink(missing_ok=True)  # it would speak of what is replaced now
    made.cleaned.write_report(folder / REPORT)
    with replacing(folder / INDEX) as part:
        (
            init.training_index.union(made.training_index)
            if init and init.training_index
            else made.training_index
        ).save(part)
    made.data.save(folder / DATASET)
    write_record(folder, prepared, identity)
    return prepared


def facts_of(source: Path, made: Ingested, options: Options, init: Model | None) -> dict[str, Any]:
    """Return what a model's ``molgen.json`` says about where its data came from."""
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
    """Return what is said of the model to start from, and how it recommends to draw."""
    if init is None:
        return {}
    own = {name: init.info[name] for name in PRESETS if name in init.info}
    return {"init": short_name(init), **own}


def short_name(model: Model) -> str:
    """Return what a model is called on a card: a folder by its last name alone."""
    return Path(model.name).resolve().name if Path(model.name).is_dir() else model.name


def check_enough(molecules: int, init: Model, found: str) -> None:
    """Check that there are molecules enough to fine-tune on.

    Raises:
        ValueError: if not, saying what was found.
    """
    if molecules < LEAST:
        raise ValueError(
            f"{found}: {molecules} usable molecules, expected at least {LEAST} to fine-tune "
            f"{short_name(init)!r} on"
        )


def adopt(source: Path, folder: Path, init: Model | None, resume: bool) -> PreparedDataset:
    """Take over a data set prepared before, and what lies beside it.

    Raises:
        ValueError: if it is none, does not fit ``init``, or the folder holds another run.
    """
    data, place = TokenDataset.load(source), folder / DATASET
    if init is not None:
        check_init(data, init)
        check_enough(len(data), init, str(source))
    fingerprint = data.fingerprint()
    record = read_record(source.parent)
    if record.get("fingerprint") != fingerprint:
        record = {"facts": {"data": {"source": source.name}}, "summary": f"{len(data):,} molecules"}
    taken = resume and state.find(folder) is not None and place.exists()
    if taken and TokenDataset.load(place).fingerprint() != fingerprint:
        raise ValueError(another_run(folder, "on other data"))
    folder.mkdir(parents=True, exist_ok=True)
    if not (place.exists() and source.samefile(place)):
        (folder / RECORD).unlink(missing_ok=True)
        copy(find(source.parent, INDEX), folder / INDEX)
        copy(source, place)
    if init is not None:
        add_known(find(folder, INDEX), init)
    prepared = PreparedDataset(data, {**record["facts"], **init_fact(init)}, record["summary"])
    write_record(folder, prepared, record.get("identity"))
    return prepared


def copy(source: Path, place: Path) -> None:
    """Put a copy of a file in a place; where there is no such file, what was there is removed."""
    if not source.exists():
        place.unlink(missing_ok=True)
    elif not (place.exists() and source.samefile(place)):
        with replacing(place) as part:
            shutil.copyfile(source, part)


def add_known(path: Path, init: Model) -> None:
    """Let an index know what a model knows, too."""
    from molgen.molecules.training_index import TrainingIndex

    if init.training_index is None:
        return
    index = TrainingIndex.load(path) if path.exists() else init.training_index
    with replacing(path) as part:
        init.training_index.union(index).save(part)


def check_init(data: TokenDataset, init: Model) -> None:
    """Check that a model's tokenizer and properties are those of a data set.

    Raises:
        ValueError: naming what differs.
    """
    own = Tokenizer(list(data.vocab), data.representation)
    same = own.vocab == init.tokenizer.vocab
    if not same or own.representation != init.tokenizer.representation:
        raise ValueError(f"the data set was not prepared with the tokenizer of {init.name!r}")
    if data.properties != init.properties:
        raise ValueError(
            f"the data set has the properties {', '.join(data.properties) or 'none'}, "
            f"{init.name!r} has {', '.join(init.properties) or 'none'}"
        )


def another_run(folder: Path, what: str) -> str:
    """Return the complaint about a folder that is taken."""
    return (
        f"{str(folder)!r} holds another run ({what}): choose another --out, or begin again there "
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
    """Return ``prepared.json``, empty where there is none or it is damaged."""
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

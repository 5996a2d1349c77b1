"""The record of a run, in a JSON file beside its output: what was asked for, by what, and the end.

    OUT -> OUT.json: command and words, seed, settings, versions, model and its hash, counts, reason

``molgen run OUT.json`` repeats the run. A record may come from anyone, so it is checked when read,
and nothing that it names is run (:mod:`molgen.cli.run`).
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from molgen.errors import MolgenError
from molgen.utils.files import replacing
from molgen.utils.imports import version
from molgen.utils.json_files import read_json
from molgen.version import __version__

SUFFIX = ".json"
FORMAT = 1
OUT = ("--ou", "--out")
"""The option of the output file, as argparse takes it: not in a record, which is beside the file.
"""
LIBRARIES = ("torch", "rdkit")


class ModelHash(msgspec.Struct, frozen=True):
    """A model.

    Attributes:
        name: as requested.
        sha256: of its weights.
    """

    name: str
    sha256: str


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a run.

    Attributes:
        molgen_record: version of this format.
        command: of molgen.
        words: of the command line behind it, without the output file.
        seed: of the run; None for a command without one.
        model: None for a command without one.
        settings: of the sampler, as words; none for a command without them.
        versions: of molgen, Python and the libraries that the rows depend on.
        counts: of rows and costs.
        reason: of the end of the run.
        rows: written.
    """

    molgen_record: int
    command: str
    words: list[str]
    seed: int | None = None
    model: ModelHash | None = None
    settings: dict[str, Any] = {}
    versions: dict[str, str] = {}
    counts: dict[str, Any] = {}
    reason: str = ""
    rows: int = 0


def record_path(out: str | Path) -> Path:
    """Return the path of the record of an output file."""
    return Path(f"{out}{SUFFIX}")


def read_record(path: str | Path) -> RunRecord:
    """Read a record.

    Raises:
        MolgenError: if it is none.
        OSError: if it cannot be opened.
    """
    record = read_json(path, RunRecord)
    if record.molgen_record != FORMAT:
        raise MolgenError(f"{path}: molgen_record is {record.molgen_record}, expected {FORMAT}")
    return record


def write_record(record: RunRecord, out: str | Path) -> None:
    """Write the record of an output file beside it, whole or not at all."""
    with replacing(record_path(out)) as temporary:
        text = json.dumps(msgspec.to_builtins(record), indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def check_record(out: str | Path) -> None:
    """Check that no other file is in the place of a record; call it before any long work.

    Raises:
        MolgenError: if there is one.
    """
    path = record_path(out)
    if not path.exists():
        return
    try:
        read_record(path)
    except (ValueError, OSError) as error:
        raise MolgenError(
            f"{path} is no record of a run and would be replaced, expected another --out or "
            "--no-record"
        ) from error


def versions() -> dict[str, str]:
    """Return the versions that the rows of a run depend on."""
    found = {"molgen": __version__, "python": platform.python_version()}
    return found | {name: version(name) for name in LIBRARIES}


def digest(weights: Path) -> str:
    """Return the SHA-256 of a file."""
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def without(words: Sequence[str], *options: str) -> list[str]:
    """Return the words of a command without options and their values."""
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*found, word, *rest]
        name, equals, _ = word.partition("=")
        if name not in options:
            found.append(word)
        elif not equals:
            next(rest, None)
    return found


def plain(counts: object) -> dict[str, Any]:
    """Return the whole numbers of a dictionary or of an object, and of the dictionaries in it."""
    found: dict[str, Any] = {}
    named = counts if isinstance(counts, Mapping) else vars(counts)
    for name, value in named.items():
        if isinstance(value, int):
            found[str(name)] = int(value)
        elif isinstance(value, Mapping) and value:
            found[str(name)] = plain(value)
        elif hasattr(value, "__dataclass_fields__"):
            found[str(name)] = vars(value)
    return found

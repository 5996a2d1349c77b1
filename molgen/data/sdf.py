"""SDF: a molecule a record, with its tags.

    record -> mol block -> RDKit -> SMILES;   > <TAG> lines -> columns

The columns are ``smiles``, ``name`` (the title line, unless it repeats a tag) and every tag of the
file. A record that RDKit cannot read keeps its tags, and its SMILES is :data:`DAMAGED`, which is no
molecule; the records behind it are read. A record without atoms has the SMILES of its tag
``smiles``, if any. Format: Dalby et al., "Description of several chemical structure file formats
used by computer programs developed at Molecular Design Limited" (1992); CTfile formats, BIOVIA.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from molgen.data.cells import is_exact, texts
from molgen.data.headings import MOST_COLUMNS, NAME
from molgen.data.sheet import Found, Row, Sheet, note
from molgen.data.text_file import TextFile
from molgen.errors import MolgenError
from molgen.molecules.logs import quiet

if TYPE_CHECKING:
    import pandas as pd

SMILES = "smiles"
DAMAGED = "damaged_record"
"""Text in place of the SMILES of a record that cannot be read: no SMILES, so a row with a reason.
"""
LARGEST = 2**20  # characters of a record: RDKit reads it in one piece
ODD = "records that RDKit cannot read"

_END = "$$$$"
_TAG = re.compile(r">.*?<(?P<name>[^<>]+)>")


@dataclass
class Record:
    """A record as text.

    Attributes:
        line: of the file where it begins, from 1.
        block: its mol block.
        tags: its values by tag.
        size: characters read.
    """

    line: int
    block: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    size: int = 0

    @property
    def title(self) -> str:
        """The first line."""
        return self.block[0].strip() if self.block else ""


def open_sdf(path: str | Path, _named: Sequence[str] = ()) -> Sheet:
    """Open an SDF file and find its tags.

    Raises:
        MolgenError: if the file is empty, is no text or beyond a limit.
        OSError: if it cannot be opened.
    """
    text = TextFile(path)
    tags: dict[str, bool] = {}  # whether the tag repeats the title in every record
    count = titled = 0
    for count, record in enumerate(_records(text), 1):
        titled += bool(record.title)
        for tag in record.tags:
            tags.setdefault(tag, count == 1)
        for tag in tags:
            tags[tag] &= record.tags.get(tag) == record.title
    if not count:
        raise MolgenError(f"{text.path}: the file is empty")
    if len(tags) > MOST_COLUMNS:
        raise MolgenError(f"{text.path}: {len(tags):,} tags, expected at most {MOST_COLUMNS:,}")
    names = list(tags)
    block = next((tag for tag in names if tag.lower() == SMILES), SMILES)
    if titled and not any(tags.values()):
        names.insert(0, "title" if NAME in names else NAME)
    if block not in names:
        names.insert(0, block)
    odd: Found = {}

    def rows() -> Iterator[Row]:
        odd.clear()
        for record in _records(text):
            smiles = _smiles(record)
            if smiles == DAMAGED:
                note(odd, ODD, record.line)
            found = {NAME: record.title, "title": record.title} | record.tags
            found[block] = smiles or record.tags.get(block, "")
            yield record.line, [found.get(name, "") for name in names]

    return Sheet(text.path, tuple(names), "", rows, text, odd=odd)


def write_sdf(frame: pd.DataFrame, file: IO[str]) -> None:
    """Write a record a row, drawn in two dimensions, with all columns as tags.

    The title is the name, or else the index. A row that is no molecule is a record without atoms.
    """
    from rdkit import Chem
    from rdkit.Chem import rdDepictor

    from molgen.molecules.parsing import parse

    cells = texts(frame)
    numbers = [str(i) for i in range(len(cells))]
    titles = next((cells[name] for name in (NAME, "index") if name in cells), numbers)
    with Chem.SDWriter(file) as writer:
        writer.SetProps(list(cells.columns))
        rows = zip(cells[SMILES], titles, cells.to_dict("records"), strict=True)
        for smiles, title, row in rows:
            mol = parse(smiles) if smiles else None
            if mol is None:
                mol = Chem.Mol()
            else:
                rdDepictor.Compute2DCoords(mol)
            mol.SetProp("_Name", " ".join(title.split()))
            for name, value in row.items():
                mol.SetProp(name, re.sub(r"[\r\n]", "?" if is_exact(name) else " ", value))
            writer.write(mol)


def _records(text: TextFile) -> Iterator[Record]:
    """Yield the records; a file may end without the mark of an end.

    The first :data:`LARGEST` characters of a record are kept.
    """
    record = Record(1)
    tag = ""
    in_block = True
    for number, raw in enumerate(text, 1):
        line = raw.rstrip("\r\n")
        if line.startswith(_END):
            yield record
            record, tag, in_block = Record(number + 1), "", True
            continue
        record.size += len(raw)
        if record.size > LARGEST:
            continue
        match = _TAG.match(line) if not tag else None
        if match:
            tag, in_block = " ".join(match["name"].split()), False
            record.tags[tag] = ""
        elif in_block:
            record.block.append(line)
        elif not line.strip():
            tag = ""
        elif tag:
            record.tags[tag] += ("\n" if record.tags[tag] else "") + line
    if any(line.strip() for line in record.block):
        yield record


def _smiles(record: Record) -> str:
    """Return the SMILES of a record, with the reason for being invalid still in it.

    Empty for a record without atoms.
    """
    from rdkit import Chem

    from molgen.molecules.parsing import MAX_CHARACTERS

    if record.size > LARGEST:
        return DAMAGED
    block = "\n".join(record.block) + "\n"
    with quiet:
        try:
            plain = Chem.MolFromMolBlock(block, sanitize=False)
            # RDKit's canonicalisation of longer chains crashes; see molgen.molecules.parsing
            if plain is None or plain.GetNumAtoms() > MAX_CHARACTERS:
                return DAMAGED
            return str(Chem.MolToSmiles(Chem.MolFromMolBlock(block) or plain))
        except (ValueError, RuntimeError):
            return DAMAGED

"""From a user's file to a data set: cleaned, tokenised, with property values.

    file -> rows -> canonical SMILES -> text -> ids, property values -> data set
                                     -> keys -> training-set index
                 -> rejected rows, each with its reason

The values of a property are the file's column of that name, or else computed by RDKit. This is the
only part of training that needs RDKit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from molgen.data.dataset import HELD_OUT_FRACTION, TokenDataset
from molgen.data.tokenizer import Tokenizer
from molgen.errors import MolgenError
from molgen.molecules.smiles import split

if TYPE_CHECKING:
    from molgen.data.cleaning import Cleaned
    from molgen.molecules.training_index import TrainingIndex

PROPERTIES = ("qed", "ring_count", "logp", "tpsa", "mw", "sa")
MAX_TOKENS = 128  # nearly all drug-like molecules have fewer; cost grows with the square
UNFIT = re.compile(r"[\s=,]")  # not allowed in a property's name, which is written NAME=VALUE
COLUMN, COMPUTED = "column", "computed"
INSPECTED = 1000  # rows from which columns of numbers are detected
MOSTLY = 0.5  # a column is numeric if more than this fraction of its cells are numbers
SERIES_PART, SERIES_LEAST, SERIES_MOST = 0.1, 10, 250  # held out of a series, if large enough


@dataclass(frozen=True)
class Options:
    """Options of reading and cleaning a file.

    Attributes:
        column: the SMILES column; None for the usual ones.
        properties: to condition on.
        representation: ``"smiles"`` or ``"selfies"``.
        max_tokens: molecules with more are rejected.
        held_out: fraction of the molecules held out; None for the fraction of a fine-tuning
            series: see :func:`series_held_out`.
        keep_salts: keep all fragments of a row instead of the largest organic one.
        neutralise: remove charges by adding or removing protons.
        seed: of the held-out split.
    """

    column: str | None = None
    properties: tuple[str, ...] = PROPERTIES
    representation: str = "smiles"
    max_tokens: int = MAX_TOKENS
    held_out: float | None = HELD_OUT_FRACTION
    keep_salts: bool = False
    neutralise: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            MolgenError: with the option's name, its value and the allowed values.
        """
        if self.held_out is not None and not 0 <= self.held_out < 1:
            raise MolgenError(f"held_out is {self.held_out}, expected at least 0 and less than 1")
        if self.max_tokens < 1:
            raise MolgenError(f"max_tokens is {self.max_tokens}, expected at least 1")
        if self.seed < 0:
            raise MolgenError(f"seed is {self.seed}, expected at least 0")
        for name in self.properties:
            if not name or UNFIT.search(name):
                raise MolgenError(
                    f"property is {name!r}, expected a name without blanks, commas and '='"
                )
        if len(set(self.properties)) != len(self.properties):
            raise MolgenError(f"properties has a repeated name: {', '.join(self.properties)}")


@dataclass(frozen=True)
class Ingested:
    """The content of a file.

    Attributes:
        data: the tokenised molecules.
        training_index: the index of all of them.
        cleaned: the molecules, and the outcome of every row.
        sources: for each property ``"column"`` or ``"computed"``.
        notes: lines on the reading of the file.
        read: the same for a record in JSON.
    """

    data: TokenDataset
    training_index: TrainingIndex
    cleaned: Cleaned
    sources: dict[str, str]
    notes: tuple[str, ...]
    read: dict[str, Any]


def ingest(
    path: Path,
    options: Options,
    tokenizer: Tokenizer | None = None,
    processes: int = 1,
    progress: bool = False,
    named: Collection[str] | None = None,
) -> Ingested:
    """Read and clean a file; nothing is written.

    Args:
        path: the file; see :func:`molgen.data.reading.read_table`.
        options: of reading and cleaning.
        tokenizer: of the ids; None collects the vocabulary from the file.
        processes: number of processes for chemistry.
        progress: show bars if standard error is a terminal.
        named: the properties that the user named, which may be user functions; None for all.
            Others were read from a model's folder.

    Raises:
        MolgenError: if the file cannot be read, or a column or property is missing.
        OSError: if the file cannot be opened.
    """
    from molgen.data.cleaning import clean
    from molgen.data.reading import read_table
    from molgen.molecules.training_index import TrainingIndex

    sources = property_sources(path, options.properties, named)
    columns = [name for name, source in sources.items() if source == COLUMN]
    texts = Texts(options.representation, tokenizer)
    table = read_table(path, options.column, columns)
    for name, account in table.accounts.items():
        if not np.isfinite(account.values).any():
            raise MolgenError(
                f"property {name}: column {name!r} has no number: {account.summary()}"
            )
    cleaned = clean(
        table,
        keep_salts=options.keep_salts,
        neutralise=options.neutralise,
        max_tokens=options.max_tokens,
        count_tokens=texts.count,
        processes=processes,
        progress=progress,
    )
    kept = [texts.of[smiles] for smiles in cleaned.smiles]
    tokenizer = tokenizer or Tokenizer.from_corpus(kept, options.representation)
    values = property_values(cleaned.smiles, sources, cleaned.numbers, processes, progress)
    data = TokenDataset.build(
        [tokenizer.encode(text) for text in kept],
        values,
        tokenizer.vocab,
        options.representation,
        options.seed,
        series_held_out(len(kept)) if options.held_out is None else options.held_out,
    )
    unknown = np.isnan(data.values[~data.held_out]).all(axis=0)
    if unknown.any():
        name = data.properties[int(unknown.argmax())]
        raise MolgenError(f"property {name}: no molecule of the training part has a value")
    label = "training-set index" if progress else ""
    index = TrainingIndex.from_smiles(cleaned.smiles, False, processes, label)
    notes = (*table.notes(), *built_in(path, sources))
    return Ingested(data, index, cleaned, sources, notes, table.facts())


def series_held_out(count: int) -> float:
    """Return the fraction of a chemist's series to hold out.

    A tenth, but at least 10 molecules for a meaningful estimate, at most a fifth to leave enough
    for training, and no more than 250 beyond the usual fraction.

    Args:
        count: distinct molecules of the series.
    """
    wanted = max(SERIES_PART * count, SERIES_LEAST)
    return max(min(wanted / count, 2 * SERIES_PART, SERIES_MOST / count), HELD_OUT_FRACTION)


def further_numbers(path: Path, options: Options) -> list[str]:
    """Return the numeric columns of a file that are not among the requested properties.

    Raises:
        MolgenError: if the file cannot be read.
        OSError: if it cannot be opened.
    """
    from molgen.data.formats import open_sheet
    from molgen.data.numbers import read_numbers

    sheet = open_sheet(path, options.properties)
    rows = [row for _, row in islice(sheet.rows(), INSPECTED)]
    found = []
    for i, name in enumerate(sheet.header):
        cells = [row[i] if i < len(row) else "" for row in rows]
        numbers = read_numbers(cells, range(len(cells)), sheet.delimiter).values
        known = not name or name in options.properties
        if not known and np.isfinite(numbers).sum() > MOSTLY * len(numbers):
            found.append(name)
    return found


class Texts:
    """Canonical SMILES -> text in a representation, computed once and cached."""

    def __init__(self, representation: str, tokenizer: Tokenizer | None) -> None:
        self.representation, self.tokenizer = representation, tokenizer
        self.of: dict[str, str] = {}
        self._writer = tokenizer or Tokenizer([], representation)

    def count(self, smiles: str) -> int:
        """Return the number of tokens of a molecule.

        Raises:
            MolgenError: if it has no text in the representation, or an unknown token.
        """
        text = self.of.get(smiles) or self._writer.text(smiles)
        self.of[smiles] = text
        if self.tokenizer is not None:
            return len(self.tokenizer.encode(text))
        return len(split(text, self.representation))


def property_sources(
    path: Path, names: tuple[str, ...], named: Collection[str] | None = None
) -> dict[str, str]:
    """Return for each property whether its values are a column of the file or computed.

    Args:
        path: of the file.
        names: of the properties.
        named: see :func:`ingest`.

    Raises:
        MolgenError: if it is neither.
    """
    from molgen.data.headings import listed
    from molgen.data.reading import read_header
    from property_models import get
    from property_models import names as computed

    header = read_header(path)
    folded = {heading.casefold() for heading in header}
    own = {name for name in names if name in header}
    own |= {name for name in names if name.casefold() in folded and name not in computed()}
    sources = {name: COLUMN if name in own else COMPUTED for name in names}
    for name in (name for name, source in sources.items() if source == COMPUTED):
        try:
            get(name, named is None or name in named)
        except ValueError as error:
            there = listed(header) or "none"
            raise MolgenError(f"{error}; and {path} has no column {name!r} ({there})") from error
    return sources


def built_in(path: str | Path, sources: Mapping[str, str]) -> list[str]:
    """Return a line on each column with the name of a computable property.

    Args:
        path: of the file.
        sources: from :func:`property_sources`.
    """
    from molgen.data.reading import read_header
    from property_models import names

    header = read_header(path)
    notes = []
    for name in (name for name in sources if name in names()):
        like = next((there for there in header if there.casefold() == name.casefold()), None)
        if sources[name] == COLUMN:
            notes.append(f"{name}: values of the file's column are used, not computed ones")
        elif like is not None:
            notes.append(f"{name}: values are computed, the file's column {like!r} is not used")
    return notes


def property_values(
    smiles: list[str],
    sources: dict[str, str],
    numbers: dict[str, NDArray[np.float64]],
    processes: int = 1,
    progress: bool = False,
) -> dict[str, NDArray[np.float64]]:
    """Return each property's values, with shape (molecules,); NaN where a value is unknown.

    Args:
        smiles: canonical SMILES.
        sources: from :func:`property_sources`.
        numbers: the file's columns.
        processes: number of processes.
        progress: show a bar if standard error is a terminal.

    Raises:
        MolgenError: if a property has no value at all.
    """
    from property_models import compute

    wanted = [name for name, source in sources.items() if source == COMPUTED]
    label = "properties" if progress else ""
    found = compute(wanted, smiles, processes, label) if wanted else {}
    limit = float(np.finfo(np.float32).max)
    values = {}
    for name, source in sources.items():
        column = found[name] if source == COMPUTED else numbers[name]
        values[name] = np.where(np.abs(column) <= limit, column, math.nan)
        if np.isnan(values[name]).all():
            origin = f"column {name!r} has" if source == COLUMN else "the computed values have"
            raise MolgenError(f"property {name}: {origin} no number")
    return values

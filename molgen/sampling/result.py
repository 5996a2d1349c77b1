"""The result of a run: a table, its counts, the reason of its end, and the request.

Every verb of molgen returns one. ``len``, iteration, ``[]`` and the methods of a frame are those of
the table, so ``result["qed"].mean()`` and ``result.head()`` work as on the frame itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from molgen.molecules.fate import Fate, Ledger

if TYPE_CHECKING:
    import pandas as pd

Counts = TypeVar("Counts")
COMPLETE, INTERRUPTED = "complete", "interrupted"


@dataclass(frozen=True, eq=False)
class Result(Generic[Counts]):
    """The result of a run.

    Attributes:
        table: one row for each molecule, draw or attempt, or for each figure.
        counts: of the whole run: rows, fates, costs.
        asked: requested number of molecules, rows or leads.
        reason: of the end of the run: ``complete``, ``interrupted`` or the budget that ended.
        request: what was requested.
        output: what the run made, beside the table: the model of a training, the property of a
            fit, the preset of tuning, the charts of a comparison; None for molecules.
        model: that drew or scored the molecules, if there is one.
    """

    table: pd.DataFrame
    counts: Counts
    asked: int
    reason: str = COMPLETE
    request: Any = None
    output: Any = None
    model: Any = None

    def save(self, path: str | Path) -> None:
        """Write the table in the format of the path's suffix.

        Args:
            path: a file ending in .csv, .tsv, .smi, .sdf, .parquet or .xlsx; some also .gz.

        Raises:
            MolgenError: for another extension.
            OSError: if it cannot be written; no part of a file is left.
        """
        from molgen.data.tables import write_table  # some formats need RDKit, training does not

        write_table(self.table, path)

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.table)

    def __contains__(self, name: object) -> bool:
        return name in self.table

    def __getitem__(self, key: Any) -> Any:
        return self.table[key]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "table":  # the latter of a copy that has none yet
            raise AttributeError(name)
        return getattr(self.table, name)

    def __dir__(self) -> list[str]:
        own = set(object.__dir__(self))
        return sorted(own | {name for name in dir(self.table) if not name.startswith("_")})

    def __repr__(self) -> str:
        return f"{self.table!r}\n\n{self.counts}\n{self.reason}"

    def _repr_html_(self) -> str:
        """Return the table with drawn structures, the counts and the reason for a notebook."""
        from html import escape

        from molgen.molecules.gallery import html

        about = escape(f"{self.counts}\n{self.reason}")
        drawn = "smiles" in self.table
        table = html(self.table) if drawn else self.table.to_html(max_rows=20, escape=True)
        return f"{table}<pre>{about}</pre>"


@dataclass
class SampleCounts(Ledger):
    """The ledger of rows as drawn; a row is accepted if it is valid, distinct and new.

    Attributes:
        valid: rows that are a molecule.
        unique: distinct molecules.
        novel: distinct molecules that are not in the training set.
    """

    valid: int = 0
    unique: int = 0
    novel: int = 0

    @classmethod
    def of(cls, table: pd.DataFrame, novelty: bool = True) -> SampleCounts:
        """Count the rows of :meth:`molgen.Model.table`.

        Args:
            table: of the rows.
            novelty: whether a row that is not new is rejected.
        """
        valid, unique = table["status"] == "ok", table["unique"].astype(bool)
        novel = table["novel"].astype(bool)
        counts = cls(
            drawn=len(table),
            forwards=int(table["nfe"].sum()),
            classifier_forwards=int(table["classifier_nfe"].sum()),
            valid=int(valid.sum()),
            unique=int(unique.sum()),
            novel=int(novel.sum()),
        )
        rejected = {
            Fate.INVALID: ~valid,
            Fate.DUPLICATE: valid & ~unique,
            Fate.IN_TRAINING_SET: unique & ~novel if novelty else unique & False,
        }
        counts.fates.update({str(fate): int(rows.sum()) for fate, rows in rejected.items()})
        counts.fates[Fate.ACCEPTED] = len(table) - sum(counts.fates.values())
        return counts

    def __str__(self) -> str:
        if not self.drawn:
            return "0 rows"
        shares = ", ".join(
            f"{100 * count / self.drawn:.1f} % {name}"
            for name, count in (("valid", self.valid), ("unique", self.unique))
        )
        novel = f"{100 * self.novel / self.drawn:.1f} % novel (strict)"
        each = f"{self.forwards / self.drawn:.1f} forwards a row"
        return f"{self.drawn} rows: {shares}, {novel}; {each}"

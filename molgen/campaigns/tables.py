"""The molecules of a campaign as tables, some rows at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.campaigns.store import OK, Store
from molgen.campaigns.worker import OWN_COLUMNS
from molgen.molecules.fate import Fate

if TYPE_CHECKING:
    import pandas as pd

SCORE, LOST = "score", "lost"


def tables(
    store: Store, columns: Sequence[str], paid: Sequence[str], end: int, every: bool = False
) -> Iterator[pd.DataFrame]:
    """Yield tables of consecutive rows.

    Args:
        store: the file.
        columns: of the stored rows.
        paid: properties whose values are stored for each molecule.
        end: rows before this one.
        every: rejected rows too, with the reason in the column ``lost``.
    """
    import pandas as pd

    own = [name for name in columns if name not in OWN_COLUMNS]
    for rows in store.rows(end, every):
        cells = [json.loads(row[-1]) for row in rows]
        table = pd.DataFrame(cells, columns=own)
        smiles, fates = [row[1] for row in rows], [row[2] for row in rows]
        added: dict[str, Any] = {"smiles": smiles}
        if "unique" in columns:
            repeated = (str(Fate.DUPLICATE), str(Fate.INVALID))
            added["unique"] = [fate not in repeated for fate in fates]
        for name in paid:
            scores = [store.score(name, text) if text else None for text in smiles]
            added[name] = [x if isinstance(x, float) else np.nan for x in scores]
        table = table.assign(**added)[list(columns)]
        if "unique" in columns and any(row[3] is not None for row in rows):
            table[SCORE] = [np.nan if row[3] is None else row[3] for row in rows]
        if every and "outcome" not in columns:
            table[LOST] = ["" if fate == OK else fate for fate in fates]
        yield table

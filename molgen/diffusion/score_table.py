"""A table of scored molecules: one row for each input row, also where there is no score.

    bound(molecule) = -log sum over spellings s of exp(-bound(s))

A network assigns probabilities to strings, and a molecule has many spellings. Networks are trained
on the canonical one, so it has nearly all of a molecule's probability, and its bound is also a
bound for the molecule; adding further spellings can only tighten it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from molgen.data.tokenizer import Tokenizer
from molgen.diffusion.string_likelihood import Ids, Score
from molgen.errors import MolgenError
from molgen.molecules.smiles import TokenError

if TYPE_CHECKING:
    import pandas as pd

OK = "ok"
UNKNOWN_TOKEN, NO_SELFIES, TOO_MANY_TOKENS = "unknown_token", "no_selfies", "too_many_tokens"
NOT_SCORED = "not_scored"  # the run was interrupted


class InputRow(Protocol):
    """An input row: a :class:`molgen.molecules.parsing.Molecule`."""

    @property
    def raw(self) -> str:
        """The input string."""
        ...

    @property
    def smiles(self) -> str:
        """Canonical SMILES; empty if the row is invalid."""
        ...

    @property
    def status(self) -> str:
        """``ok``, or the reason why the row is invalid."""
        ...


@dataclass(frozen=True)
class Entry:
    """The strings to score for one row.

    Attributes:
        molecule: the row.
        spellings: SMILES and their token ids; empty if there is nothing to score.
        status: ``ok``, or the reason why there is nothing to score.
        reason: the same as a sentence; empty where the status is ``ok``.
    """

    molecule: InputRow
    spellings: tuple[tuple[str, Ids], ...]
    status: str
    reason: str = ""


def entry(
    molecule: InputRow,
    tokenizer: Tokenizer,
    longest: int,
    as_written: bool = False,
    spellings: Sequence[str] = (),
) -> Entry:
    """Return the strings to score for a row.

    Args:
        molecule: the row.
        tokenizer: of the network.
        longest: maximum number of tokens of the network.
        as_written: score the input string, valid or not, instead of the canonical SMILES.
        spellings: further SMILES of the molecule to score; those that cannot be tokenized are
            omitted.
    """
    text = molecule.raw if as_written else molecule.smiles
    if not text:
        status = str(molecule.status)
        return Entry(molecule, (), status, f"{molecule.raw!r} is no molecule: {status}")
    try:
        found = {text: _ids(text, tokenizer, longest)}
    except TokenError as error:
        return Entry(molecule, (), UNKNOWN_TOKEN, str(error).splitlines()[0])
    except _TooMany as error:
        return Entry(molecule, (), TOO_MANY_TOKENS, str(error))
    except ValueError as error:  # the selfies library cannot encode it
        return Entry(molecule, (), NO_SELFIES, str(error))
    for other in spellings:
        try:
            found.setdefault(other, _ids(other, tokenizer, longest))
        except ValueError:
            continue
    return Entry(molecule, tuple(found.items()), OK)


def combine(scores: Sequence[Score]) -> tuple[float, float]:
    """Return the bound of a molecule and its error from the scores of its distinct spellings."""
    nats = np.array([score.nats for score in scores])
    share = np.exp(nats.min() - nats)
    total = float(nats.min() - np.log(share.sum()))
    errors = np.array([score.error for score in scores])
    return total, float(np.sqrt(((share / share.sum() * errors) ** 2).sum()))


def table(entries: Sequence[Entry], scores: dict[Ids, Score]) -> pd.DataFrame:
    """Return one row for each entry, in order.

    Args:
        entries: of the rows.
        scores: of the strings; missing ones were not scored.

    Returns:
        The columns ``index, raw, smiles, status, scored, spellings, tokens, nats, error,
        length_nats, nats_per_token, reason``: ``scored`` is the likeliest spelling, ``tokens`` and
        ``length_nats`` refer to it; numbers are NaN where there is no score.
    """
    import pandas as pd

    return pd.DataFrame([_row(i, item, scores) for i, item in enumerate(entries)], columns=COLUMNS)


COLUMNS = (
    "index", "raw", "smiles", "status", "scored", "spellings", "tokens", "nats", "error",
    "length_nats", "nats_per_token", "reason",
)  # fmt: skip


def summary(frame: pd.DataFrame) -> dict[str, Any]:
    """Return summary statistics of the table; None where nothing was scored."""
    scored = frame[frame["status"] == OK]
    result: dict[str, Any] = {
        "rows": len(frame),
        "scored": len(scored),
        "status": dict(Counter(frame["status"])),
        "nats": None,
        "nats_error": None,
        "length_nats": None,
        "tokens": None,
        "perplexity": None,
    }
    if len(scored):
        result["nats"] = float(scored["nats"].mean())
        result["length_nats"] = float(scored["length_nats"].mean())
        result["tokens"] = float(scored["tokens"].mean())
        result["perplexity"] = float(np.exp(scored["nats"].sum() / scored["tokens"].sum()))
    if len(scored) > 1:
        result["nats_error"] = float(scored["nats"].std(ddof=1) / np.sqrt(len(scored)))
    return result


class _TooMany(MolgenError):
    """A string has more tokens than the maximum of the network."""


def _ids(smiles: str, tokenizer: Tokenizer, longest: int) -> Ids:
    ids = tuple(tokenizer.encode(tokenizer.text(smiles)))
    if len(ids) > longest:
        raise _TooMany(f"length is {len(ids)} tokens, expected at most {longest}")
    return ids


def _row(index: int, item: Entry, scores: dict[Ids, Score]) -> tuple[Any, ...]:
    molecule = item.molecule
    front = (index, molecule.raw, molecule.smiles)
    # under a SELFIES tokenizer two spellings may be the same token string, which counts once
    found = {ids: (text, scores[ids]) for text, ids in item.spellings if ids in scores}
    if item.status != OK or len(found) < len({ids for _, ids in item.spellings}):
        status = NOT_SCORED if item.status == OK else item.status
        missing = (float("nan"),) * 5
        return (*front, status, "", 0, *missing, item.reason or "interrupted before its turn")
    text, best = min(found.values(), key=lambda pair: pair[1].nats)
    nats, error = combine([score for _, score in found.values()])
    numbers = (best.tokens, nats, error, best.length_nats, nats / best.tokens)
    return (*front, OK, text, len(found), *numbers, "")

"""A table of scored molecules: one row for each row given, those that have no score included.

    bound(molecule) = -log sum over spellings s of exp(-bound(s))

A network gives probability to strings, and a molecule has many spellings. The canonical one is what
networks are trained on, so it carries nearly all of a molecule's probability, and its bound is
also one for the molecule; adding further spellings can only tighten it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from molgen.data.tokenizer import Tokenizer
from molgen.diffusion.string_likelihood import Ids, Score
from molgen.molecules.smiles import TokenError

if TYPE_CHECKING:
    import pandas as pd

OK = "ok"
UNKNOWN_TOKEN, NO_SELFIES, TOO_MANY_TOKENS = "unknown_token", "no_selfies", "too_many_tokens"
NOT_SCORED = "not_scored"  # the run was interrupted before


class Written(Protocol):
    """A row as it was read: a :class:`molgen.molecules.parsing.Molecule`."""

    @property
    def raw(self) -> str:
        """What was written."""
        ...

    @property
    def smiles(self) -> str:
        """Canonical SMILES; empty if it is no molecule."""
        ...

    @property
    def status(self) -> str:
        """``ok``, or why it is none."""
        ...


@dataclass(frozen=True)
class Entry:
    """What is to be scored for one row.

    Attributes:
        molecule: the row.
        spellings: SMILES and their token ids; empty if there is nothing to score.
        status: ``ok``, or why there is nothing.
        reason: the same in a sentence; empty where it is ``ok``.
    """

    molecule: Written
    spellings: tuple[tuple[str, Ids], ...]
    status: str
    reason: str = ""


def entry(
    molecule: Written,
    tokenizer: Tokenizer,
    longest: int,
    as_written: bool = False,
    spellings: Sequence[str] = (),
) -> Entry:
    """Say which strings are to be scored for a row.

    Args:
        molecule: the row.
        tokenizer: of the network.
        longest: most tokens the network takes.
        as_written: the string of the row itself, molecule or not, instead of canonical SMILES.
        spellings: further SMILES of the molecule to score beside it; those that the network cannot
            read are left out.
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
    """Return the bound of a molecule from those of its distinct spellings, and its error."""
    nats = np.array([score.nats for score in scores])
    share = np.exp(nats.min() - nats)
    total = float(nats.min() - np.log(share.sum()))
    errors = np.array([score.error for score in scores])
    return total, float(np.sqrt(((share / share.sum() * errors) ** 2).sum()))


def table(entries: Sequence[Entry], scores: dict[Ids, Score]) -> pd.DataFrame:
    """Return one row for each entry, in order.

    Args:
        entries: of the rows.
        scores: of the strings; those that are missing were not scored.

    Returns:
        The columns ``index, raw, smiles, status, scored, spellings, tokens, nats, error,
        length_nats, nats_per_token, reason``: ``scored`` is the likeliest spelling, ``tokens`` and
        ``length_nats`` are its own; numbers are NaN where there is no score.
    """
    import pandas as pd

    return pd.DataFrame([_row(i, item, scores) for i, item in enumerate(entries)], columns=COLUMNS)


COLUMNS = (
    "index", "raw", "smiles", "status", "scored", "spellings", "tokens", "nats", "error",
    "length_nats", "nats_per_token", "reason",
)  # fmt: skip


def summary(frame: pd.DataFrame) -> dict[str, Any]:
    """Return what the table says as a whole; None where nothing was scored."""
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


class _TooMany(ValueError):
    """A string has more tokens than the network takes."""


def _ids(smiles: str, tokenizer: Tokenizer, longest: int) -> Ids:
    ids = tuple(tokenizer.encode(tokenizer.text(smiles)))
    if len(ids) > longest:
        raise _TooMany(f"{len(ids)} tokens, the model takes {longest}")
    return ids


def _row(index: int, item: Entry, scores: dict[Ids, Score]) -> tuple[Any, ...]:
    molecule = item.molecule
    front = (index, molecule.raw, molecule.smiles)
    # two spellings of a SELFIES network may be one string of tokens, which counts once
    found = {ids: (text, scores[ids]) for text, ids in item.spellings if ids in scores}
    if item.status != OK or len(found) < len({ids for _, ids in item.spellings}):
        status = NOT_SCORED if item.status == OK else item.status
        missing = (float("nan"),) * 5
        return (*front, status, "", 0, *missing, item.reason or "interrupted before its turn")
    text, best = min(found.values(), key=lambda pair: pair[1].nats)
    nats, error = combine([score for _, score in found.values()])
    numbers = (best.tokens, nats, error, best.length_nats, nats / best.tokens)
    return (*front, OK, text, len(found), *numbers, "")

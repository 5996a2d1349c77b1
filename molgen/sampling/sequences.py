"""Rows of texts: their request, their check and their counts, without anything of chemistry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from molgen.data.tokenizer import Tokenizer
from molgen.errors import MolgenError
from molgen.molecules.fate import Fate, Ledger
from molgen.sampling.acceptance import CheckResult
from molgen.sampling.retry import Adaptive
from molgen.sampling.settings import Settings
from molgen.utils.arrays import Ids

TextCheck = Callable[[str], object]
"""Whether a text is accepted, as a true or false value."""
UNTIL = ("valid", "unique")


@dataclass(frozen=True, eq=False)
class SequenceRequest:
    """A request for rows.

    Attributes:
        n: rows for each template.
        templates: of the rows; row ``i`` has number ``i mod k`` of ``k``.
        seed: of the draws.
        first: index of the first row.
        settings: of the sampler.
    """

    n: int
    templates: tuple[str, ...]
    seed: int
    first: int
    settings: Settings


@dataclass
class SequenceCounts(Ledger):
    """The ledger of rows as drawn.

    Attributes:
        distinct: distinct texts.
    """

    distinct: int = 0

    def __str__(self) -> str:
        if not self.drawn:
            return "0 rows"
        each = f"{self.forwards / self.drawn:.1f} forwards a row"
        return f"{self.drawn} rows: {self.distinct} distinct; {each}"


@dataclass(frozen=True)
class SequenceCheck:
    """Checks texts for adaptive sampling; see :data:`molgen.sampling.acceptance.Check`.

    Attributes:
        tokenizer: of the rows.
        check: whether a text is valid; None where every text is.
    """

    tokenizer: Tokenizer
    check: TextCheck | None

    def __call__(self, tokens: Ids, rows: Ids) -> list[CheckResult]:
        """Return a result for each row."""
        texts = [self.tokenizer.decode(row) for row in tokens]
        passed = [self.check is None or bool(self.check(text)) for text in texts]
        fates = [Fate.ACCEPTED if each else Fate.INVALID for each in passed]
        return [CheckResult(text, fate) for text, fate in zip(texts, fates, strict=True)]


def check_until(adapt: Adaptive, check: TextCheck | None) -> None:
    """Check that a retry's requirements can be failed, and only those of texts.

    Raises:
        MolgenError: if not.
    """
    allowed = UNTIL if check is not None else UNTIL[1:]
    if not set(adapt.until) <= set(UNTIL) or not set(adapt.until) & set(allowed):
        raise MolgenError(
            f"until is {'+'.join(adapt.until)}, expected until=unique, or until=valid or "
            "valid+unique with a check, in Python"
        )

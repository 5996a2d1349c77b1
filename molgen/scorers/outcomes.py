"""Outcomes of scoring a molecule: a finite number, or a message why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from rdkit import Chem

Outcome = float | str | None
"""A finite number, the message of a failure, or None for what is not a molecule."""
Items = Sequence[str | Chem.Mol]
OnOutcome = Callable[[int, Outcome], None]
"""Called with the number of a molecule and its outcome."""


class Backend(Protocol):
    """Processes or threads that score molecules.

    Attributes:
        count: of processes or threads.
    """

    count: int

    def outcomes(self, items: Items, on_outcome: OnOutcome | None = None) -> Iterator[Outcome]:
        """Yield the outcome of each molecule, in order.

        Args:
            items: SMILES or sanitised molecules.
            on_outcome: called as soon as an outcome is there, in any order and by any thread.
        """
        ...

    def close(self) -> None:
        """End all, whatever they do."""
        ...


def message(error: BaseException) -> str:
    """Return an error as one line: its type and the first line of its text."""
    lines = str(error).strip().splitlines()
    return type(error).__name__ + (f": {lines[0].strip()}" if lines else "")


def number(result: Any) -> float | str:
    """Return a result as a finite number, or a message that it is none."""
    if result is None:
        return "returned None"
    try:
        shape = np.shape(result)
        value = math.nan if shape or isinstance(result, (str, bytes)) else float(result)
    except Exception as error:  # noqa: BLE001 - an object of the user's own may raise anything
        return f"returned a {type(result).__name__}, expected a number ({message(error)})"
    if shape or isinstance(result, (str, bytes)):
        of_shape = f" of shape {shape}" if shape else ""
        return f"returned a {type(result).__name__}{of_shape}, expected a number"
    return value if math.isfinite(value) else f"returned {value}, expected a finite number"

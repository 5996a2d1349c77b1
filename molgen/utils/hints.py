"""Hints in error messages: what is allowed, and the nearest spelling of it.

expected one of masked, uniform, none; did you mean masked?
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

CLOSE = 0.6  # least similarity of a hint, by difflib
MOST = 3  # hints


def hint(name: object, allowed: Iterable[object], most: int = 1) -> str:
    """Return ``; did you mean X?`` for the nearest of the allowed names, empty if none is near.

    Args:
        name: as given.
        allowed: names.
        most: number of names.
    """
    folded = {_fold(other): str(other) for other in allowed}
    near = difflib.get_close_matches(_fold(name), list(folded), most, CLOSE)
    return f"; did you mean {' or '.join(folded[each] for each in near)}?" if near else ""


def one_of(name: object, allowed: Iterable[object]) -> str:
    """Return ``expected one of ...`` with all that is allowed, and a hint."""
    listed = list(map(str, allowed))
    return f"expected one of {', '.join(listed) or 'none'}{hint(name, listed)}"


def _fold(name: object) -> str:
    return str(name).casefold().replace("_", "-")

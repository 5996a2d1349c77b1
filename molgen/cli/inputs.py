"""Words and notes shared by commands that read a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence

FILE = "csv, tsv, smi, sdf, parquet or xlsx, text also gzipped; - for standard input"


def note(lines: Sequence[str]) -> None:
    """Print lines on standard error, separate from the result."""
    for line in lines:
        print(line, file=sys.stderr)

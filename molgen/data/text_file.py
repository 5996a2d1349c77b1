"""A text file as a stream of lines, whatever it is packed in, within stated limits.

    bytes -> (gunzip) -> limits -> decode -> lines with Unix ends

Everything is read in pieces, so a file that unpacks to a thousand times its size is refused after
:data:`MOST_BYTES` or :data:`MOST_LINES`, with nothing of it kept. gzip and the encoding are found
by content: UTF-8, UTF-16 and UTF-32 by their marks, else UTF-8, of which bytes that are none are
taken as Latin-1 and counted (names with accents; SMILES are ASCII either way). Imports neither
torch nor RDKit.
"""

from __future__ import annotations

import gzip
import io
import re
import sys
import tempfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from molgen.errors import MolgenError

MOST_BYTES = 512 * 2**20
"""Of a table, unpacked: ten million SMILES of drug-like molecules."""
MOST_LINES = 10_000_000
"""Of a table: more rows do not fit in memory beside what is made of them."""
MOST_LINE = 2**20
"""Bytes of one line, its heading included: no spreadsheet writes longer ones."""

STDIN = "-"
"""The path of standard input."""

PIECE = 2**20  # bytes looked at together
SNIFFED = 2**16  # bytes at the beginning that say whether this is text
END = re.compile(rb"[\r\n]")
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # bytes that no text file holds
MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
ESCAPED = re.compile("[\udc80-\udcff]")  # how a byte that is no UTF-8 is told


class TextFile:
    """A text file that has been looked through once; iterating it gives its lines.

    Attributes:
        path: of the file, or a name for standard input.
        encoding: found by its content.
        odd: bytes taken as Latin-1 in what has been iterated, and the line of the first.
    """

    def __init__(self, path: str | Path) -> None:
        """Look through the file.

        Raises:
            MolgenError: if it is a damaged gzip file, no text, or beyond a limit.
            OSError: if it cannot be opened.
        """
        self.path = Path(path)
        self._place = self.path
        if str(path) == STDIN:
            self.path = Path("standard input")
            self._place = Path(_copied(sys.stdin).name)
        self.odd = (0, 0)
        self.encoding = ""
        total = lines = since = 0  # bytes, lines, and bytes since the last end of a line
        try:
            with self._open() as stream:
                while piece := stream.read(PIECE):
                    self.encoding = self.encoding or self._sniff(piece)
                    total += len(piece)
                    lines += piece.count(b"\n") or piece.count(b"\r")
                    end = END.search(piece)
                    self._check(total, lines, since + (end.start() if end else len(piece)))
                    last = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
                    since = since + len(piece) if last < 0 else len(piece) - 1 - last
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise MolgenError(f"{self.path}: damaged gzip file ({error})") from error

    def __iter__(self) -> Iterator[str]:
        """Yield the lines, each but perhaps the last with its end.

        Raises:
            MolgenError: naming the line that is not of the encoding that the file's mark promises.
        """
        self.odd = (0, 0)
        marked = self.encoding != "utf-8-sig"
        number = 0
        with (
            self._open() as stream,
            io.TextIOWrapper(
                stream, self.encoding or "utf-8", "strict" if marked else "surrogateescape"
            ) as text,
        ):
            try:
                for number, line in enumerate(text, 1):
                    yield line if line.isascii() else self._latin(line, number)
            except UnicodeError as error:
                raise MolgenError(
                    f"{self.path}, line {number + 1}: not {self.encoding.upper()}, as which the "
                    "file begins"
                ) from error

    def _open(self) -> gzip.GzipFile | io.BufferedReader:
        with self._place.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"  # by content: a renamed file is read all the same
        return gzip.open(self._place) if packed else self._place.open("rb")

    def _sniff(self, piece: bytes) -> str:
        """Return the encoding that the first bytes tell."""
        for mark, encoding in MARKS.items():
            if piece.startswith(mark):
                return encoding
        if CONTROL.search(piece[:SNIFFED]):
            raise MolgenError(f"{self.path}: not a text file")
        return "utf-8-sig"

    def _check(self, total: int, lines: int, longest: int) -> None:
        if total > MOST_BYTES:
            raise MolgenError(
                f"{self.path}: more than {MOST_BYTES // 2**20} MiB unpacked, expected at most that "
                "of a table: split it, or keep the columns that are needed"
            )
        if lines > MOST_LINES:
            raise MolgenError(
                f"{self.path}: more than {MOST_LINES:,} lines, expected at most that of a table"
            )
        if longest > MOST_LINE:
            raise MolgenError(
                f"{self.path}: a line of more than {MOST_LINE // 2**20} MiB, expected a table"
            )

    def _latin(self, line: str, number: int) -> str:
        """Return a line with its bytes that are no UTF-8 taken as Latin-1."""
        text, count = ESCAPED.subn(lambda match: chr(ord(match[0]) - 0xDC00), line)
        if count:
            self.odd = (self.odd[0] + count, self.odd[1] or number)
        return text


@lru_cache(maxsize=1)
def _copied(stream: IO[Any] | None) -> IO[bytes]:
    """Return standard input as a temporary file, since a file is read more than once.

    Raises:
        MolgenError: if there is no standard input, or it is beyond the limit.
    """
    if stream is None or not hasattr(stream, "buffer"):
        raise MolgenError("there is no standard input")
    # removed with the last reference to it
    file = tempfile.NamedTemporaryFile(prefix="molgen-")  # noqa: SIM115
    while piece := stream.buffer.read(PIECE):
        if file.tell() > MOST_BYTES:
            raise MolgenError(f"standard input has more than {MOST_BYTES // 2**20} MiB")
        file.write(piece)
    file.flush()
    return file

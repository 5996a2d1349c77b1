"""Find or download a public data set, check it, and print its path.

    python data/fetch.py qm9

Sources in this order: the folder in MOLGEN_DATA_DIR (files ``<name>.csv.gz``), this folder, the
cache, the network. A file must have the expected content; a download is written under a temporary
name and moved after it has been checked, so an interruption leaves no partial file. The cached file
has one column, ``smiles``. Exit status 0, or 2 with one line on standard error.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from molgen.data.reading import read_table
from molgen.errors import MolgenError
from molgen.utils.files import replacing
from sources import SOURCES, Source, checksum

HERE = Path(__file__).resolve().parent
TIMEOUT = 60  # seconds without a byte before a download fails


class FetchError(MolgenError):
    """A data set is not available; the message is one line for the user."""


def cache_folder() -> Path:
    """Return the folder for downloads: molgen's own in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "molgen" / "data"


def fetch(name: str, cache: Path | None = None) -> Path:
    """Return the path of a data set whose content has been checked.

    Args:
        name: a key of ``SOURCES``.
        cache: folder for downloads; by default :func:`cache_folder`.

    Raises:
        FetchError: if the name is unknown, the content is not the expected one, or the download
            fails.
    """
    if name not in SOURCES:
        raise FetchError(f"no data set {name!r}, expected one of {', '.join(SOURCES)}")
    given = os.environ.get("MOLGEN_DATA_DIR")
    kept = (cache or cache_folder()) / f"{name}.csv.gz"
    for folder in (*([Path(given)] if given else []), HERE, kept.parent):
        path = folder / kept.name
        if path.is_file():
            verify(path, SOURCES[name])
            return path
    if not SOURCES[name].url:
        raise FetchError(f"{name}: {HERE / kept.name} is missing; it belongs to the repository")
    download(name, SOURCES[name], kept)
    return kept


def verify(path: Path, source: Source) -> tuple[str, ...]:
    """Return the SMILES of a file after checking that they are the expected ones.

    Raises:
        FetchError: if they are not.
    """
    try:
        smiles = read_table(path).raw
    except ValueError as error:
        raise FetchError(str(error)) from error
    found = checksum(smiles)
    if found != source.sha256:
        raise FetchError(
            f"{path}: content differs: {len(smiles)} rows with SHA-256 {found[:12]}..., expected "
            f"{source.rows} rows with {source.sha256[:12]}..."
        )
    return smiles


def download(name: str, source: Source, target: Path) -> None:
    """Download a data set, check it and move it into place.

    Raises:
        FetchError: if the address cannot be read or has other content.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
        # Under the published name: its extension defines the format
        raw = Path(folder) / Path(source.url).name
        try:
            with urllib.request.urlopen(source.url, timeout=TIMEOUT) as reply:
                raw.write_bytes(reply.read())
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
            reason = getattr(error, "reason", error)
            raise FetchError(f"{name}: no download from {source.url} ({reason})") from error
        write_smiles(target, verify(raw, source))


def write_smiles(path: Path, smiles: Sequence[str]) -> None:
    """Write a gzipped CSV with one column; the same SMILES give the same bytes."""
    text = "\n".join(["smiles", *smiles, ""])
    with replacing(path) as part:
        part.write_bytes(gzip.compress(text.encode(), mtime=0))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="data/fetch.py",
        description="Find or download public data sets, check them, and print their paths.",
        epilog="example: python data/fetch.py qm9",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help=", ".join(SOURCES))
    parser.add_argument("--cache", type=Path, help="folder for downloads (default: user cache)")
    options = parser.parse_args(arguments)
    try:
        for name in options.names:
            print(fetch(name, options.cache))
    except (FetchError, OSError) as error:
        print(f"data/fetch.py: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

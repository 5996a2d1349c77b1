"""Fetch a vendored library of the reports' pages anew, and record its version and checksums.

    python data/vendor.py                           # the recorded versions, compared byte for byte
    python data/vendor.py tabulator-tables@6.5.3    # another version, written

The package is fetched by ``npm pack``, which checks its integrity; nothing of it is run. Only the
files listed in ``VENDORED.json`` are kept. Exit status 0, or 2 with one line on standard error.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from molgen.errors import MolgenError
from molgen.utils.files import replacing
from molgen.utils.json_files import read_json

FOLDER = Path(__file__).parents[1] / "molgen" / "reports" / "vendored"
RECORD = FOLDER / "VENDORED.json"
TIMEOUT = 300  # seconds of npm


def packed(package: str, version: str, names: Sequence[str]) -> dict[str, bytes]:
    """Return files of a published package.

    Args:
        package: its name.
        version: of the package.
        names: of the files in it.

    Raises:
        MolgenError: if it cannot be fetched, or lacks a file.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", f"{package}@{version}", "--silent", "--pack-destination", folder]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT)
        except (OSError, subprocess.SubprocessError) as error:
            raise MolgenError(f"{package}@{version} cannot be fetched: {error}") from error
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as members:
            found = {}
            for name in names:
                try:
                    file = members.extractfile(f"package/{name}")
                except KeyError:
                    file = None
                if file is None:
                    raise MolgenError(f"{package}@{version} has no file {name}")
                found[name] = file.read()
            return found


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch, compare or write; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("package", nargs="?", metavar="NAME@VERSION", help="to write")
    wanted, _, version = (parser.parse_args(argv).package or "").rpartition("@")
    try:
        record: dict[str, Any] = read_json(RECORD, dict)
        if wanted and wanted not in {entry["package"] for entry in record.values()}:
            raise MolgenError(f"package is {wanted!r}, expected one of {RECORD.name}")
        for folder, entry in record.items():
            if not wanted or wanted == entry["package"]:
                _update(folder, entry, version or entry["version"], bool(wanted))
    except (MolgenError, OSError) as error:
        print(f"vendor.py: {error}", file=sys.stderr)
        return 2
    if wanted:
        with replacing(RECORD) as part:
            part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0


def _update(folder: str, entry: dict[str, Any], version: str, write: bool) -> None:
    """Write the files of a library and their checksums, or compare both.

    Raises:
        MolgenError: if a file differs.
    """
    found = packed(entry["package"], version, list(entry["files"]))
    for name, content in found.items():
        digest = hashlib.sha256(content).hexdigest()
        if write:
            entry["files"][name] = digest
            with replacing(FOLDER / folder / Path(name).name) as part:
                part.write_bytes(content)
        elif digest != entry["files"][name]:
            raise MolgenError(f"{name} of {entry['package']}@{version} differs from the record")
    entry["version"] = version
    print(f"{'wrote' if write else 'equal'}: {entry['package']}@{version}")


if __name__ == "__main__":
    raise SystemExit(main())

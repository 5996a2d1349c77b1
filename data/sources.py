"""Addresses and checksums of the published data sets.

A checksum is that of the *content*, independent of mirrors, compression and further columns: the
SHA-256 of the SMILES column, in file order, joined by newlines (no newline at the end), as UTF-8.
The MOSES files were also checked byte for byte against the published ones.

A bundled set lies beside this module as ``NAME.csv.gz`` with all of its columns: a small one that
notebooks and examples need.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

GITHUB = "https://raw.githubusercontent.com"
GITHUB_LARGE = "https://media.githubusercontent.com/media"  # files in LFS of a repository


@dataclass(frozen=True)
class Source:
    """One published data set."""

    url: str
    """Public address of a CSV or a plain list, gzipped or not; empty for a bundled set."""
    rows: int
    sha256: str
    """Checksum of the SMILES column, see the module's docstring."""
    terms: str
    """Origin and licence, in one line."""


SOURCES = {
    "esol": Source(
        url="",
        rows=1_128,
        sha256="6e824fa5533c5e6d166ed18efe17f76400e9ce0fcba00f097aadcd6903df3868",
        terms="ESOL, Delaney 2004, of MoleculeNet, as in aspuru-guzik-group/selfies (Apache-2.0)",
    ),
    "qm9": Source(
        url=f"{GITHUB}/aspuru-guzik-group/selfies/master/tests/test_sets/qm9.csv",
        rows=133_885,
        sha256="ac766f3b6f7047c2cbbed180e0b42df5a763d88e00ecf7008aff351d42a0c0d0",
        terms="QM9, Ramakrishnan et al. 2014 (CC0), as in aspuru-guzik-group/selfies (Apache-2.0)",
    ),
    "zinc250k": Source(
        url=f"{GITHUB}/wenhao-gao/mol_opt/main/data/zinc.txt.gz",
        rows=249_455,
        sha256="b2a780b520e9188fdbc3dd1affe785f0f21151ac7e9fa8889e33832067763a9b",
        terms="ZINC (free to use, no bulk redistribution), as in wenhao-gao/mol_opt (MIT)",
    ),
    "moses_test": Source(
        url=f"{GITHUB_LARGE}/molecularsets/moses/master/data/test.csv",
        rows=176_074,
        sha256="4c40fe6efc63cbe59e94b30d9ca39e77d92a95f449cf13c7f180df21d0b82dac",
        terms="MOSES test split, molecularsets/moses (MIT)",
    ),
    "moses_char_rnn": Source(
        url=f"{GITHUB_LARGE}/molecularsets/moses/master/data/samples/char_rnn/char_rnn_1.csv",
        rows=30_000,
        sha256="471f064fdcb545fbb208b879a16bfcb4a4544d459eb329ad9b69e2c061f015b8",
        terms="samples of the MOSES CharRNN baseline, seed 1, molecularsets/moses (MIT)",
    ),
}


def checksum(smiles: Sequence[str]) -> str:
    """Return the SHA-256 of a SMILES column, see the module's docstring."""
    return hashlib.sha256("\n".join(smiles).encode()).hexdigest()

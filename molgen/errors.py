"""The errors of molgen: one line for a user, which names what came and what was expected.

Each is a ``ValueError``, so that a caller may catch either. The command line prints the message and
exits with status 2. Errors of files that are missing or full are the system's own ``OSError``.
Kinds that a caller may want apart are subclasses: :class:`ModelError`,
:class:`molgen.molecules.smiles.TokenError`, :class:`property_models.scorers.ScoringStopped`.
"""

from __future__ import annotations


class MolgenError(ValueError):
    """Bad input: an argument, a file or a molecule that cannot be used."""


class ModelError(MolgenError):
    """A model that cannot be found, fetched or read, or lacks a classifier."""

"""Filters: substructures that a molecule must not have, or must have, by name or as a pattern.

===================  =============================================================================
``pains`` ``brenk``  any catalogue of RDKit's FilterCatalog by its name in small letters: also
                     ``nih``, ``zinc``, ``chembl``, ``chembl_bms``, ``pains_a``, ...
``moses``            the medicinal chemistry filters of MOSES: :mod:`molgen.molecules.moses_filters`
``smarts:PATTERN``   must not match
``need:PATTERN``     must match
``radicals``         atoms with unpaired electrons, which no drug has
===================  =============================================================================

References: Baell and Holloway, "New substructure filters for removal of pan assay interference
compounds (PAINS) from screening libraries" (2010); Brenk et al., "Lessons learnt from assembling
screening libraries for drug discovery for neglected diseases" (2008). RDKit has the reference of
each other catalogue.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rdkit import Chem
from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

from molgen.errors import MolgenError
from molgen.molecules.logs import quiet
from molgen.molecules.moses_filters import pass_filters
from molgen.molecules.parsing import parse
from molgen.molecules.smarts import read_smarts
from molgen.utils.arguments import checked
from molgen.utils.hints import hint

if TYPE_CHECKING:
    import pandas as pd

MOSES, WITHOUT, NEED, RADICALS = "moses", "smarts:", "need:", "radicals"
NO_MOLECULE = "no molecule"
CATALOGUES = {
    name.lower(): value for name, value in FilterCatalogParams.FilterCatalogs.names.items()
}


@dataclass(frozen=True)
class Filter:
    """A hard filter.

    Attributes:
        name: as requested.
        alert: returns the alert that a sanitised molecule matches, or None if it passes.
    """

    name: str
    alert: Callable[[Chem.Mol], str | None]


@dataclass(frozen=True)
class Filters:
    """Hard filters in the requested order; possibly none.

    Attributes:
        filters: of different names.
    """

    filters: tuple[Filter, ...] = ()

    @classmethod
    @checked
    def read(cls, words: Sequence[str]) -> Filters:
        """Return the filters of these names; see this module.

        Raises:
            MolgenError: if a filter is unknown, is given twice, or its pattern cannot be read.
        """
        filters = tuple(_filter(word.strip()) for word in words)
        names = [each.name for each in filters]
        for name in names:
            if names.count(name) > 1:
                raise MolgenError(f"filter {name} is given twice")
        return cls(filters)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how other processes make them: by name."""
        return Filters.read, (self.names,)

    def without_radicals(self) -> Filters:
        """Return these filters, after that of radicals."""
        if RADICALS in self.names:
            return self
        return Filters((_filter(RADICALS), *self.filters))

    def __iter__(self) -> Iterator[Filter]:
        """Iterate over the filters."""
        return iter(self.filters)

    def __len__(self) -> int:
        """Return the number of filters."""
        return len(self.filters)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the filters."""
        return tuple(each.name for each in self.filters)

    def first_failed(self, mol: Chem.Mol) -> tuple[str, str] | None:
        """Return the first filter that a molecule fails and the alert, or None if it passes all."""
        alerts = ((each.name, each.alert(mol)) for each in self.filters)
        return next(((name, alert) for name, alert in alerts if alert), None)

    def reason(self, mol: Chem.Mol) -> str | None:
        """Return :meth:`first_failed` as text."""
        if (failed := self.first_failed(mol)) is None:
            return None
        name, alert = failed
        return name if alert == name else f"{name}: {alert}"

    def reasons(self, smiles: Sequence[str]) -> list[str | None]:
        """Return :meth:`reason` of each molecule; equal strings are checked once.

        Args:
            smiles: one a row; any other string fails as ``no molecule``.
        """
        found: dict[str, str | None] = {}
        for text in dict.fromkeys(smiles):
            mol = parse(text) if text else None
            found[text] = NO_MOLECULE if mol is None else self.reason(mol)
        return [found[text] for text in smiles]

    def met(self, smiles: Sequence[str]) -> pd.DataFrame:
        """Return which molecules pass which filter; equal strings are checked once.

        Args:
            smiles: one a row; any other string fails every filter.

        Returns:
            Of booleans, with shape (rows, filters), a column for each filter by its name.
        """
        import pandas as pd

        found: dict[str, list[bool]] = {}
        for text in dict.fromkeys(smiles):
            mol = parse(text) if text else None
            found[text] = [mol is not None and each.alert(mol) is None for each in self.filters]
        rows = [found[text] for text in smiles]
        return pd.DataFrame(rows, columns=list(self.names), index=range(len(smiles)), dtype=bool)


def names() -> tuple[str, ...]:
    """Return the plain names of filters; see this module for patterns."""
    return (*CATALOGUES, MOSES, RADICALS)


def _filter(word: str) -> Filter:
    """Return the filter of a name or pattern; see :meth:`Filters.read`."""
    if word.startswith((WITHOUT, NEED)):
        return _pattern(word)
    name = word.lower()
    if name == MOSES:
        return Filter(name, lambda mol: None if pass_filters([mol])[0] else name)
    if name == RADICALS:
        return Filter(name, _radical)
    if name in CATALOGUES:
        return Filter(name, functools.partial(_first, _catalogue(name)))
    raise MolgenError(
        f"filter is {word!r}, expected {', '.join(names())}, {WITHOUT}PATTERN or {NEED}PATTERN"
        f"{hint(name, names())}"
    )


def _radical(mol: Chem.Mol) -> str | None:
    """Return the name of the filter if an atom has an unpaired electron."""
    return RADICALS if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()) else None


def _pattern(word: str) -> Filter:
    """Return the filter of a pattern that must not match, or must."""
    kind, _, smarts = word.partition(":")
    pattern = read_smarts(smarts, f"filter {word!r}")
    wanted = kind == NEED.removesuffix(":")

    def alert(mol: Chem.Mol) -> str | None:
        return None if mol.HasSubstructMatch(pattern) == wanted else word

    return Filter(word, alert)


@functools.cache
@quiet
def _catalogue(name: str) -> FilterCatalog:
    """Return one of RDKit's catalogues; cached because reading it is slow."""
    return FilterCatalog(FilterCatalogParams(CATALOGUES[name]))


def _first(catalogue: FilterCatalog, mol: Chem.Mol) -> str | None:
    """Return the name of the first matching alert, or None."""
    with quiet:
        entry = catalogue.GetFirstMatch(mol)
    return None if entry is None else str(entry.GetDescription()).strip()

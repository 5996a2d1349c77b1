"""Scaffolds of real drugs yield molecules, in every notation of points, or are rejected.

The network is untrained and mostly draws carbon, so the tests cover everything around it: reading,
spelling, the rules of open spans, and verification.
"""

from __future__ import annotations

import csv
from itertools import cycle

import numpy as np
import pandas as pd
import pytest
import torch
from rdkit import Chem

from drugs import REAL, REFUSED, SPELLINGS, spelled
from molgen.constraints import draw
from molgen.constraints.scaffolds import Constraint, read, read_lead
from molgen.constraints.verify import OK, Verifier
from molgen.data.prior import Prior
from molgen.data.tokenizer import Tokenizer
from molgen.diffusion import plan
from molgen.model import Model
from molgen.nn.denoiser import DenoiserConfig, MoleculeDenoiser
from molgen.sampling.settings import Settings
from paths import DATA

DRUGS = DATA / "drug_fragments.csv"
LONGEST = 100  # tokens
LENGTHS = (36, 52, 68, 84)  # of the prior; few, so that a forward serves many rows
ROWS = 3  # of each scaffold
QUICK = Settings(plan.Ancestral(), steps=16)


def carbon(corpus: list[str]) -> Model:
    """Return a model with the corpus' vocabulary that draws carbon chains."""
    tokenizer = Tokenizer.from_corpus(corpus)
    config = DenoiserConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=LONGEST,
        hidden_size=16,
        num_layers=1,
        num_heads=2,
        condition_size=8,
        properties=["qed"],
        property_mean=[0.5],
        property_std=[0.2],
    )
    network = MoleculeDenoiser(config)
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    network.head.bias.data[:] = -4.0
    for token, logit in {"C": 4.0, "O": 0.0, "N": 0.0}.items():
        network.head.bias.data[tokenizer.vocab.index(token)] = logit
    prior = Prior.from_training(np.array(LENGTHS), np.full((len(LENGTHS), 1), 0.5), ("qed",))
    return Model("carbon", network.eval(), tokenizer, prior, None, {})


def drawn(corpus: list[str], constraints: list[Constraint], rows: int = ROWS) -> pd.DataFrame:
    return draw.draw(carbon(corpus), constraints, rows * len(constraints), seed=1, settings=QUICK)


def query(scaffold: str) -> Chem.Mol:
    """Return a scaffold as RDKit's own query, with any atom at its points."""
    parameters = Chem.AdjustQueryParameters.NoAdjustments()
    parameters.makeDummiesQueries = True
    mol = Chem.MolFromSmiles(scaffold)
    for atom in mol.GetAtoms():
        atom.SetIsotope(0)
    return Chem.AdjustQueryProperties(mol, parameters)


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return [Chem.CanonSmiles(drug) for _, drug in REAL.values()]


def test_scaffolds_of_real_drugs_yield_molecules(corpus: list[str]) -> None:
    texts = [
        spelled(scaffold, spelling)
        for (scaffold, _), spelling in zip(REAL.values(), cycle(SPELLINGS), strict=False)
    ]
    table = drawn(corpus, [read(text) for text in texts])
    assert table["scaffold"].tolist() == texts * ROWS
    assert table["constraint"].isin([OK, "no molecule"]).mean() > 0.95
    for text, rows in table.groupby("scaffold"):
        kept = rows.loc[rows["constraint"] == OK, "smiles"]
        assert len(kept) >= 1, text
        core = query(text.split(".")[0])  # an independent check
        assert all(Chem.MolFromSmiles(smiles).HasSubstructMatch(core) for smiles in kept), text
    assert (table["constraint"] == OK).mean() > 0.7


@pytest.mark.parametrize("name", REFUSED)
def test_impossible_scaffolds_are_rejected_with_the_reason(name: str, corpus: list[str]) -> None:
    scaffold, reason = REFUSED[name]
    with pytest.raises(ValueError, match=reason) as caught:
        draw.source(carbon(corpus), scaffold, settings=QUICK)
    assert "\n" not in str(caught.value)


LEADS = {
    "aspirin": "C(=O)[OX2H1]",
    "celecoxib": "[CX4](F)(F)F",
    "fluoxetine": "[NX3;H1][CH3]",
    "omeprazole": "[OX2][CH3]",
    "oseltamivir": "[CX3](=O)[CH3]",
    "sitagliptin": "c1cc(F)c(F)cc1F",
    "tamoxifen": "[NX3]([CH3])[CH3]",
}
"""What may change of the drugs, as SMARTS."""


def test_free_positions_of_real_drugs(corpus: list[str]) -> None:
    leads = [read_lead(REAL[name][1], change=smarts) for name, smarts in LEADS.items()]
    table = drawn(corpus, leads)
    for text, rows in table.groupby("scaffold"):
        assert rows["constraint"].isin([OK, "no molecule"]).mean() >= 0.75, (text, rows["raw"])
    assert (table["constraint"] == OK).mean() > 0.5


@pytest.mark.slow
@pytest.mark.skipif(not DRUGS.is_file(), reason="needs MOLGEN_DATA_DIR with drug_fragments.csv")
def test_the_fragments_of_ten_drugs_yield_molecules(corpus: list[str]) -> None:
    with DRUGS.open(encoding="utf-8") as file:
        drugs = list(csv.DictReader(file))
    constraints = [
        read(row[column], "superstructure" if column.startswith("superstructure") else None)
        for row in drugs
        for column in list(row)[2:]
    ]
    assert len(constraints) == 40
    table = drawn([*corpus, *(row["smiles"] for row in drugs)], constraints, rows=8)
    kept = (table["constraint"] == OK).groupby(np.arange(len(table)) % 40).sum()
    assert (kept >= 1).all(), [constraints[i].source for i in np.flatnonzero(kept == 0)]
    assert kept.sum() > 0.6 * len(table)


@pytest.mark.parametrize("name", REAL)
def test_a_drug_keeps_its_own_scaffold(name: str) -> None:
    scaffold, drug = REAL[name]
    assert {Verifier(read(spelled(scaffold, way)))(drug) for way in SPELLINGS} == {OK}

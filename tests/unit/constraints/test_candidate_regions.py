"""Regions of a lead: expected similarity, region scores, and rows with masked regions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from asking import request
from molgen.constraints import masked_regions
from molgen.constraints.candidate_regions import LEAST_REGIONS, Region, candidate_regions
from molgen.constraints.masked_regions import MaskedRegion
from molgen.constraints.scaffolds import Task
from molgen.constraints.template import cut
from molgen.discovery.leads.optimize import optimize
from molgen.discovery.leads.region_scores import region_scores
from molgen.guidance.spec import ClassifierBased, ClassifierFree
from molgen.model import Model
from molgen.molecules.environments import environments, fingerprint, tanimoto
from molgen.sampling.recipe import resolve
from molgen.targets import read_targets
from molgen.utils import randomness
from molgen.utils.threads import workers


def mol(smiles: str) -> Chem.Mol:
    return Chem.MolFromSmiles(smiles)


def test_similarity_is_rdkits() -> None:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    pairs = [("CCOc1ccccc1", "CCNc1ccccc1"), ("C[C@H](N)O", "C[C@@H](N)O"), ("C", "N")]
    for a, b in pairs:
        expected = DataStructs.TanimotoSimilarity(*map(generator.GetFingerprint, (mol(a), mol(b))))
        assert tanimoto(fingerprint(mol(a)), fingerprint(mol(b))) == pytest.approx(expected)
    assert set(environments(mol("CCOc1ccccc1"))) == fingerprint(mol("CCOc1ccccc1"))


@pytest.mark.parametrize(
    ("lead", "part", "other"),
    [("Oc1ccccc1CC", [0], "Nc1ccccc1CC"), ("CCC1CC1", [0, 1], "OCC1CC1"), ("CCO", [2], "CCN")],
)
def test_what_stays_keeps_its_bits(lead: str, part: list[int], other: str) -> None:
    surroundings, free = environments(mol(lead)), frozenset(part)
    rest = frozenset(range(mol(lead).GetNumAtoms())) - free
    kept = {bit for bit, places in surroundings.items() if any(place <= rest for place in places)}
    assert kept, "the test needs kept bits"
    assert kept <= fingerprint(mol(other))
    u = randomness.uniform(0, 3, np.arange(200)[:, None], np.arange(mol(lead).GetNumAtoms() + 2))
    found = {p.atoms: p for p in candidate_regions(mol(lead), free, fingerprint(mol(lead)), 0.0, u)}
    common = len(kept)
    expected = common / (2 * len(surroundings) - common)
    assert found[free].similarity() == pytest.approx(expected)
    larger = common / (2.5 * len(surroundings) - common)
    assert found[free].similarity(1.5) == pytest.approx(larger)
    assert found[free].similarity(0.1) <= 1
    assert found[free].similarity() <= tanimoto(fingerprint(mol(lead)), fingerprint(mol(other)))


def test_regions_are_connected_and_free_and_reach_the_similarity() -> None:
    whole, bits = mol("CC(=O)NCCc1ccccc1Cl"), fingerprint(mol("CC(=O)NCCc1ccccc1Cl"))
    u = randomness.uniform(0, 3, np.arange(90)[:, None], np.arange(whole.GetNumAtoms() + 2))
    ring = frozenset(range(6, 12))
    for free, least in ((frozenset(range(13)), 3), (frozenset(range(7)), 3), (ring, 1)):
        found = candidate_regions(whole, free, bits, 0.2, u)
        assert len({part.atoms for part in found}) == len(found) >= least
        for part in found:
            assert part.atoms <= free
            assert len(part.atoms) < 13
            assert part.atoms & ring in (frozenset(), ring & free), "aromatic rings go whole"
            assert "." not in Chem.MolFragmentToSmiles(whole, sorted(part.atoms))
    every = candidate_regions(whole, frozenset(range(13)), bits, 0.0, u)
    similar = candidate_regions(whole, frozenset(range(13)), bits, 0.5, u)
    assert min(p.similarity() for p in similar) >= 0.5 > min(p.similarity() for p in every)
    assert any(ring <= part.atoms for part in every)
    best = candidate_regions(whole, frozenset(range(13)), bits, 2.0, u)
    assert len(best) == LEAST_REGIONS
    assert (
        min(p.similarity() for p in best) >= sorted(p.similarity() for p in every)[-LEAST_REGIONS]
    )


@pytest.mark.parametrize("smiles", ["c1ccccc1", "c1ccc2[nH]ccc2c1", "O=[N+]([O-])O"])
def test_a_molecule_of_one_ring_has_regions(smiles: str) -> None:
    whole = mol(smiles)
    count = whole.GetNumAtoms()
    u = randomness.uniform(0, 3, np.arange(90)[:, None], np.arange(count + 2))
    found = candidate_regions(whole, frozenset(range(count)), fingerprint(whole), 0.0, u)
    assert len(found) > 2
    assert all(0 < len(part.atoms) < count for part in found)


def masked_region(model: Model, smiles: str, atoms: list[int]) -> MaskedRegion:
    whole = mol(smiles)
    template = cut(whole, frozenset(atoms), model.tokenizer, Task.LEAD)
    text = Chem.MolToSmiles(whole)
    return MaskedRegion(Region(frozenset(atoms)), template, model.tokenizer.encode(text))


def scored(model: Model, targets: dict[str, str], several: list[MaskedRegion], **how: Any) -> Any:
    settings, wanted = model.settings(dtype="fp32", **how), read_targets(targets)
    recipe = resolve(model, settings, wanted)
    prior_draw = recipe.draw_prior(512, 0)
    with workers() as pool:
        score = region_scores(recipe, prior_draw, pool)
        return score, score(several)


def test_region_scores_by_hand(tiny: Model) -> None:
    items = [
        masked_region(tiny, "CCO", [2]),
        masked_region(tiny, "CCC=O", [1, 3]),
        masked_region(tiny, "CCO", [0, 1]),
    ]
    by_network, found = scored(tiny, {"qed": "0.7", "logp": "1"}, items)
    assert (by_network.forwards, by_network.classifier_forwards) == (2, 0)
    condition = torch.tensor([[0.7, torch.nan, 1.0]])
    for item, value in zip(items, found, strict=True):
        tokens, at = torch.tensor([item.tokens]), torch.from_numpy(item.masked)
        masked = tokens.masked_fill(at, tiny.denoiser.mask_id)
        with torch.no_grad():
            log_p = [
                tiny.denoiser.logits(masked, y)[0].log_softmax(-1)[at, tokens[0][at]]
                for y in (condition, torch.full_like(condition, torch.nan))
            ]
        assert value == pytest.approx(-float((log_p[0] - log_p[1]).sum()), abs=1e-4)
    assert len(set(found.round(6))) == 3


def test_region_scores_attribute_the_target(qm9: Model) -> None:
    smiles = "CCCOC1CC1"
    chain, ring = masked_region(qm9, smiles, [0, 1, 2]), masked_region(qm9, smiles, [4, 5, 6])
    alone = replace(qm9, folder=None)  # without its noisy classifier
    score, no_rings = scored(alone, {"ring_count": "0"}, [chain, ring])
    assert (score.forwards, score.classifier_forwards) == (2, 0)
    assert no_rings[1] > no_rings[0] + 1
    _, rings = scored(alone, {"ring_count": "2"}, [chain, ring])
    assert rings[0] > rings[1]
    for guidance in (ClassifierFree(), ClassifierBased()):
        score, by_classifier = scored(qm9, {"ring_count": "0"}, [chain, ring], guidance=guidance)
        assert (score.forwards, score.classifier_forwards) == (0, 1)
        assert by_classifier[1] > by_classifier[0] + 1
    score, alike = scored(qm9, {}, [chain, ring])
    assert score.forwards == 0
    assert alike.tolist() == [0, 0]


def test_a_noisy_classifier_scores_the_lengths_of_a_region(qm9: Model) -> None:
    tail = masked_region(qm9, "CCCOC1CC1", [0, 1, 2])
    sizes = [(1,), (3,), (5,)]
    several = [replace(tail, sizes=each) for each in sizes]
    assert [item.length for item in several] == [tail.length - 2, tail.length, tail.length + 2]
    assert several[1].row(-1) == tail.row(-1)
    _, found = scored(qm9, {"mw": "..90"}, several)
    assert found[0] > found[1] > found[2]


def test_rows_contain_the_tokens_outside_the_region(tiny: Model) -> None:
    settings = tiny.settings()
    prior_draw = resolve(tiny, settings, {}).draw_prior(512, 0)
    items = [masked_region(tiny, "CCC=O", [1, 3]), masked_region(tiny, "CCCCCCCO", [5, 6, 7])] * 30
    u = randomness.uniform(0, 1, np.arange(60)[:, None], np.arange(13))
    ready = masked_regions.rows(tiny, prior_draw, items, 7 + np.arange(60), u)
    assert ready.given.fixed is not None
    assert ready.index.tolist() == [*range(7, 67)]
    masks = ready.given.tokens == tiny.denoiser.mask_id
    real = ready.given.tokens != tiny.denoiser.pad_id
    assert (ready.given.fixed == (real & ~masks)).all()
    assert (real.sum(1) == ready.lengths).all()
    for i, item in enumerate(items):
        stays = np.array(item.tokens)[~item.masked].tolist()
        assert ready.given.tokens[i][ready.given.fixed[i]].tolist() == stays
    change = ready.lengths[1::2] - 8
    assert {0} < set(change.tolist()), "lengths are drawn"
    assert abs(change).max() <= masked_regions.LEAST_CHANGE
    again = masked_regions.rows(tiny, prior_draw, items[:2], np.arange(2), u[:2])
    assert again.lengths.tolist() == ready.lengths[:2].tolist()


def test_one_token_becomes_another(tiny: Model) -> None:
    prior_draw = resolve(tiny, tiny.settings(), {}).draw_prior(512, 0)
    items = [masked_region(tiny, "CCO", [1]), masked_region(tiny, "CC=O", [1, 2])] * 20
    u = randomness.uniform(0, 1, np.arange(40)[:, None], np.arange(13))
    ready = masked_regions.rows(tiny, prior_draw, items, np.arange(40), u)
    own = tiny.tokenizer.encode("C")[0]
    for i, item in enumerate(items):
        same = len(item.region.atoms) == 1 and ready.lengths[i] == 3
        assert ready.rules.barred[i, 1, own] == same
        assert ready.rules.barred[i].sum() == same
    assert (ready.lengths[::2] == 3).any()
    settings = tiny.settings(steps=12, gamma=2.0)
    found = optimize(
        tiny,
        ["CO", "NCO"],
        request({"qed": "max"}, seed=1, similarity=0.3, attempts=16, settings=settings),
    )
    changed = found.table
    kept = changed[(changed["outcome"] == "unchanged") & (changed["part"].str.len() == 1)]
    assert not len(kept[kept["raw"].str.len() == kept["lead"].str.len()])

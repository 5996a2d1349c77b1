"""Templates are the spellings of whole molecules with open spans in place of free atoms."""

from __future__ import annotations

import csv
import gzip
from itertools import islice
from typing import Any

import numpy as np
import pytest
from rdkit import Chem

from drugs import REAL, SPELLINGS, spelled
from molgen.constraints.completion import completions
from molgen.constraints.scaffolds import Constraint, Task, read, read_lead
from molgen.constraints.template import Span, Template, cut, templates
from molgen.constraints.verify import OK, Verifier
from molgen.data.tokenizer import Tokenizer
from molgen.molecules.smiles import split
from paths import DATA

ZINC, DRUGS = DATA / "zinc250k.csv.gz", DATA / "drug_fragments.csv"
LONGEST = 66  # tokens, as in ZINC250k
SMALL = Tokenizer.from_corpus(
    ["C#CC1CC2C3C4C5CC1C2C3C45", "O=c1[nH]c-2ccc(F)c2o1", "N/C=C\\C", "C[C@H](N)[C@@H]([C@])[C@@]"]
)


@pytest.fixture(scope="module")
def zinc() -> Tokenizer:
    """A tokenizer like that of a drug-like model."""
    if not ZINC.is_file():
        pytest.skip("needs MOLGEN_DATA_DIR with zinc250k.csv.gz")
    with gzip.open(ZINC, "rt", encoding="utf-8") as file:
        smiles = [row["smiles"] for row in islice(csv.DictReader(file), 3000)]
    return Tokenizer.from_corpus(smiles)


def texts(constraint: Constraint, tokenizer: Tokenizer = SMALL) -> set[str]:
    return {template.text for template in templates(constraint, tokenizer, LONGEST)}


HOLDS = {
    "*c1ccco1": {"{}c1ccco1", "c1coc({})c1", "{}({}c1ccco1){}"},
    "*C(=O)N*": {"{}C(=O)N{}", "{}NC(=O){}", "O=C({})N{}", "O=C(N{}){}"},
    "*C1CC1.*C#N": {"N#C{}C1CC1", "N#C{}(C2CC2){}", "{}({}C#N){}C1CC1"},
    "*=C1CC1": {"{}=C1CC1", "{}(=C1CC1){}"},
    "*/C=C\\C": {"{}/C=C\\C", "C/C=C\\{}"},
    "C[C@H](*)N": {"{}[C@@H](C)N", "C[C@@H](N){}"},
}


@pytest.mark.parametrize("scaffold", HOLDS)
def test_points_become_spans_where_canonical_text_has_them(scaffold: str) -> None:
    found = texts(read(scaffold))
    assert found >= HOLDS[scaffold], found
    assert not any("*" in text for text in found)
    assert all(("@" in text) == ("@" in scaffold) for text in found), "stereo is kept"


def test_three_fragments_meet_in_one_text() -> None:
    found = texts(read("CO*.*C#N.*F"))
    assert len(found) >= 5
    assert all("CO" in text or "OC" in text for text in found)
    assert all(text.count("{}") >= 2 and "F" in text and "N" in text for text in found)


def test_a_core_grows_at_its_hydrogens() -> None:
    found = texts(read("c1ccoc1", "superstructure"))
    assert {"{}c1ccoc1", "{}c1ccco1", "{}c1cocc1{}"} <= found
    assert max(text.count("{}") for text in found) >= 3


LEADS: list[tuple[str, dict[str, Any], str, list[tuple[int, int]]]] = [
    ("CC(=O)Nc1ccc(O)cc1", {"change": [8]}, "CC(=O)Nc1ccc({})cc1", [(1, 1)]),
    ("CC(=O)Nc1ccc(O)cc1", {"change": [0]}, "{}C(=O)Nc1ccc(O)cc1", [(1, 1)]),
    # the double bond is open; a span without an atom may become empty
    ("CC(=O)Nc1ccc(O)cc1", {"change": [1]}, "C{}({}O)Nc1ccc(O)cc1", [(1, 1), (0, 1)]),
    # a ring closure to an atom that changes is open at both ends
    ("CC(=O)Nc1ccc(O)cc1", {"change": [10]}, "CC(=O)Nc{}ccc(O)c{}", [(0, 1), (1, 2)]),
    ("CC(=O)Nc1ccc(O)cc1", {"change": "c"}, "CC(=O)N{}(O){}", [(1, 5), (1, 3)]),
    # a branch without kept atoms is open with its parentheses
    ("CC(=O)Nc1ccc(O)cc1", {"keep": "[OX1]=C[NX3]"}, "{}C(=O)N{}", [(1, 1), (1, 11)]),
    ("NCC(O)CF", {"keep": [3, 5]}, "{}(O){}F", [(1, 3), (1, 1)]),
]


@pytest.mark.parametrize(("lead", "chosen", "text", "sizes"), LEADS)
def test_free_atoms_of_a_lead_are_open(
    lead: str,
    chosen: dict[str, Any],
    text: str,
    sizes: list[tuple[int, int]],
) -> None:
    (template,) = templates(read_lead(lead, **chosen), SMALL, LONGEST)
    assert template.text == text
    assert [(span.least, span.usual) for span in template.spans] == sizes
    assert template.usual == len(split(lead))
    assert not any(span.after_kept or span.before_kept for span in template.spans)


CONSTRAINTS = [
    *(read(scaffold) for scaffold in HOLDS),
    read("c1ccoc1", "superstructure"),
    read("CO*.*C#N.*F"),
    read("*[C@H](C)[C@@H](*)N"),
    *(read_lead(lead, **chosen) for lead, chosen, *_ in LEADS),
]


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda constraint: constraint.source)
def test_a_template_is_a_molecule_with_open_spans(constraint: Constraint) -> None:
    verify = Verifier(constraint)
    count = 0
    for mol, free in completions(constraint, seed=1, count=40):
        text = Chem.MolToSmiles(mol)
        assert verify(text) == OK
        template = cut(mol, free, SMALL, constraint.task)
        tokens, owner = template.row([span.usual for span in template.spans], SMALL.mask_id)
        assert len(tokens) == len(split(text)) == template.usual
        for token, there, span in zip(tokens, split(text), owner, strict=True):
            assert (token == SMALL.mask_id) == (span >= 0)
            assert span >= 0 or SMALL.vocab[token] == there
        atoms = sum(atom.GetIdx() not in free for atom in mol.GetAtoms())
        assert sum(token[0] not in "()=#-/\\0123456789" for token in split_fixed(template)) == atoms
        count += 1
    assert count >= (1 if constraint.task is Task.LEAD else 15)


def split_fixed(template: Template) -> list[str]:
    return [token for piece in template.text.split("{}") for token in split(piece)]


def test_the_context_of_spans() -> None:
    found = {item.text: item for item in templates(read("*C1CC1*"), SMALL, LONGEST)}
    one, two = SMALL.vocab.index("1"), SMALL.vocab.index("2")
    front, back = found["{}C1CC1{}"].spans
    assert (front.after_kept, front.before_kept, front.labels) == (False, True, ())
    assert (back.after_kept, back.before_kept, back.labels) == (True, False, ())
    core = {item.text: item for item in templates(read("*C1CCC(*)C1"), SMALL, LONGEST)}
    assert core["{}C1CCC({})C1"].spans[1].labels == (one,)
    crossed = [item for item in templates(read("*C1CC1"), SMALL, LONGEST) if "(C2CC2)" in item.text]
    assert crossed
    for item in crossed:
        assert all(span.least == span.usual for span in item.spans[:: len(item.spans) - 1])
    assert two not in core["{}C1CCC({})C1"].spans[1].labels


def test_spans_are_stretched_and_shrunk() -> None:
    spans = (Span(1, 2, True, False, ()), Span(2, 2, False, False, ()), Span(0, 3, False, True, ()))
    template = Template(((1,), (2, 3), (), (4,)), spans, "")
    assert (template.shortest, template.usual) == (7, 11)
    rng = np.random.default_rng(0)
    seen = set()
    for length in [7, 8, 11, 20] * 50:
        sizes = template.stretch(length, rng.random(30))
        assert sum(sizes) + 4 == length
        assert all(size >= span.least for size, span in zip(sizes, spans, strict=True))
        seen.add(tuple(sizes))
    assert {(1, 2, 0), (2, 2, 3)} <= seen
    assert len(seen) > 20
    tokens, owner = template.row([2, 0, 1], 9)
    assert tokens == [1, 9, 9, 2, 3, 9, 4]
    assert owner == [-1, 0, 0, -1, -1, 2, -1]


def test_the_same_seed_gives_the_same_templates() -> None:
    constraint = read("*C(=O)N*")
    whole = templates(constraint, SMALL, LONGEST, seed=3)
    few = templates(constraint, SMALL, LONGEST, seed=3, count=20)
    assert few == whole[: len(few)]
    assert whole != templates(constraint, SMALL, LONGEST, seed=4)


@pytest.mark.parametrize(
    ("scaffold", "task", "longest", "reason"),
    [
        ("*c1cc(I)sc1Br", None, 66, r"elements Br, I, S, expected elements .*: C, F, N, O$"),
        ("*[N+](C)(C)C", None, 66, r"has token '\[N\+\]', expected tokens of the model's"),
        ("*[13CH3]", None, 66, r"has token '\[13CH3\]'"),
        ("*C1CCCCC1", None, 8, "has at least 9 tokens with its open spans, expected at most 8"),
        ("C1CCCCC1", "superstructure", 8, "has at least 9 tokens"),
        ("FC(F)(F)F", "superstructure", 66, "has no atom to grow at"),
    ],
)
def test_constraints_outside_the_vocabulary_are_rejected_in_one_line(
    scaffold: str, task: str | None, longest: int, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        templates(read(scaffold, task), SMALL, longest)
    assert "\n" not in str(caught.value)


def test_representations_other_than_smiles_are_rejected() -> None:
    with pytest.raises(ValueError, match="representation of the model is selfies"):
        templates(read("*C"), Tokenizer(["[C]"], "selfies"), LONGEST)


@pytest.mark.parametrize("name", REAL)
def test_scaffolds_of_real_drugs_in_every_spelling(name: str) -> None:
    tokenizer = Tokenizer.from_corpus(Chem.CanonSmiles(drug) for _, drug in REAL.values())
    scaffold, _ = REAL[name]
    constraint = read(scaffold)
    found = templates(constraint, tokenizer, LONGEST, count=24)
    assert len(found) >= 5
    for spelling in SPELLINGS:
        few = templates(read(spelled(scaffold, spelling)), tokenizer, LONGEST, count=4)
        assert few == found[: len(few)]
    for template in found:
        assert len(template.spans) >= scaffold.count("*") - (constraint.task is Task.LINKER)
        tokens, _ = template.row([span.usual for span in template.spans], tokenizer.mask_id)
        assert "*" not in tokenizer.decode(tokens)


@pytest.mark.skipif(not DRUGS.is_file(), reason="needs MOLGEN_DATA_DIR with drug_fragments.csv")
def test_fragments_of_ten_drugs(zinc: Tokenizer) -> None:
    count = 0
    with DRUGS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for column in list(row)[2:]:
                task = "superstructure" if column.startswith("superstructure") else None
                found = templates(read(row[column], task), zinc, LONGEST, count=24)
                assert len(found) >= 4, (row["name"], column)
                count += 1
    assert count == 40

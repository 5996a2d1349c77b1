"""Scaffold options are read as constraints, or rejected with one line."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from rdkit import Chem

from molgen.api.scaffolds import constraints_of
from molgen.cli import scaffold_options
from molgen.constraints.scaffolds import Constraint, Task

PARACETAMOL = "CC(=O)Nc1ccc(O)cc1"


def read(*words: str | Path) -> list[Constraint] | None:
    parser = argparse.ArgumentParser()
    scaffold_options.add_arguments(parser)
    given = scaffold_options.given(parser.parse_args([str(word) for word in words]))
    return list(constraints_of(**given)[0]) or None


def constraints(*words: str | Path) -> list[tuple[str, str]]:
    found = read(*words)
    assert found is not None
    return [(constraint.source, str(constraint.task)) for constraint in found]


def test_there_is_no_constraint_by_default() -> None:
    assert read() is None


def test_scaffolds_are_read_in_order() -> None:
    words = ["--scaffold", "*c1ccco1", "--scaffold", "[*:1]C1CC1.[1*]C#N", "--scaffold", "[*]CC*"]
    expected = [("*c1ccco1", "motif"), ("[*:1]C1CC1.[1*]C#N", "linker"), ("[*]CC*", "decoration")]
    assert constraints(*words) == expected


FILES = {
    "lines.smi": "*c1ccco1 furan\n\n[*:1]CC[*:2]\tethane\n",
    "lines.txt": "scaffold\n*c1ccco1\n[*:1]CC[*:2]\n",
    "named.smi": "SMILES name\n*c1ccco1 furan\n[*:1]CC[*:2] ethane\n",
    "table.csv": "id,Scaffold,smiles\n1,*c1ccco1,CC\n2,[*:1]CC[*:2],CC\n",
    "other.csv": 'name;smiles\nfuran;*c1ccco1\n"a; b";[*:1]CC[*:2]\n',
    "table.tsv": "scaffold\tname\n*c1ccco1\tfuran\n[*:1]CC[*:2]\tethane\n",
    "labels.smi": "*c1ccco1 |$Furan;;;;;$| furan\n[*:1]CC[*:2] |$_R3;;;_R4$|\n",
    "labels.csv": "id,smiles\n1,*c1ccco1\n2,[*:1]CC[*:2] |$_R3;;;_R4$|\n",
    "win.csv": "\ufeffscaffold\r\n*c1ccco1\r\n[*:1]CC[*:2]\r\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_scaffolds(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(FILES[name], encoding="utf-8", newline="")
    expected = [("*c1ccco1", "motif"), ("[*:1]CC[*:2]", "decoration")]
    found = read("--scaffold-file", path) or []
    assert [(one.source.split()[0], str(one.task)) for one in found] == expected
    assert found[1].points == (("R3", "R4") if "labels" in name else ("R1", "R2"))
    assert constraints("--scaffold-file", path, "--scaffold", "*C")[0] == ("*C", "motif")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.smi", "*CC\n\nc1ccoc1 furan\n", "a.smi, line 3: scaffold 'c1ccoc1' has no attachment"),
        ("a.csv", "scaffold\n*CC\nC1CC\n", "a.csv, line 3: scaffold is 'C1CC', which is not read"),
        ("a.csv", "scaffold,x\n*CC,1\n,2\n", "a.csv, line 3: scaffold is empty"),
        ("a.csv", "core,x\n*CC,1\n", "a.csv: no column 'scaffold', 'smiles' or the like"),
        ("a.csv", "scaffold\n", "a.csv: a header line and no rows"),
        ("a.txt", "scaffold\n", "a.txt: a header line and no rows"),
        ("a.smi", "", "a.smi: the file is empty"),
        ("a.docx", "x", "a.docx: ends in '.docx', expected one of"),
    ],
)
def test_a_fault_in_a_file_is_named_with_its_line(
    name: str, content: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=reason) as caught:
        read("--scaffold-file", path)
    assert "\n" not in str(caught.value)


def test_superstructures() -> None:
    words = ["--superstructure", "--scaffold", "c1ccoc1"]
    assert constraints(*words) == [("c1ccoc1", "superstructure")]
    both = [("c1ccoc1", "superstructure"), ("*C", "motif")]
    assert constraints(*words, "--scaffold", "*C") == both, "attachment points keep their meaning"


@pytest.mark.parametrize(
    ("words", "free"),
    [
        (["--change", "0"], [0]),
        (["--change", "0, 4-6,8"], [0, 4, 5, 6, 8]),
        (["--change", "[OX2H]"], [8]),
        (["--keep", "c"], [0, 1, 2, 3, 8]),
        (["--keep", "4-7,9,10"], [0, 1, 2, 3, 8]),
    ],
)
def test_free_positions_of_leads(words: list[str], free: list[int]) -> None:
    found = read("--scaffold", PARACETAMOL, *words)
    assert found is not None
    (lead,) = found
    assert lead.task is Task.LEAD
    atoms = set(range(Chem.MolFromSmiles(PARACETAMOL).GetNumAtoms()))
    assert atoms - lead.kept == set(free)


def test_smarts_select_the_free_atoms_of_every_lead() -> None:
    found = read("--scaffold", PARACETAMOL, "--scaffold", "OCC1CC1", "--change", "[OX2H]")
    assert found is not None
    assert [len(lead.kept) for lead in found] == [10, 4]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--superstructure"], "superstructure is given without scaffold or scaffold-file"),
        (["--keep", "c"], "keep is given without scaffold"),
        (["--scaffold", "CCO", "--keep", "0", "--change", "1"], "keep and change are given"),
        (["--scaffold", "CCO", "--keep", "0", "--superstructure"], "keep and superstructure"),
        (["--scaffold", "*CC", "--superstructure"], "every scaffold has attachment points"),
        (["--scaffold", "*CC", "--keep", "C"], "a whole molecule without attachment points"),
        (["--scaffold", "CCO", "--change", ""], "change is '', which matches nothing"),
        (["--scaffold", "CCO", "--change", "2-1"], "atoms are '2-1', expected numbers such as"),
        (["--scaffold", "CCO", "--change", "0-99999999"], "atoms are '0-99999999', expected"),
        (
            ["--scaffold", "CCO", "--change", "7"],
            r"change has atom 7, expected indices in 0\.\.2",
        ),
        (["--scaffold", "CCO", "--change", "1+2"], "which is not readable SMARTS"),
        (["--scaffold", ""], "scaffold is empty, expected SMILES"),
        (["--scaffold", "c1ccoc1"], "has no attachment point, expected .* superstructure"),
        (["--scaffold", __file__], "for a file use scaffold-file"),
    ],
)
def test_conflicting_options_are_rejected_in_one_line(words: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        read(*words)
    assert "\n" not in str(caught.value)

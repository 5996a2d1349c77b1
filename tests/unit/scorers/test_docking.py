"""Docking: names, ligands, scores that follow from the seed, and poses that RDKit reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from molgen.scorers.docking import ligand, poses, receptor, vina
from molgen.scorers.docking.ligand import NotPrepared
from molgen.scorers.docking.vina import Docking
from molgen.utils.imports import installed
from property_models import alongside, compute, get, scoring
from property_models.external import costs
from property_models.registry import files

MISSING = [name for name in vina.PACKAGES if not installed(name)]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
needs_dockstring = pytest.mark.skipif(not receptor.targets(), reason="dockstring is not installed")

ATOM = "ATOM  {:5d}  {:<3} ALA A{:4d}    {:8.3f}{:8.3f}{:8.3f}  1.00  0.00    {:6.3f} {}"
TEN = [
    "CCO", "c1ccccc1", "CC(=O)Nc1ccc(O)cc1", "CC(N)Cc1ccccc1", "O=C(O)c1ccccc1O", "C1CCNCC1",
    "Cc1ccncc1", "CCOC(=O)C", "FC(F)(F)c1ccccc1", "CC(C)(C)O",
]  # fmt: skip
UNFIT = {
    "[Na+].[Cl-]": "2 fragments, expected one",
    "OB(O)c1ccccc1": "MMFF94 has no parameters for B C H O",
    "C": "1 heavy atoms, expected 2 to 100",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A ring of atoms around the origin as a receptor, by the name of its property."""
    kinds = ["C", "OA", "N", "A", "HD", "C"]
    lines = []
    for i in range(24):
        angle, height = i * np.pi / 4, 4.0 * (i // 8 - 1)
        x, y, kind = 5 * np.cos(angle), 5 * np.sin(angle), kinds[i % len(kinds)]
        lines.append(ATOM.format(i + 1, kind[0], i + 1, x, y, height, 0.1 * (i % 3 - 1), kind))
    (tmp_path / "ring.pdbqt").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    return "dock:ring.pdbqt,box=0,0,0,12,12,12,exhaustiveness=1,evaluations=2000"


def test_a_small_ligand_has_a_score_a_pose_and_an_efficiency(place: str) -> None:
    names = alongside([place])
    assert names == [place, f"efficiency:{place}"]
    smiles = ["CC(O)N", *UNFIT]
    with scoring(timeout=60, workers=1, folder="out.poses") as run:
        found = compute(names, smiles)
        again = compute(names[1:], smiles)
    score = found[place][0]
    assert -10 < score < -0.5
    np.testing.assert_allclose(found[names[1]], [score / 4, *[np.nan] * 3])
    np.testing.assert_array_equal(again[names[1]], found[names[1]])
    failures = run.failures[place]
    assert (failures.scored, failures.failed) == (4, 3)  # the efficiency is not scored again
    assert failures.messages == {text: f"NotPrepared: {why}" for text, why in UNFIT.items()}
    (path,) = Path("out.poses").iterdir()
    assert path.resolve() == poses.place("out.poses", "CC(N)O").resolve()
    (pose,) = Chem.SDMolSupplier(str(path))
    assert pose.GetProp("_Name") == "CC(N)O"
    assert float(pose.GetProp("score")) == pytest.approx(score, abs=5e-4)
    assert float(pose.GetProp("efficiency")) == pytest.approx(score / 4, abs=5e-5)
    assert pose.GetProp("isomers") == "2 of 2 docked"
    state = Chem.MolFromSmiles(pose.GetProp("state"))
    assert "[NH3+]" in pose.GetProp("state")
    assert [kind for _, kind in Chem.FindMolChiralCenters(state)] in (["R"], ["S"])
    docked = Chem.RemoveHs(pose)
    assert Chem.MolToSmiles(docked, isomericSmiles=False) == "CC([NH3+])O"
    assert np.abs(docked.GetConformer().GetPositions()).max() < 6.5  # within the box


def test_order_and_company_do_not_matter(place: str) -> None:
    experiment, mols = Docking.read(place), [Chem.MolFromSmiles(text) for text in TEN[:2]]
    first = [experiment(mol) for mol in mols]
    assert [experiment(mol) for mol in mols[::-1]] == first[::-1]
    assert Docking.read(f"{place},seed=2")(mols[0]) != first[0]


def test_states_are_protonated_and_enumerated() -> None:
    found = ligand.states(Chem.MolFromSmiles("OC(F)C(Cl)N"), 7.4, 8, 1)
    assert (len(found.smiles), found.isomers) == (4, 4)
    assert all("[NH3+]" in text for text in found.smiles)
    assert ligand.states(Chem.MolFromSmiles("CC(=O)O"), 2.0, 1, 1).smiles == ("CC(=O)O",)
    many = Chem.MolFromSmiles("C(F)(Cl)".join("C" * 12))
    some = ligand.states(many, 7.4, 3, 1)
    assert (len(some.smiles), some == ligand.states(many, 7.4, 3, 1)) == (3, True)
    assert some.isomers > 1000
    with pytest.raises(NotPrepared, match="no conformer"):
        ligand.prepare("[C@@]12(F)C[C@]1(F)C2", 1)


def test_the_cost_is_measured_and_compared_with_the_time_limit(place: str) -> None:
    with scoring(timeout=60, workers=3):
        (line,) = costs([place, "qed"])
        assert "12 x 12 x 12 angstrom, exhaustiveness 1" in line
        assert "3 at a time" in line
        slow = place.replace("exhaustiveness=1", "exhaustiveness=1000")
        with pytest.raises(ValueError, match="score-timeout is 60 s, expected"):
            costs([slow])


def test_files_are_those_that_the_value_depends_on(place: str) -> None:
    assert files(place) == files(f"efficiency:{place}") == [Path("ring.pdbqt").resolve()]
    assert get(place).unit == "kcal/mol"
    assert get(f"efficiency:{place}").direction == "min"


def test_a_box_is_read_from_a_file_of_vina(place: str) -> None:
    lines = [f"{key} = {i - 2.5}" for i, key in enumerate(("center_x", "center_y", "center_z"))]
    sides = [f"size_{axis}=1{i}" for i, axis in enumerate("xyz")]
    Path("box.txt").write_text("\n".join([*lines, *sides]))
    found = Docking.read("dock:ring.pdbqt,box=box.txt").receptor
    assert (found.centre, found.size) == ((-2.5, -1.5, -0.5), (10.0, 11.0, 12.0))
    Path("box.txt").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="size_x is missing"):
        get("dock:ring.pdbqt,box=box.txt")


BOX = "box=0,0,0,9,9,9"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dock:none.pdbqt,box=0,0,0,9,9,9", "there is no file 'none.pdbqt'"),
        ("dock:ring.pdbqt", "box is missing"),
        ("dock:ring.pdbqt,box=1,2,3", "box is '1,2,3', expected 6 numbers"),
        ("dock:ring.pdbqt,box=90,0,0,9,9,9", "none of the 24 atoms"),
        ("dock:ring.pdbqt,box=0,0,0,0,9,9", r"size is \(0.0, 9.0, 9.0\), expected"),
        ("dock:ring.pdbqt,box=0,0,0,9,9,nan", "box is"),
        (f"dock:ring.pdbqt,{BOX},ph=15", "ph is 15"),
        (f"dock:ring.pdbqt,{BOX},seed=0", "seed is '0'"),
        (f"dock:ring.pdbqt,{BOX},exhaustiveness=1.5", "exhaustiveness is '1.5'"),
        (f"dock:ring.pdbqt,{BOX},size=1,2", "size is '1,2', expected 1 or 3 numbers"),
        ("dock:DRD2,depth=3", "parameter is 'depth=3'"),
        ("dock:text.pdbqt,box=0,0,0,9,9,9", "no atom is read"),
    ],
)
def test_names_that_are_none(place: str, name: str, message: str) -> None:
    Path("text.pdbqt").write_text("hello\n")
    with pytest.raises(ValueError, match=message) as raised:
        get(name)
    assert str(raised.value).startswith(f"property {name!r}")
    assert "\n" not in str(raised.value)


@needs_dockstring
def test_receptors_of_dockstring() -> None:
    assert len(receptor.targets()) == 58
    for name in receptor.targets():
        receptor.read(name).check()
    found = Docking.read("dock:DRD2").receptor
    assert (found.centre, found.size) == ((9.25, 6.167, -7.0), (30.0, 30.0, 32.0))
    assert Docking.read("dock:DRD2,size=20").receptor.size == (20.0, 20.0, 20.0)
    assert Docking.read("dock:DRD2,box=1,2,3,20,21,22").receptor.centre == (1.0, 2.0, 3.0)
    with pytest.raises(ValueError, match=r"'drd2', expected .* such as DRD2"):
        get("dock:drd2")


@pytest.mark.slow
@needs_dockstring
def test_ten_ligands_thrice_in_one_and_in_four_processes(tmp_path: Path) -> None:
    name = "dock:DRD2,size=14,exhaustiveness=1,evaluations=20000"
    tables: list[np.ndarray] = []
    for workers in (1, 4, 4):
        with scoring(timeout=300, workers=workers, folder=tmp_path / str(len(tables))) as run:
            tables.append(compute([name], [*TEN, *UNFIT])[name])
        assert run.failures[name].messages.keys() == UNFIT.keys()
    for table in tables:
        assert np.isfinite(table[: len(TEN)]).all()
        np.testing.assert_allclose(table, tables[0], atol=0.01)
    for folder in tmp_path.iterdir():
        read = [mol for path in folder.iterdir() for mol in Chem.SDMolSupplier(str(path))]
        assert len(read) == len(TEN)
        assert all(mol is not None and mol.GetNumConformers() == 1 for mol in read)

"""Drawings, checked by their pixels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molgen.molecules.coordinates import structures
from molgen.molecules.drawing import drawings
from molgen.molecules.grid import COLUMNS, Sheet, grid_png
from molgen.training.log import loss_curve

LOG = "step,epoch,loss,learning_rate,molecules_per_second,held_out_nats\n"


def ink(image: Image.Image) -> tuple[int, int]:
    """Return the width and height of the drawing."""
    dark = np.asarray(image.convert("L")) < 200
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    return int(np.ptp(columns)), int(np.ptp(rows))


def test_bonds_have_one_length_in_a_set() -> None:
    hexagon, *_, chain = drawings(["C1CCCCC1", *["CCCCCCCC"] * 19], 340, 270)
    # a hexagon is 2 bonds from corner to corner; a zigzag of seven bonds is 7 sin 60 degrees long
    assert max(ink(chain)) / max(ink(hexagon)) == pytest.approx(7 * np.sin(np.pi / 3) / 2, rel=0.03)


@pytest.mark.parametrize(
    "smiles", ["C" * 60, "C", "[He]", "c1ccc2c(c1)c1ccccc1c1ccccc21", "[H][H]"]
)
def test_everything_fits(smiles: str) -> None:
    (image,) = drawings([smiles], 340, 270)
    assert image.size == (340, 270)
    edge = np.asarray(image.convert("L"))
    assert min(edge[0].min(), edge[-1].min(), edge[:, 0].min(), edge[:, -1].min()) > 200
    assert 0 < max(ink(image)) < 340


def test_a_long_molecule_does_not_shrink_the_others() -> None:
    alone = drawings(["C1CCCCC1"] * 19, 340, 270)[0]
    beside = drawings(["C1CCCCC1"] * 19 + ["C" * 60], 340, 270)
    assert ink(beside[0]) == ink(alone)
    assert ink(beside[-1])[0] > 250


def test_tall_molecules_are_rotated_and_keep_their_stereochemistry() -> None:
    from rdkit import Chem

    for smiles in ("CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O", "N[C@@H](CC#CC#C)C(=O)O", "C#CC#CC"):
        mol = structures([smiles])[0].mol
        extent = np.ptp(mol.GetConformer().GetPositions(), axis=0)
        assert extent[0] >= extent[1]
        # as in reading the drawing: from coordinates and wedges only
        block = Chem.MolToMolBlock(mol, kekulize=False)
        assert Chem.CanonSmiles(Chem.MolToSmiles(Chem.MolFromMolBlock(block))) == (
            Chem.CanonSmiles(smiles)
        )
        wedges = [bond.GetBondDir() for bond in mol.GetBonds()]
        assert sum(d != Chem.BondDir.NONE for d in wedges) == smiles.count("[C@@H]")


def test_atoms_have_their_colours() -> None:
    (image,) = drawings(["CCN"], 340, 270)
    red, _, blue = np.asarray(image, dtype=int).transpose(2, 0, 1)
    assert (blue - red > 80).sum() > 20


def test_grid(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    grid_png(["CCO"] * 7, ["QED 0.41\nSA 2.0"] * 7, path, "Seven\nof them")
    image = Image.open(path)
    sheet = Sheet()
    card = sheet.width + 2 * sheet.margin + sheet.gap
    assert image.width == COLUMNS * card + sheet.gap
    pixels = np.asarray(image.convert("L"))
    cards = [pixels[-400:, i * card + 30 : (i + 1) * card] for i in range(COLUMNS)]
    assert [int(c.min()) < 128 for c in cards] == [True, True, False, False, False]
    assert pixels[:80, : image.width // 2].min() < 128  # the title
    assert os.listdir(tmp_path) == ["grid.png"]


def test_grid_of_one(tmp_path: Path) -> None:
    grid_png(["C"], [""], tmp_path / "one.png")
    assert Image.open(tmp_path / "one.png").width < 500


def test_long_captions_are_shrunk_into_their_card(tmp_path: Path) -> None:
    grid_png(
        ["C"], ["a caption that is far too long for a single card of this sheet"], tmp_path / "a"
    )
    image = np.asarray(Image.open(tmp_path / "a").convert("L"))
    edge = Sheet().gap + 4  # inside the card's line
    margin = Sheet().gap + Sheet().margin - 1
    assert image[-90:-40, edge:margin].min() > 128
    assert image[-90:-40, -margin:-edge].min() > 128
    assert image[-90:-40, margin:-margin].min() < 128


def test_bad_input_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 molecules and 1 captions"):
        grid_png(["C", "C"], ["x"], tmp_path / "a.png")
    with pytest.raises(ValueError, match="0 molecules"):
        grid_png([], [], tmp_path / "a.png")
    with pytest.raises(ValueError, match="'C1CC' is no molecule"):
        grid_png(["C1CC"], ["x"], tmp_path / "a.png")
    with pytest.raises(FileNotFoundError):
        grid_png(["C"], ["x"], tmp_path / "no" / "a.png")
    assert os.listdir(tmp_path) == []


def test_loss_curve(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        LOG + "100,1,20.5,1e-3,400,\n200,2,15.0,1e-3,410,16.25\n300,3,14,1e-3,410,15.5\n"
    )
    loss_curve(tmp_path / "log.csv", tmp_path / "loss.png")
    assert Image.open(tmp_path / "loss.png").width > 800
    loss_curve(tmp_path / "log.csv", tmp_path / "loss.svg")
    assert "</svg>" in (tmp_path / "loss.svg").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "expected step and loss"), ("a,b\n1,2\n", "expected step and loss"), (LOG, "no row")],
)
def test_empty_logs(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        loss_curve(tmp_path / "log.csv", tmp_path / "loss.png")
    assert not (tmp_path / "loss.png").exists()

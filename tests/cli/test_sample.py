from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from rdkit import Chem

import tiny
from commands import Run, cells

COLUMNS = "index,raw,smiles,status,unique,novel,nfe,classifier_nfe"


def test_a_csv_of_exactly_n_rows(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    ran = molgen(
        "sample", tiny_model, "--n", 31, "--steps", 8, "--seed", 3, "--out", out,
        "--target", "qed=max", "--target", "ring_count=0..1", "--property", "mw", "--gamma", 2,
        "--remask", "rescale", "--eta", 0.2, "--weights", "sharpened", "--temperature", 0.9,
        "--top-p", 0.95, "--device", "cpu", "--dtype", "fp32", "--batch-size", 5,
    )  # fmt: skip
    assert (ran.status, ran.err) == (0, "")
    assert out.read_text().splitlines()[0] == f"{COLUMNS},qed,ring_count,rings_cyclomatic,mw"
    table = cells(out)
    assert table["index"].tolist() == [str(i) for i in range(31)]
    assert set(table["unique"]) | set(table["novel"]) <= {"true", "false"}
    assert table["nfe"].astype(int).gt(0).all()
    assert set(table["classifier_nfe"]) == {"0"}
    ok = table["status"] == "ok"
    assert ok.any()
    assert not ok.all()
    assert (table["smiles"] != "").eq(ok).all()
    assert (table["mw"] != "").eq(ok).all()
    assert ran.out.startswith(f"31 rows: {100 * ok.mean():.1f} % valid, ")


@pytest.mark.parametrize("guidance", ["cfg", "none"])
def test_smaller_is_a_prefix_and_a_seed_is_a_seed(
    molgen: Run, tiny_model: Path, tmp_path: Path, guidance: str
) -> None:
    def draw(name: str, *words: object) -> pd.DataFrame:
        common = ("--steps", 8, "--target", "qed=max", "--gamma", 2, "--guidance", guidance)
        ran = molgen("sample", tiny_model, *common, *words, "--out", tmp_path / name)
        assert ran.status == 0, ran.err
        return cells(tmp_path / name)

    whole = draw("a.csv", "--n", 24, "--seed", 8)
    pd.testing.assert_frame_equal(draw("b.csv", "--n", 24, "--seed", 8), whole)
    pd.testing.assert_frame_equal(draw("c.csv", "--n", 9, "--seed", 8), whole.head(9))
    assert draw("d.csv", "--n", 24, "--seed", 9)["raw"].tolist() != whole["raw"].tolist()
    even = whole["nfe"].astype(int) % 2 == 0
    assert even.all() == (guidance == "cfg")


def test_every_format_has_every_row(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "a.smi", "a.sdf", "a.parquet"):
        if name == "a.parquet":
            pytest.importorskip("pyarrow")
        assert (
            molgen("sample", tiny_model, "--n", 12, "--steps", 6, "--out", tmp_path / name).status
            == 0
        )
    table = cells(tmp_path / "a.csv")
    lines = (tmp_path / "a.smi").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == table["raw"].tolist()
    records = list(Chem.SDMolSupplier(str(tmp_path / "a.sdf")))
    assert [Chem.MolToSmiles(mol) for mol in records] == table["smiles"].tolist()
    typed = pd.read_parquet(tmp_path / "a.parquet")
    assert typed["raw"].tolist() == table["raw"].tolist()
    assert typed["novel"].dtype == bool


def test_selfies_keep_their_tokens(molgen: Run, tiny_selfies: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    assert molgen("sample", tiny_selfies, "--n", 5, "--steps", 6, "--out", out).status == 0
    assert out.read_text().splitlines()[0] == f"{COLUMNS},tokens"


def test_a_trajectory_reproduces_each_row(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    out, events = tmp_path / "a.csv", tmp_path / "events.csv"
    words = ("--n", 6, "--steps", 10, "--remask", "rescale:eta=.5", "--trajectory", events)
    assert molgen("sample", tiny_model, *words, "--out", out).status == 0
    frame = pd.read_csv(events)
    assert list(frame) == ["molecule", "step", "position", "action", "token", "probability"]
    assert set(frame["action"]) <= {"placed", "removed", "replaced"}
    for row, raw in enumerate(cells(out)["raw"]):
        text: dict[int, str] = {}
        for event in frame[frame["molecule"] == row].itertuples():
            text[event.position] = "" if event.action == "removed" else event.token
        assert "".join(text[i] for i in sorted(text)) == raw


def test_a_model_without_an_index_gives_a_warning(molgen: Run, tmp_path: Path) -> None:
    bare = tiny.save(tmp_path / "bare", index=False)
    ran = molgen("sample", bare, "--n", 4, "--steps", 4, "--out", tmp_path / "a.csv")
    assert ran.status == 0
    assert ran.err == ("warning: the model has no training-set index, so no row counts as novel\n")


def test_eta_alone_changes_the_recommended_strategy(molgen: Run, tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "m", sampling={"remask": "rescale:eta=.01,cap=.5", "steps": 10})

    def draw(name: str, *words: object) -> str:
        ran = molgen("sample", model, "--n", 15, *words, "--out", tmp_path / name)
        assert ran.status == 0, ran.err
        return (tmp_path / name).read_text()

    assert draw("a.csv", "--eta", 0.9) == draw("b.csv", "--remask", "rescale:eta=.9,cap=.5")
    assert draw("a.csv", "--eta", 0.9) != draw("c.csv")


def test_failed_rows_are_remasked_within_a_budget(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    out, plain = tmp_path / "adapted.csv", tmp_path / "plain.csv"
    words = ("sample", tiny_model, "--n", 30, "--seed", 2)
    assert molgen(*words, "--out", plain).status == 0
    ran = molgen(*words, "--adapt", "remask:share=.5,budget=60,until=valid", "--out", out)
    assert ran.status == 0, ran.err
    adapted, once = pd.read_csv(out), pd.read_csv(plain)
    valid = once["status"] == "ok"
    assert not valid.all()
    assert (adapted["raw"][valid] == once["raw"][valid]).all()
    assert (adapted["tries"][valid] == 1).all()
    assert (adapted["tries"][~valid] > 1).all()
    assert (adapted["status"] == "ok").mean() > valid.mean()
    assert (adapted["nfe"] >= once["nfe"]).all()


def test_the_unmasking_order_may_depend_on_the_network(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    words = ("sample", tiny_model, "--n", 8, "--out", out, "--order", "entropy-bounded:gamma=9")
    ran = molgen(*words)
    assert ran.status == 0, ran.err
    assert (pd.read_csv(out)["nfe"] <= 3).all()
    for more in (("--remask", "rescale"), ("--corrector", "likeliest")):
        ran = molgen(*words, *more)
        assert ran.status == 2
        assert ran.err.count("\n") == 1


def test_a_target_that_no_training_molecule_has_is_a_warning(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    words = ("sample", tiny_model, "--n", 2, "--steps", 4, "--out", tmp_path / "a.csv")
    assert (
        "warning: target qed=5 is outside the training data"
        in molgen(*words, "--target", "qed=5").err
    )
    assert "warning: target" not in molgen(*words, "--target", "qed=max").err

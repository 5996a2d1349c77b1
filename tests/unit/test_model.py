from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rdkit import Chem, rdBase
from safetensors.torch import load_file, save_file

import molgen
import tiny
import tiny_classifier
from molgen.checkpoints import hub
from molgen.checkpoints.card import card
from molgen.checkpoints.folder import save_network
from molgen.data.tokenizer import selfies_to_smiles
from molgen.diffusion import plan
from molgen.diffusion.unmasking_order import EntropyBounded, LeftToRight
from molgen.errors import MolgenError
from molgen.guidance.spec import ClassifierBased
from molgen.model import Model

COLUMNS = ["index", "raw", "smiles", "status", "unique", "novel", "nfe", "classifier_nfe"]


@pytest.fixture(scope="module")
def table(model: Model) -> pd.DataFrame:
    return model.sample(60, targets={"qed": "max"}, seed=3, properties=["mw", "qed"]).table


def test_three_lines_give_a_table(table: pd.DataFrame) -> None:
    assert list(table) == [*COLUMNS, "qed", "mw"]
    assert table["index"].tolist() == list(range(60))
    assert table["unique"].dtype == table["novel"].dtype == bool
    assert 0 < (table["status"] == "ok").sum() < 60, "the tests below need both"


def test_every_row_has_its_status(table: pd.DataFrame) -> None:
    seen: set[str] = set()
    for row in table.itertuples():
        with rdBase.BlockLogs():
            mol = Chem.MolFromSmiles(row.raw)
        assert (row.status == "ok") == (mol is not None)
        assert row.smiles == (Chem.MolToSmiles(mol) if mol else "")
        assert row.unique == bool(row.smiles and row.smiles not in seen)
        assert row.novel == (row.unique and row.smiles not in tiny.KNOWN)
        assert np.isnan(row.qed) == np.isnan(row.mw) == (mol is None)
        seen.add(row.smiles)
    assert table["novel"].any()
    assert (table["unique"] & ~table["novel"]).any()
    assert (table["classifier_nfe"] == 0).all()


def test_no_molecules(model: Model) -> None:
    empty = model.sample(0, {"qed": "max"})
    assert list(empty) == [*COLUMNS, "qed"]
    assert len(empty) == 0
    with pytest.raises(ValueError, match="n is -1, expected at least 0"):
        model.sample(-1)


@pytest.mark.parametrize(
    ("targets", "settings", "message"),
    [
        ({"qet": "max"}, {}, "property 'qet' is unknown, .*did you mean qed"),
        ({"qed": "best"}, {}, "target qed: value is 'best'"),
        ({"qed": float("nan")}, {}, "target qed: value is 'nan'"),
        ({}, {"steps": 0}, "steps is 0, expected a whole number from 1 to"),
        ({}, {"steps": 2.5}, "steps is 2.5"),
        ({}, {"batch_size": 0}, "batch_size is 0"),
        ({"qed": "max"}, {"gamma": float("nan")}, "gamma is nan, expected a finite number"),
        ({}, {"gamma": float("inf")}, "gamma is inf"),
        ({}, {"gamma": "strong"}, "gamma is 'strong'"),
        ({}, {"temperature": 0.0}, "temperature is 0.0"),
        ({}, {"top_p": 2.0}, "top_p is 2.0"),
        ({}, {"dtype": "fp8"}, "dtype is 'fp8'"),
        ({}, {"conditions": "all"}, "conditions is 'all', expected one of asked, profile"),
        (
            {},
            {"conditions": "profile", "guidance": ClassifierBased()},
            "conditions is 'profile', expected 'asked'",
        ),
        ({}, {"remask": plan.Cap(3.0)}, "eta must lie in"),
        ({}, {"remask": plan.Loop(), "steps": 2}, "loop needs at least 3 steps"),
    ],
)
def test_invalid_arguments_are_refused_before_anything_is_drawn(
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    targets: dict[str, Any],
    settings: dict[str, Any],
    message: str,
) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the network was called")

    monkeypatch.setattr(type(model.denoiser), "logits", forbidden)
    with pytest.raises(ValueError, match=message):
        model.sample(3, targets, **settings)


def test_a_misspelt_argument_is_a_type_error(model: Model) -> None:
    with pytest.raises(TypeError, match=r"sample\(\) got .*'colour'"):
        model.sample(3, colour=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"settings\(\) got .*'gama'; did you mean gamma"):
        model.settings(gama=1)  # type: ignore[call-arg]


def test_a_model_may_recommend_how_to_sample(tmp_path: Path, model: Model) -> None:
    sampling: dict[str, object] = {"remask": "rescale:eta=0.4", "steps": 10, "temperature": 0.5}
    other = molgen.load(tiny.save(tmp_path / "m", sampling=sampling))
    assert other.settings().remask == plan.Rescale(0.4)
    expected = model.sample(9, temperature=0.5, remask=plan.Rescale(0.4), steps=10)
    pd.testing.assert_frame_equal(other.sample(9).table, expected.table)
    assert other.settings(steps=3).steps == 3


TUNED = {
    "sampling": {
        **{"remask": "ancestral", "order": "entropy-bounded:gamma=0.1"},
        **{"gamma": 1.5, "temperature": 1.4},
    },
    "measured": {
        **{"n": 256, "seeds": "0,1,2", "valid": 0.85, "novel": 0.152, "mean": 0.592, "nfe": 24.5},
    },
}


def test_a_preset_is_used_for_its_target_unless_a_method_is_given(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "m", sampling={"remask": "rescale:eta=0.1", "steps": 9})
    info = json.loads((folder / "molgen.json").read_text())
    (folder / "molgen.json").write_text(json.dumps({**info, "presets": {"qed=max": TUNED}}))
    model, targets = molgen.load(folder), {"qed": "max"}
    own, tuned = model.settings(), model.settings(targets=targets)
    assert (own.order, own.remask, own.shaping.temperature) == (None, plan.Rescale(0.1), 1.0)
    assert (tuned.order, tuned.gamma, tuned.shaping.temperature) == (EntropyBounded(0.1), 1.5, 1.4)
    assert tuned.steps == 9, "settings that a preset omits are those of the model"
    assert model.settings(targets={"logp": "max"}) == own
    assert model.settings("design", targets) == own
    assert model.settings(targets=targets, steps=4, gamma=3.0) == replace(tuned, steps=4, gamma=3.0)
    assert model.settings(targets=targets, remask_weights=None) == own
    assert model.settings(targets=targets, remask=plan.Loop()) == own.changed(remask=plan.Loop())
    plain = model.sample(8, targets, seed=1, remask_weights=None)["raw"].tolist()
    assert model.sample(8, targets, seed=1)["raw"].tolist() != plain


def test_guided_settings_are_for_design_towards_what_the_classifier_predicts(
    tmp_path: Path,
) -> None:
    folder = tiny.save(tmp_path / "m", sampling={"remask": "rescale:eta=0.1", "steps": 9})
    info = json.loads((folder / "molgen.json").read_text())
    words = {"guidance": "cbg:cfg=1", "order": "left-to-right", "remask": "ancestral", "gamma": 4.0}
    (folder / "molgen.json").write_text(json.dumps({**info, "guided": words}))
    model = molgen.load(folder)
    own = model.settings()
    assert model.settings("design", {"qed": "max"}) == own, "there is no classifier"
    save_network(tiny_classifier.classifier(), folder / "classifier")
    guided = model.settings("design", {"qed": "max", "ring_count": 1})
    assert (guided.gamma, guided.order, guided.steps) == (4.0, LeftToRight(), 9)
    assert model.settings("design", {"qed": "max"}, gamma=2.0) == replace(guided, gamma=2.0)
    for other in ({}, {"logp": "max"}, {"qed": "max", "logp": "max"}):
        assert model.settings("design", other) == own
    assert model.settings("sampling", {"qed": "max"}) == own
    assert model.settings("design", {"qed": "max"}, order="none") == own
    chosen = {"format": 1, "sampling": {"steps": 5}}
    assert model.settings("design", {"qed": "max"}, preset=chosen).order is None
    made = molgen.design(model, {"ring_count": "0.."}, 2, max_draws=40, progress=False)
    assert made.request.settings == model.settings("design", {"ring_count": "0.."})
    broken = {**words, "order": "sideways"}
    (folder / "molgen.json").write_text(json.dumps({**info, "guided": broken}))
    with pytest.raises(MolgenError, match="order"):
        molgen.load(folder)


def test_a_card_shows_presets(tmp_path: Path) -> None:
    info = {"presets": {"qed=max": TUNED}, "representation": "smiles"}
    text = card("named", info)
    assert "## Presets" in text
    assert "| `qed=max` | order entropy-bounded:gamma=0.1, gamma 1.5, temperature 1.4 |" in text
    assert "| 85.0 % | 15.2 % | 0.592 | 24.5 | 256, 0,1,2 |" in text
    assert "## Presets" not in card("named", {**info, "presets": {}})


def test_without_an_index_nothing_counts_as_novel(tmp_path: Path) -> None:
    model = molgen.load(tiny.save(tmp_path / "m", index=False))
    assert model.training_index is None
    assert not model.sample(20, steps=6)["novel"].any()


def test_selfies_are_decoded_and_kept(tiny_selfies: Path) -> None:
    table = molgen.load(tiny_selfies).sample(30, steps=8)
    assert list(table) == [*COLUMNS, "tokens"]
    assert table["tokens"].str.fullmatch(r"(\[[^\]]+\])+").all()
    assert [selfies_to_smiles(text) for text in table["tokens"]] == table["raw"].tolist()
    assert set(table["status"]) <= {"ok", "empty"}


def test_a_checkpoint_has_the_model(tiny_model: Path, model: Model) -> None:
    original = tiny.network().state_dict()
    for name, value in model.denoiser.state_dict().items():  # type: ignore[attr-defined]
        torch.testing.assert_close(value, original[name].to(torch.bfloat16).float())
    assert model.properties == tiny.PROPERTIES
    assert model.tokenizer.vocab[:-2] == tiny.CHARACTERS
    assert model.training_index is not None
    assert len(model.training_index) == len(tiny.KNOWN)
    assert model.info == {"format": 1, "representation": "smiles", "sampling": {"steps": 12}}
    assert not any(path.suffix in (".pt", ".bin", ".pkl") for path in tiny_model.iterdir())


def _cut(name: str) -> Callable[[Path], object]:
    return lambda m: (m / name).write_bytes((m / name).read_bytes()[:-40])


def _without(name: str) -> Callable[[Path], object]:
    return lambda m: (m / name).unlink()


def _text(name: str, text: str) -> Callable[[Path], object]:
    return lambda m: (m / name).write_text(text)


def _config(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _drop_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["head.bias"]
    save_file(weights, path, metadata={"format": "pt"})


DAMAGE: dict[str, Callable[[Path], object]] = {
    "weights cut short": _cut("model.safetensors"),
    "weights empty": _text("model.safetensors", ""),
    "weights missing": _without("model.safetensors"),
    "a weight missing": _drop_weight,
    "config is no JSON": _text("config.json", "{"),
    "config of another shape": _config(hidden_size=64),
    "config of another vocabulary": _config(vocab_size=9),
    "config with words for numbers": _config(hidden_size="wide"),
    "config of other properties": _config(properties=["mw", "sa", "tpsa"]),
    "config too short for the lengths": _config(max_position_embeddings=4),
    "info is no JSON": _text("molgen.json", "{'format': 1"),
    "info of another format": _text("molgen.json", '{"format": 2}'),
    "info is a list": _text("molgen.json", "[1]"),
    "tokenizer missing": _without("tokenizer.json"),
    "tokenizer is no JSON": _text("tokenizer.json", "]"),
    "tokenizer of another kind": _text("tokenizer.json", '{"model": {"vocab": {"C": 0}}}'),
    "prior missing": _without("prior.safetensors"),
    "prior cut short": _cut("prior.safetensors"),
    "index cut short": _cut("training_index.safetensors"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused_in_one_line(
    tiny_model: Path, tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "damaged"))
    DAMAGE[damage](folder)
    with pytest.raises(ValueError, match="damaged") as caught:
        Model.load(folder)
    assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr() == ("", "")


def test_invalid_recommended_settings_are_refused(tmp_path: Path) -> None:
    for sampling in ({"remask": "rescal"}, {"speed": 9}, {"steps": "many"}):
        folder = tiny.save(tmp_path / "m", sampling=dict(sampling))
        with pytest.raises(ValueError, match=r"molgen.json: .*(rescal|speed|steps is 'many')"):
            molgen.load(folder)


def test_names_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no model 'nosuch': expected a bundled name \("):
        molgen.load("nosuch")
    with pytest.raises(ValueError, match=r"is not a molgen model: it has no config.json"):
        molgen.load(tmp_path)

    with pytest.raises(ValueError, match=r"no model './a'"):
        molgen.load("./a")
    with pytest.raises(
        ValueError, match=r"no such folder: 'a/b'; for a model of the hub write hf:"
    ):
        molgen.load("a/b")


def test_bundled_models(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(tiny_model, tmp_path / "small")
    monkeypatch.setattr(hub, "BUNDLED", tmp_path)
    assert molgen.models() == ("small",)
    assert molgen.load("small").properties == tiny.PROPERTIES
    assert molgen.Range(0, 1).high == 1
    with pytest.raises(AttributeError, match="Rang"):
        getattr(molgen, "Rang")  # noqa: B009

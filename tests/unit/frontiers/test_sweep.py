"""Methods in words, objectives, and a sweep on disk that continues after any interruption."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import molgen
import tiny
from molgen.frontiers.method import Method
from molgen.frontiers.objective import Objective
from molgen.frontiers.plan import (
    Sweep,
    objective_for,
    origin,
    settings_at,
    settings_for,
    top_tenth,
)
from molgen.frontiers.store import Record, Store
from molgen.frontiers.sweep import Progress, run
from molgen.model import Model
from molgen.molecules.conventions import PAPER, STRICT, count, frontier_point
from molgen.molecules.parsing import interpret_all
from molgen.sampling.retry import Adaptive
from property_models import compute

TEXT = st.text(st.characters(codec="ascii", exclude_characters=";\r\n\x00"), min_size=1).filter(
    lambda text: text == text.strip() and text.isprintable()
)


def sweep(model: Model, **changes: object) -> Sweep:
    methods = (Method("plain", model.name), Method("again", model.name, "rescale:eta=.3"))
    given = Sweep(objective_for(model, "qed", "max", 12), methods, (1.0, 2.0), (5,), (0, 1))
    return dataclasses.replace(given, **changes)  # type: ignore[arg-type]


@given(TEXT.filter(lambda text: len(text) <= 40), st.tuples(TEXT, TEXT, TEXT, TEXT))
def test_a_method_is_written_and_read_back(label: str, words: tuple[str, str, str, str]) -> None:
    method = Method(label, *words)
    assert Method.parse(str(method), "another") == method


def test_a_method_is_read_and_converted_to_settings(model: Model) -> None:
    text = "Loop: a=b, c; remask=loop:t_on=.6,t_off=.2,eta=.05; weights=sharpened:tau=.5"
    assert settings_for(model, Method.parse(text, model.name), 1.0, 20).shaping.temperature == 1
    text += "; temperature=1.4"
    method = Method.parse(text, model.name)
    assert method.label == "Loop: a=b, c"
    assert (method.model, method.guidance) == (model.name, "cfg")
    settings = settings_for(model, method, 2.5, 20)
    assert (settings.gamma, settings.steps, settings.shaping.temperature) == (2.5, 20, 1.4)
    assert "tau=0.5" in str(settings.remask_weights)
    assert settings.remask.plan(20).sigma.max() == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "label is ''"),
        ("; remask=cap", "label is ''"),
        ("a" * 41, "expected at most 40"),
        ("A; remask", "has the part 'remask', expected"),
        ("A; remsk=cap", "has the part 'remsk=cap', expected"),
        ("A; remask=cap; remask=dfm", "has the part 'remask=dfm', expected"),
        ("A; remask=", "remask is ''"),
        ("A\tB", "expected some printable text"),
    ],
)
def test_methods_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Method.parse(text, "qm9")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("remask=rescal", "method A: remask strategy is 'rescal'"),
        ("weights=best", "method A: weights is 'best'"),
        ("guidance=magic", "method A: guidance is 'magic'"),
        ("weights=confidence", "method A: weights is confidence, but remask is ancestral"),
        ("temperature=0", "method A: temperature is 0"),
        ("temperature=warm", "method A: temperature is 'warm'"),
        ("remask=loop", "method A: loop needs at least 3 steps"),
    ],
)
def test_settings_that_are_refused_name_the_method(model: Model, words: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_for(model, Method.parse(f"A; {words}", model.name), 1.0, 2)


def test_the_top_tenth_of_whole_numbers_is_less_than_a_tenth(model: Model) -> None:
    prior = model.prior
    for name in model.properties:
        low, high = map(float, top_tenth(model, name).split(".."))
        values = prior.values[:, prior.properties.index(name)]
        inside = prior.weight[(values >= low - 1e-5) & (values <= high + 1e-5)].sum()
        share = inside / prior.weight.sum()
        # 0, 1, 2 and 3 rings are a quarter each: no level is beyond the 90th percentile
        bounds = (0.2, 0.3) if name == "ring_count" else (0.09, 0.1 + 1 / 600)
        assert bounds[0] < share <= bounds[1], name
    assert top_tenth(model, "ring_count") == "3..3"


@pytest.mark.skipif("qm9" not in molgen.models(), reason="no bundled qm9 model")
def test_the_top_tenth_of_qm9_is_four_rings_and_more() -> None:
    assert top_tenth(molgen.load("qm9"), "ring_count").startswith("4..")


@pytest.mark.parametrize(
    ("target", "sign"), [("max", 1), ("min", -1), ("0.1", -1), ("0.9", 1), ("0.1..0.2", -1)]
)
def test_the_direction_of_an_objective(model: Model, target: str, sign: int) -> None:
    objective = objective_for(model, "qed", target, 5)
    assert objective.sign == sign
    assert objective.gain(objective.data_mean + 0.25) == pytest.approx(sign * 0.25)
    assert objective.gain(None) != objective.gain(None)
    assert objective_for(model, "qed", "none", 5).target == ""


def test_a_run_has_the_rows_that_the_model_draws(model: Model, tmp_path: Path) -> None:
    request = sweep(model)
    records = run(request, {model.name: model}, tmp_path)
    assert len(records) == len(request.cells()) == 8
    for record in records:
        cell = record.run
        table = Store(tmp_path).molecules(record)
        settings = settings_for(model, Method(**cell.method), cell.gamma, cell.steps)
        drawn = model.table(model.draw(12, {"qed": "max"}, cell.seed, settings=settings), ["qed"])
        shared = [name for name in drawn if name in table]
        pd.testing.assert_frame_equal(table[shared], drawn[shared], check_dtype=False)
        for convention, column in ((STRICT, "novel"), (PAPER, "novel_paper")):
            counted = count(interpret_all(drawn["raw"]), convention, model.training_index)
            assert counted.novel is not None
            expected = frontier_point(counted, drawn["qed"].to_numpy())
            found = record.figures["conventions"][convention.name]
            assert found["novel"] == expected.novel == table[column].sum()
            assert found["property_mean"] == pytest.approx(expected.mean, nan_ok=True)
        assert record.figures["nfe"] == pytest.approx(drawn["nfe"].mean())


def test_a_run_has_the_mean_of_rings_by_the_other_count(model: Model, tmp_path: Path) -> None:
    request = sweep(model, objective=objective_for(model, "ring_count", "max", 12), seeds=(0,))
    record = run(request, {model.name: model}, tmp_path)[0]
    table = Store(tmp_path).molecules(record)
    other = compute(["rings_cyclomatic"], table["smiles"])["rings_cyclomatic"]
    np.testing.assert_array_equal(table["rings_cyclomatic"].to_numpy(float), other)
    found = record.figures["conventions"]
    for name, column in (("strict", "novel"), ("paper", "novel_paper")):
        mean = found[name]["beside"]["rings_cyclomatic"]
        assert mean == pytest.approx(other[table[column]].mean())


def test_it_continues_after_the_last_finished_run(model: Model, tmp_path: Path) -> None:
    request, models = sweep(model), {model.name: model}
    whole = run(request, models, tmp_path / "whole")
    drawn: list[Record] = []

    def interrupted(record: Record) -> None:
        drawn.append(record)
        if len(drawn) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(request, models, tmp_path / "parts", Progress(end=interrupted))
    store = Store(tmp_path / "parts")
    assert len(store.records()) == 3
    # as after a power cut between a run's two files, and during the writing of a file
    last = max((tmp_path / "parts/points").glob("*.json"), key=lambda path: path.stat().st_mtime)
    last.unlink()
    (tmp_path / "parts/points/.half.json.1.part").write_text("{")
    more: list[Record] = []
    run(request, models, tmp_path / "parts", Progress(end=more.append))
    assert len(more) == 6
    for record in whole:
        path = store.molecules_path(record)
        assert path.read_bytes() == Store(tmp_path / "whole").molecules_path(record).read_bytes()
    run(request, models, tmp_path / "parts", Progress(end=more.append))
    assert len(more) == 6, "a finished sweep draws nothing"


def test_a_folder_grows_along_every_axis(model: Model, tmp_path: Path) -> None:
    models = {model.name: model}
    run(sweep(model), models, tmp_path)
    methods = (Method("cap", model.name, "cap:eta=.1"),)
    records = run(sweep(model, methods=methods, seeds=(2,), gammas=(0.5,)), models, tmp_path)
    assert len(records) == 9
    assert {record.run.label for record in records} == {"plain", "again", "cap"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": ("qed", "max", 13)}, "a sweep with n 12, not 13"),
        ({"objective": ("qed", "min", 12)}, "a sweep with target max, not min"),
        ({"objective": ("logp", "max", 12)}, "a sweep with property qed, not logp"),
        ({"methods": "plain; remask=cap"}, "method plain remask ancestral, not cap"),
        ({"speed": {"dtype": "fp32"}}, "drawn with dtype auto, not fp32"),
        ({"speed": {"temperature": 0.5}}, "drawn with temperature 1.0, not 0.5"),
    ],
)
def test_differing_runs_are_refused_before_drawing(
    model: Model, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    models = {model.name: model}
    run(sweep(model, seeds=(0,)), models, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    if isinstance(words := changes.get("methods"), str):
        changes = {"methods": (Method.parse(words, model.name),)}
    if isinstance(words := changes.get("objective"), tuple):
        changes = {"objective": objective_for(model, *words)}
    with pytest.raises(ValueError, match=f"the folder has .*{message}.*another"):
        run(sweep(model, **changes), models, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    run(sweep(model, seeds=(0,), speed={"batch_size": 3}), models, tmp_path)  # speed alone
    assert sorted(tmp_path.rglob("*")) == before


def test_a_store_of_earlier_code_is_read_and_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written on 2026-11-27, by the code before "Words of the field in code"."""
    folder = tmp_path / "store"
    shutil.copytree(Path(__file__).with_name("earlier_store"), folder)
    files = {path: path.read_bytes() for path in (folder / "points").iterdir()}
    records = Store(folder).records()
    assert {folder / "points" / f"{r.name}.json" for r in records} < set(files)
    assert [r.run.cell for r in records] == [("plain", 2.0, 5, 0), ("Restart", 2.0, 5, 0, 16)]
    for record in records:  # written again, it is the same file
        Store(tmp_path / "new").save(record, Store(folder).molecules(record))
        path = tmp_path / f"new/points/{record.name}.json"
        assert path.read_bytes() == files[folder / "points" / path.name]
    # versions, and bytes of a network saved now, are others than then
    fixed = {key: records[0].origin[key] for key in ("model digest", "molgen", "rdkit")}
    monkeypatch.setattr("molgen.frontiers.plan.origin", lambda *of: {**origin(*of), **fixed})
    model = molgen.load(tiny.save(tmp_path / "tiny"))
    request = Sweep(
        objective_for(model, "qed", "max", 4),
        tuple(Method(**record.run.method) for record in records),
        (2.0,), (5,), (0, 1), (16,), {"dtype": "fp32"},
    )  # fmt: skip
    drawn: list[Record] = []
    assert len(run(request, {"tiny": model}, folder, Progress(end=drawn.append))) == 4
    assert [record.run.seed for record in drawn] == [1, 1]
    assert all(path.read_bytes() == content for path, content in files.items())


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 1}', '{"format": 2}'])
def test_a_damaged_run_is_named(model: Model, tmp_path: Path, damage: str) -> None:
    run(sweep(model, seeds=(0,)), {model.name: model}, tmp_path)
    path = next((tmp_path / "points").glob("*.json"))
    content = json.loads(path.read_text())
    path.write_text(damage)
    with pytest.raises(ValueError, match=f"{path.name} is damaged"):
        Store(tmp_path).records()
    for part, key, value in (
        ("task", "n", "12"),
        ("task", "property", None),
        ("point", "arm", {"model": "x"}),
        ("point", "seed", [1]),
        ("figures", "nfe", "many"),
        ("figures", "conventions", {"strict": {}}),
    ):
        path.write_text(json.dumps({**content, part: {**content[part], key: value}}))
        with pytest.raises(ValueError, match=f"{path.name} is damaged: .*{part}"):
            Store(tmp_path).records()
    path.write_text(json.dumps(content))
    record = Store(tmp_path).records()[0]
    short = Store(tmp_path).molecules(record).head(3)
    Store(tmp_path).save(record, short)
    with pytest.raises(ValueError, match="has 3 rows, expected 12"):
        Store(tmp_path).molecules(record)


def test_sweeps_that_are_refused(model: Model) -> None:
    with pytest.raises(ValueError, match="gammas is empty"):
        sweep(model, gammas=())
    with pytest.raises(ValueError, match="methods has the label A twice"):
        sweep(model, methods=(Method("A", "x"), Method("A", "y")))
    with pytest.raises(ValueError, match="target qed: value is 'high'"):
        objective_for(model, "qed", "high", 3)
    with pytest.raises(ValueError, match="not conditioned on it"):
        objective_for(model, "tpsa", "max", 3)
    assert Objective("qed", "max", 3, 0.5, -1).gain(0.25) == 0.25


def test_budgets_are_an_axis_of_adaptive_methods_alone(model: Model) -> None:
    methods = Method("MDLM", model.name), Method("Restart", model.name, adapt="restart:budget=9")
    objective = objective_for(model, "qed", "max", 12)
    request = Sweep(objective, methods, (1.0,), (4, 8), (0,), (64, 32))
    cells = [(method.label, run.steps, run.budget) for method, run in request.cells()]
    assert cells == [("MDLM", 4, None), ("MDLM", 8, None), ("Restart", 8, 32), ("Restart", 8, 64)]
    adapted = [settings_at(model, method, run).adapt for method, run in request.cells()]
    assert [each and each.budget for each in adapted] == [None, None, 32, 64]
    own = Sweep(objective, methods, (1.0,), (4,), (0,)).cells()[1]
    assert settings_at(model, *own).adapt == Adaptive(budget=9)
    with pytest.raises(ValueError, match=r"budgets is \(32,\), expected none"):
        Sweep(objective, methods[:1], (1.0,), (4,), (0,), (32,))

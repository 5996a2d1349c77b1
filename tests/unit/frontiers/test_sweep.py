"""Arms in words, tasks, and a sweep on disk that goes on after any end."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import molgen
from molgen.frontiers.method import Arm
from molgen.frontiers.plan import Sweep, settings_at, settings_for, task_for, top_tenth
from molgen.frontiers.store import Record, Store
from molgen.frontiers.sweep import Progress, run
from molgen.frontiers.task import Task
from molgen.model import Model
from molgen.molecules.conventions import PAPER, STRICT, count, frontier_point
from molgen.molecules.parsing import interpret_all
from molgen.sampling.retry import Adaptive

TEXT = st.text(st.characters(codec="ascii", exclude_characters=";\r\n\x00"), min_size=1).filter(
    lambda text: text == text.strip() and text.isprintable()
)


def sweep(model: Model, **changes: object) -> Sweep:
    arms = (Arm("plain", model.name), Arm("again", model.name, "rescale:eta=.3"))
    given = Sweep(task_for(model, "qed", "max", 12), arms, (1.0, 2.0), (5,), (0, 1))
    return dataclasses.replace(given, **changes)  # type: ignore[arg-type]


@given(TEXT.filter(lambda text: len(text) <= 40), st.tuples(TEXT, TEXT, TEXT, TEXT))
def test_an_arm_survives_being_written(label: str, words: tuple[str, str, str, str]) -> None:
    arm = Arm(label, *words)
    assert Arm.parse(str(arm), "another") == arm


def test_an_arm_is_read_and_becomes_settings(model: Model) -> None:
    text = "Loop: a=b, c; remask=loop:t_on=.6,t_off=.2,eta=.05; weights=sharpened:tau=.5"
    assert settings_for(model, Arm.parse(text, model.name), 1.0, 20).shaping.temperature == 1
    text += "; temperature=1.4"
    arm = Arm.parse(text, model.name)
    assert arm.label == "Loop: a=b, c"
    assert (arm.model, arm.guidance) == (model.name, "cfg")
    settings = settings_for(model, arm, 2.5, 20)
    assert (settings.gamma, settings.steps, settings.shaping.temperature) == (2.5, 20, 1.4)
    assert "tau=0.5" in str(settings.remask_weights)
    assert settings.remask.plan(20).sigma.max() == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "label is ''"),
        ("; remask=cap", "label is ''"),
        ("a" * 41, "expected at most 40"),
        ("A; remask", "'remask' is not understood"),
        ("A; remsk=cap", "'remsk=cap' is not understood"),
        ("A; remask=cap; remask=dfm", "'remask=dfm' is not understood"),
        ("A; remask=", "remask is ''"),
        ("A\tB", "expected some printable text"),
    ],
)
def test_arms_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Arm.parse(text, "qm9")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("remask=rescal", "arm A: remask strategy is 'rescal'"),
        ("weights=best", "arm A: weights is 'best'"),
        ("guidance=magic", "arm A: guidance is 'magic'"),
        ("weights=confidence", "arm A: weights is confidence, but remask is ancestral"),
        ("temperature=0", "arm A: temperature is 0"),
        ("temperature=warm", "arm A: temperature is 'warm'"),
        ("remask=loop", "arm A: loop needs at least 3 steps"),
    ],
)
def test_settings_that_are_refused_name_the_arm(model: Model, words: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_for(model, Arm.parse(f"A; {words}", model.name), 1.0, 2)


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
def test_the_direction_of_a_task(model: Model, target: str, sign: int) -> None:
    task = task_for(model, "qed", target, 5)
    assert task.sign == sign
    assert task.gain(task.data_mean + 0.25) == pytest.approx(sign * 0.25)
    assert task.gain(None) != task.gain(None)
    assert task_for(model, "qed", "none", 5).target == ""


def test_a_point_holds_what_the_model_draws(model: Model, tmp_path: Path) -> None:
    asked = sweep(model)
    records = run(asked, {model.name: model}, tmp_path)
    assert len(records) == len(asked.cells()) == 8
    for record in records:
        point = record.point
        table = Store(tmp_path).molecules(record)
        settings = settings_for(model, Arm(**point.arm), point.gamma, point.steps)
        drawn = model.table(model.draw(12, {"qed": "max"}, point.seed, settings=settings), ["qed"])
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


def test_it_goes_on_after_the_last_finished_point(model: Model, tmp_path: Path) -> None:
    asked, models = sweep(model), {model.name: model}
    whole = run(asked, models, tmp_path / "whole")
    drawn: list[Record] = []

    def interrupted(record: Record) -> None:
        drawn.append(record)
        if len(drawn) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(asked, models, tmp_path / "parts", Progress(end=interrupted))
    store = Store(tmp_path / "parts")
    assert len(store.records()) == 3
    # as if the power had failed between a point's two files, and while a file was written
    last = max((tmp_path / "parts/points").glob("*.json"), key=lambda path: path.stat().st_mtime)
    last.unlink()
    (tmp_path / "parts/points/.half.json.1.part").write_text("{")
    more: list[Record] = []
    run(asked, models, tmp_path / "parts", Progress(end=more.append))
    assert len(more) == 6
    for record in whole:
        path = store.molecules_path(record)
        assert path.read_bytes() == Store(tmp_path / "whole").molecules_path(record).read_bytes()
    run(asked, models, tmp_path / "parts", Progress(end=more.append))
    assert len(more) == 6, "a finished sweep draws nothing"


def test_a_folder_grows_along_every_axis(model: Model, tmp_path: Path) -> None:
    models = {model.name: model}
    run(sweep(model), models, tmp_path)
    arms = (Arm("cap", model.name, "cap:eta=.1"),)
    records = run(sweep(model, arms=arms, seeds=(2,), gammas=(0.5,)), models, tmp_path)
    assert len(records) == 9
    assert {record.point.label for record in records} == {"plain", "again", "cap"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": ("qed", "max", 13)}, "a sweep with n 12, not 13"),
        ({"task": ("qed", "min", 12)}, "a sweep with target max, not min"),
        ({"task": ("logp", "max", 12)}, "a sweep with property qed, not logp"),
        ({"arms": "plain; remask=cap"}, "arm plain remask ancestral, not cap"),
        ({"speed": {"dtype": "fp32"}}, "drawn with dtype auto, not fp32"),
        ({"speed": {"temperature": 0.5}}, "drawn with temperature 1.0, not 0.5"),
    ],
)
def test_what_differs_is_refused_and_nothing_drawn(
    model: Model, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    models = {model.name: model}
    run(sweep(model, seeds=(0,)), models, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    if isinstance(words := changes.get("arms"), str):
        changes = {"arms": (Arm.parse(words, model.name),)}
    if isinstance(words := changes.get("task"), tuple):
        changes = {"task": task_for(model, *words)}
    with pytest.raises(ValueError, match=f"the folder holds .*{message}.*another"):
        run(sweep(model, **changes), models, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    run(sweep(model, seeds=(0,), speed={"batch_size": 3}), models, tmp_path)  # speed alone
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 1}', '{"format": 2}'])
def test_a_damaged_point_is_named(model: Model, tmp_path: Path, damage: str) -> None:
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
    with pytest.raises(ValueError, match="two arms are called A"):
        sweep(model, arms=(Arm("A", "x"), Arm("A", "y")))
    with pytest.raises(ValueError, match="target qed: value is 'high'"):
        task_for(model, "qed", "high", 3)
    with pytest.raises(ValueError, match="not conditioned on it"):
        task_for(model, "tpsa", "max", 3)
    assert Task("qed", "max", 3, 0.5, -1).gain(0.25) == 0.25


def test_budgets_are_an_axis_of_adaptive_arms_alone(model: Model) -> None:
    arms = Arm("MDLM", model.name), Arm("Restart", model.name, adapt="restart:budget=9")
    task = task_for(model, "qed", "max", 12)
    asked = Sweep(task, arms, (1.0,), (4, 8), (0,), (64, 32))
    cells = [(arm.label, point.steps, point.budget) for arm, point in asked.cells()]
    assert cells == [("MDLM", 4, None), ("MDLM", 8, None), ("Restart", 8, 32), ("Restart", 8, 64)]
    adapted = [settings_at(model, arm, point).adapt for arm, point in asked.cells()]
    assert [each and each.budget for each in adapted] == [None, None, 32, 64]
    own = Sweep(task, arms, (1.0,), (4,), (0,)).cells()[1]
    assert settings_at(model, *own).adapt == Adaptive(budget=9)
    with pytest.raises(ValueError, match="budgets are an axis"):
        Sweep(task, arms[:1], (1.0,), (4,), (0,), (32,))

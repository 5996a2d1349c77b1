from __future__ import annotations

import json
import signal
from pathlib import Path

import pandas as pd
import pytest

import tiny
from commands import Run, stopped
from molgen.sampling.preset_file import read_preset

SMALL = ("--target", "logp=min", "--n", 15, "--start", 5, "--candidates", 6, "--seeds", "0,1")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_command_to_a_preset(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.json"
    words = ("tune", tiny_model, *SMALL, "--out", out)
    ran = molgen(*words)
    assert (ran.status, ran.err) == (0, "")
    assert names(tmp_path) == ["p-rungs", "p.csv", "p.json"]
    preset, table = read_preset(out), pd.read_csv(tmp_path / "p.csv")
    assert (preset["model"], preset["target"]) == (str(tiny_model), "logp=min")
    assert len(table) == 6
    assert table["own"].sum() == 1
    assert table["rung"].tolist() == sorted(table["rung"], reverse=True)
    best, own = table.iloc[0], table[table["own"]].iloc[0]
    for name, value in preset["sampling"].items():
        assert str(best[name]) == str(value), name
    assert preset["measured"]["score"] == pytest.approx(best["score"], rel=1e-6)
    assert preset["measured"]["own_score"] == pytest.approx(own["score"], rel=1e-6)
    assert best["score"] >= own["score"] > 0
    assert f"{best['score']:.4f} ± {best['score_sd']:.4f}" in ran.out
    assert "logp=min, 15 rows of seed 0, 1, strict, 128 forwards free" in ran.out
    assert ran.out.count("(the model's own)") == 1
    assert "\nbest: " in ran.out
    assert ran.out.endswith(f"6 candidates: {out}, {tmp_path / 'p.csv'}\n")
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "p-rungs").rglob("*.*")}
    again = molgen(*words)
    assert again.out == ran.out
    assert read_preset(out) == preset
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in files.items())


def test_the_budget_determines_the_cost_of_the_winner(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    costs, out = {}, tmp_path / "p.json"
    for budget in (1000, 1):  # the second time with the rows of the first
        assert molgen("tune", tiny_model, *SMALL, "--budget", budget, "--out", out).status == 0
        table = pd.read_csv(tmp_path / "p.csv")
        expected = table["area"] * (budget / table["nfe"]).clip(upper=1)
        single = table["score_sd"].isna()  # of several seeds the mean of products is no product
        pd.testing.assert_series_equal(
            table["score"][single], expected[single], check_names=False, rtol=1e-5
        )
        costs[budget] = read_preset(out)["measured"]["nfe"]
    assert costs[1] < costs[1000]


def test_retried_rows(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    small = ("--target", "logp=min", "--n", 10, "--candidates", 4, "--seeds", 0)
    words = (*small, "--adapt", "--budget", 20, "--out", tmp_path / "p.json")
    assert molgen("tune", tiny_model, *words).status == 0
    table = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    assert (table["adapt"] == "none").tolist() == (table["own"]).tolist()
    assert read_preset(tmp_path / "p.json")["sampling"]["adapt"].endswith(("=20", "=40"))


def preset(**sampling: object) -> dict[str, object]:
    """A preset as in molgen.json."""
    measured = {"n": 9, "seeds": "0", "valid": 0.5, "novel": 0.5, "mean": 0.4, "nfe": 9.0}
    return {"sampling": sampling, "measured": measured}


def test_a_shipped_preset_is_the_first_candidate(molgen: Run, tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "m", sampling={"steps": 12, "gamma": 3.0})
    path = model / "molgen.json"
    info = json.loads(path.read_text())
    shipped = {"remask": "cap:eta=0.1", "gamma": "0..2", "steps": 9}
    presets = {"qed=max": preset(**shipped), "qed=min": preset()}
    path.write_text(json.dumps({**info, "presets": presets}))
    words = ("--n", 5, "--candidates", 1, "--seeds", 0, "--out", tmp_path / "p.json")
    ran = molgen("tune", model, "--target", "qed=max", *words)
    assert ran.status == 0
    assert "best: the model's own settings" in ran.out
    found = read_preset(tmp_path / "p.json")["sampling"]
    assert {name: found[name] for name in shipped} == shipped
    assert molgen("tune", model, "--target", "logp=max", *words).status == 0
    found = read_preset(tmp_path / "p.json")["sampling"]
    assert (found["remask"], found["gamma"], found["steps"]) == ("ancestral", 3.0, 12)


def test_a_warning_where_no_candidate_is_better_than_the_data(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    words = ("--n", 6, "--candidates", 2, "--seeds", 0, "--out", tmp_path / "p.json")
    for target, better in (("ring_count=max", False), ("ring_count=min", True)):  # it writes none
        ran = molgen("tune", tiny_model, "--target", target, *words)
        assert ran.status == 0
        measured = read_preset(tmp_path / "p.json")["measured"]
        assert (measured["score"] > 0) == better
        assert measured["mean"] == 0
        warned = "warning: no candidate has novel molecules" in ran.err
        assert warned != better


BAD: dict[str, tuple[list[object], str]] = {
    "no such model": (["MODEL=nosuch"], "no model 'nosuch'"),
    "a misspelled property": (["--target", "qet=max"], "did you mean qed"),
    "an unknown property": (["--target", "sa=max"], "not conditioned on it"),
    "a target without a value": (["--target", "qed"], "target is 'qed', expected PROP=VALUE"),
    "a target that is no number": (["--target", "qed=high"], "target qed: value is 'high'"),
    "nothing to tune for": (["--target", "qed=none"], "target qed: value is 'none'"),
    "another kind of file": (["--out", "p.csv"], "out is 'p.csv', expected a file ending in .json"),
    "no folder": (["--out", "no/p.json"], "there is no folder 'no'"),
    "a file for a folder": (["--out", "FILE"], "-rungs' is a file, not a folder"),
    "no candidates": (["--candidates", 0], "argument --candidates: expected a whole number from 1"),
    "no rows": (["--n", 0], "argument --n: expected a whole number from 1"),
    "no rows at first": (["--start", "x"], "argument --start: expected a whole number from 1"),
    "a seed that is a word": (["--seeds", "a"], "argument --seeds: expected whole numbers"),
    "a search seed of a word": (["--search-seed", "a"], "argument --search-seed: expected a whole"),
    "no budget": (["--budget", 0], "budget is 0.0, expected forwards above 0"),
    "a budget of NaN": (["--budget", "nan"], "budget is nan, expected forwards above 0"),
    "another convention": (["--convention", "moses"], "argument --convention: invalid choice"),
    "no such device": (["--device", "toaster"], "device 'toaster' cannot be used"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_line(
    molgen: Run, tiny_model: Path, tmp_path: Path, case: str
) -> None:
    words, message = BAD[case]
    (tmp_path / "p-rungs").write_text("")
    model, rest = str(tiny_model), [*SMALL, "--out", tmp_path / "q.json"]
    for word in map(str, words):
        if word.startswith("MODEL="):
            model = word.removeprefix("MODEL=")
        else:
            rest.append(word.replace("FILE", str(tmp_path / "p.json")))
    ran = molgen("tune", model, *rest)
    assert message in ran.refused()
    assert ran.out == ""
    assert names(tmp_path) == ["p-rungs"], "something is left behind"


def test_a_model_without_an_index_is_refused(molgen: Run, tmp_path: Path) -> None:
    bare = tiny.save(tmp_path / "bare", index=False)
    ran = molgen("tune", bare, *SMALL, "--out", tmp_path / "p.json")
    assert "has no training-set index" in ran.refused()
    assert names(tmp_path) == ["bare"]


def test_a_shipped_preset_that_cannot_be_read_is_refused(molgen: Run, tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "m", sampling={"steps": 12})
    path = model / "molgen.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps({**info, "presets": {"logp=min": preset(remask="rescal")}}))
    ran = molgen("tune", model, *SMALL, "--out", tmp_path / "p.json")
    assert "did you mean rescale" in ran.refused()
    path.write_text(json.dumps({**info, "presets": {"logp=min": {"remask": "rescale"}}}))
    ran = molgen("tune", model, *SMALL, "--out", tmp_path / "p.json")
    assert "molgen.json is damaged: it lacks the key sampling" in ran.refused()
    assert names(tmp_path) == ["m"]


def test_an_interrupted_run_continues(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    # enough rows that the signal comes before the end on a busy machine, too
    words = ["tune", tiny_model, *SMALL, "--n", 60, "--out", tmp_path / "p.json"]
    ran = stopped(words, tmp_path / "p-rungs", signal.SIGINT)
    assert ran.status == 130
    assert ran.err.endswith(
        " of 2 rungs are finished; the same command continues\nmolgen tune: interrupted\n"
    )
    assert ran.err.count("\n") == 2
    assert names(tmp_path) == ["p-rungs", "p.csv"], "no preset before the end"
    finished = {p: p.stat().st_mtime_ns for p in (tmp_path / "p-rungs").rglob("*.json")}
    assert 1 <= len(pd.read_csv(tmp_path / "p.csv")) <= 6
    ran = molgen(*words)
    assert ran.status == 0, ran.err
    assert len(pd.read_csv(tmp_path / "p.csv")) == 6
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in finished.items())

from __future__ import annotations

import re
import resource
import signal
from pathlib import Path

import pandas as pd
import pytest

import tiny
from commands import Run, interrupted, stopped

pytest.importorskip("matplotlib", reason="needs the extra 'plots'")

SMALL = ("--property", "qed", "--n", 10, "--steps", 5, "--gamma", "1,2", "--seeds", "0,1")
METHODS = ("--method", "MDLM", "--method", "ReMDM; remask=rescale:eta=.4; weights=sharpened:tau=.5")
WRITTEN = ["frontier.csv", "frontier.html", "frontier.png", "hypervolume.csv", "points"]
HEADER = "task,method,steps,gamma,novel_of_1024,property_mean,novelty_convention\n"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_command_from_nothing_to_a_page(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    published, out = tmp_path / "p.csv", tmp_path / "deep" / "out"
    published.write_text(HEADER + "qed,X,5,1,500,0.6,paper\n")
    words = ("frontier", tiny_model, *SMALL, *METHODS, "--out", out)
    ran = molgen(*words, "--published", published)
    assert (ran.status, ran.err) == (0, "8 runs, 80 rows to draw\n")
    assert names(out) == [*WRITTEN, "ratios.csv"]
    assert len(list((out / "points").iterdir())) == 2 * 8
    table = pd.read_csv(out / "frontier.csv")
    assert len(table) == 2 * 2 * 2 * 2
    assert set(table["convention"]) == {"strict", "paper"}
    assert (table.groupby("convention")["novel"].sum().diff().dropna() <= 0).all()
    plain, guided = (table[table["gamma"] == gamma]["nfe"].mean() for gamma in (1, 2))
    assert guided > 1.5 * plain
    volumes = pd.read_csv(out / "hypervolume.csv")
    assert volumes[volumes["source"] != "molgen"]["arm"].tolist() == ["X"]
    again = molgen(*words, "--conventions", "strict")
    assert again.status == 0
    assert "paper" not in again.out
    pd.testing.assert_frame_equal(pd.read_csv(out / "frontier.csv"), table)  # seconds included
    charts = molgen("frontier", tiny_model, "--property", "qed", "--out", out, "--only-charts")
    assert charts.status == 0
    assert "8 runs" in charts.out
    former = ("--arm", "ReMDM", "--arm=MDLM")  # the option's former name
    turned = ("--property", "qed", "--out", out, "--only-charts", *former)
    assert molgen("frontier", tiny_model, *turned).status == 0
    assert pd.read_csv(out / "frontier.csv")["arm"].unique().tolist() == ["ReMDM", "MDLM"]


def test_default_methods(molgen: Run, tmp_path: Path) -> None:
    own = {"remask": "rescale:eta=0.2", "weights": "sharpened", "steps": 5}
    model = tiny.save(tmp_path / "m", sampling=own)
    out = tmp_path / "out"
    words = ("--property", "qed", "--n", 4, "--steps", 4, "--gamma", 1, "--seeds", 0)
    assert molgen("frontier", model, *words, "--out", out).status == 0
    methods = pd.read_csv(out / "frontier.csv").drop_duplicates("arm").set_index("arm")
    assert list(methods.index) == [
        "MDLM", "ReMDM", "ReMDM rescale", "ReMDM loop", "Forward-backward", "DFM corrector",
    ]  # fmt: skip
    assert methods.loc["ReMDM", ["remask", "weights"]].tolist() == ["rescale:eta=0.2", "sharpened"]
    assert methods.loc["MDLM", "remask"] == "ancestral"


QUICK = ("--gamma", "1,2", "--steps", 5, "--n", 12)


def test_quick(molgen: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small frontier needs no further word; words given beside it are kept."""
    monkeypatch.chdir(tmp_path)
    model = tiny.save(tmp_path / "m")
    ran = molgen("frontier", model, "--quick", *QUICK)
    assert ran.status == 0
    assert ran.err == "8 runs, 96 rows to draw\n"  # two methods, strengths and seeds
    table = pd.read_csv(tmp_path / "frontier-m-ring_count-quick" / "frontier.csv")
    assert set(table["property"]) == {"ring_count"}
    assert table["arm"].unique().tolist() == ["MDLM", "ReMDM"]
    other = ("--property", "qed", "--out", "q", "--method", "MDLM", "--seeds", 3)
    assert molgen("frontier", model, "--quick", *QUICK, *other).status == 0
    table = pd.read_csv(tmp_path / "q" / "frontier.csv")
    assert set(table["property"]) == {"qed"}
    assert set(table["seed"]) == {3}
    for name in ("property", "out"):
        words = {"property": "qed", "out": "x"}
        del words[name]
        given = [part for key, value in words.items() for part in (f"--{key}", value)]
        refused = molgen("frontier", model, *given).refused()
        assert f"{name} is missing, expected --{name} (or --quick)" in refused
        assert f"expected --{name}\n" in molgen("scaling", model, *given).refused()


def test_files_of_other_generators(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    """A file is counted as the rows of a run are, and charted beside them."""
    out, words = tmp_path / "out", ("--method", "MDLM")
    run = ("frontier", tiny_model, *SMALL, *words, "--out", out)
    assert molgen(*run).status == 0
    before = pd.read_csv(out / "frontier.csv")
    drawn = pd.concat(
        [pd.read_csv(p, keep_default_na=False) for p in sorted(out.glob("points/*T5_s0*.gz"))]
    )
    drawn["gamma"] = [1] * 10 + [2] * 10
    drawn[["raw", "gamma"]].to_csv(tmp_path / "again.csv", index=False)
    (tmp_path / "rnn.smi").write_text("CCN\nCCN\nC1CC\n\nCC\n")
    files = ("--samples", f"Again={tmp_path / 'again.csv'}:gamma", "--samples")
    ran = molgen(*run, "--only-charts", *files, f"RNN={tmp_path / 'rnn.smi'}")
    assert ran.status == 0
    assert "rnn.smi: 5 rows" in ran.err
    assert re.search(r"strict, RNN \(file\): \d", ran.out)
    table = pd.read_csv(out / "frontier.csv", keep_default_na=False, dtype={"value": str})
    own = table[table["source"] == "molgen"].reset_index(drop=True)
    assert own["novel"].tolist() == before["novel"].tolist()
    again = table[table["arm"] == "Again"].sort_values(["convention", "value"])
    same = before[before["seed"] == 0].sort_values(["convention", "gamma"])
    assert again["value"].tolist() == ["1", "2"] * 2
    for name in ("n", "valid", "unique", "novel", "novel_fraction"):
        assert again[name].astype(float).tolist() == same[name].tolist(), name
    mean = pd.to_numeric(again["property_mean"], errors="coerce")
    assert mean.tolist() == pytest.approx(same["property_mean"].tolist(), nan_ok=True)
    volumes = pd.read_csv(out / "hypervolume.csv")
    strict = volumes[volumes["convention"] == "strict"].set_index("arm")
    assert strict.loc["RNN", "source"] == "samples"
    rnn = table[(table["arm"] == "RNN") & (table["convention"] == "strict")].iloc[0]
    assert (int(rnn["n"]), float(rnn["valid"]), int(rnn["novel"])) == (5, 0.6, 1)
    assert rnn["nfe"] == rnn["steps"] == rnn["gamma"] == ""


FILES: dict[str, tuple[str, str]] = {
    "no file": ("A=no.smi", "samples A: there is no file 'no.smi'"),
    "no name": ("FILE", "expected NAME=FILE"),
    "an empty name": ("=FILE", "expected NAME=FILE"),
    "a long name": (f"{'x' * 41}=FILE", "of 41 characters, expected at most 40"),
    "no such column": ("A=FILE:temperature", "no column 'temperature'"),
    "the name of a method": ("MDLM=FILE", "'MDLM' of a method"),
    "twice": ("B=FILE", "'B' twice"),
    "no SMILES": ("A=TEXT", "no SMILES"),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_files_are_refused_before_anything_is_drawn(
    molgen: Run, tiny_model: Path, tmp_path: Path, case: str
) -> None:
    given, message = FILES[case]
    file, text = tmp_path / "file.csv", tmp_path / "text.csv"
    file.write_text("raw,x\nCC,1\n")
    text.write_text("smiles\nhello!\n")
    given = given.replace("FILE", str(file)).replace("TEXT", str(text))
    words = ("--samples", given, *(["--samples", given] if case == "twice" else []))
    ran = molgen("frontier", tiny_model, *SMALL, *METHODS, "--out", tmp_path / "out", *words)
    assert message in ran.refused()
    assert names(tmp_path) == ["file.csv", "text.csv"]


def test_scaling(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--property", "qed", "--n", 10, "--seeds", "0,1", *METHODS, "--out", out)
    ran = molgen("scaling", tiny_model, *words, "--steps", "4,16")
    assert (ran.status, ran.err) == (0, "8 runs, 80 rows to draw\n")
    assert names(out) == ["points", "scaling.csv", "scaling.png"]
    assert re.search(r"ReMDM\s+4 -> 16", ran.out)
    table = pd.read_csv(out / "scaling.csv").set_index(["arm", "steps"])
    cost = table["forwards"].groupby(level=[0, 1]).mean()
    assert cost["ReMDM", 16] > cost["MDLM", 16]
    other = molgen("scaling", tiny_model, *words, "--steps", 4, "--gamma", 3)
    assert other.status == 2
    assert "has runs of gamma 2, 3, expected one" in other.err


def test_a_plane(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    """Tokens of a block x steps: one command, which draws no run twice."""
    out = tmp_path / "out"
    further = tiny.save(tmp_path / "left-to-right", noise="none")
    words = ("--property", "qed", "--n", 6, "--seeds", 0, "--method", "MDLM", "--out", out)
    plane = ("scaling", tiny_model, *words, "--plane", "--baseline", further, "--gamma", 1)
    ran = molgen(*plane, "--blocks", "1,all", "--steps", "1,4")
    assert (ran.status, ran.err) == (0, "1 runs, 6 rows to draw\n4 runs, 24 rows to draw\n")
    assert names(out) == ["plane.png", "points", "scaling.csv"]
    table = pd.read_csv(out / "scaling.csv", dtype={"blocks": str}, keep_default_na=False)
    strict = table[table["convention"] == "strict"].set_index(["arm", "steps"])
    assert set(strict.index) == {
        ("AR", 1), *((f"MDLM, blocks {size}", steps) for size in (1, "all") for steps in (1, 4)),
    }  # fmt: skip
    assert strict.loc[("MDLM, blocks all", 1), "nfe"] == 1
    # token by token: a forward a token, whatever the steps
    assert strict.loc[("MDLM, blocks 1", 1), "nfe"] == strict.loc[("MDLM, blocks 1", 4), "nfe"] > 1
    again = molgen(*plane, "--blocks", "1,all,2", "--steps", "1,4")
    assert again.err == "2 runs, 12 rows to draw (4 more are finished)\n"
    assert molgen(*plane, "--only-charts").status == 0
    assert "--blocks: expected whole" in molgen(*plane, "--blocks", "0").refused()


def test_unguided_draws(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    words = ("--property", "logp", "--n", 8, "--seeds", 0, "--steps", 5, "--method", "MDLM")
    ran = molgen("scaling", tiny_model, *words, "--target", "none", "--out", tmp_path / "out")
    assert ran.status == 0
    raw = pd.read_csv(next((tmp_path / "out/points").glob("*.csv.gz")))["raw"].tolist()
    plain = ("--n", 8, "--steps", 5, "--remask", "ancestral")
    assert molgen("sample", tiny_model, *plain, "--out", tmp_path / "a.csv").status == 0
    assert pd.read_csv(tmp_path / "a.csv")["raw"].tolist() == raw


BAD: dict[str, tuple[list[object], str]] = {
    # errors of the library's readers are tested there; here, that they end in one line
    "an unknown property": (["--property", "sa"], "not conditioned on it"),
    "a method's strategy": (
        ["--method", "A; remask=rescal"],
        "method A: remask strategy is 'rescal'",
    ),
    "a method's model": (["--method", "A; model=nosuch"], "no model 'nosuch'"),
    # errors of the command line alone
    "another property's target": (["--target", "logp=1"], "target is 'logp=1'"),
    "gamma of a word": (["--gamma", "1,x"], "--gamma: expected finite numbers"),
    "no gamma": (["--gamma", ""], "--gamma: expected finite numbers"),
    "no steps": (["--steps", "8,0"], "--steps: expected whole numbers from 1"),
    "too many seeds": (["--seeds", ",".join(map(str, range(101)))], "(100 at most)"),
    "a method without its classifier": (["--method", "A; guidance=cbg"], "method A: model"),
    "a baseline": (["--baseline", "nosuch"], "no model 'nosuch'"),
    "another convention": (["--conventions", "loose"], "conventions has 'loose'"),
    "published points that are none": (["--published", "FILE"], "has no column 'task'"),
    "no published points": (["--published", "no.csv"], "No such file or directory: no.csv"),
    "a file for a folder": (["--out", "FILE"], "is a file, not a folder"),
    "a file in the way": (["--out", "FILE/deeper"], "is a file, not a folder"),
    "nothing to chart": (["--only-charts"], "no finished runs"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_line(
    molgen: Run, tiny_model: Path, tmp_path: Path, case: str
) -> None:
    words, message = BAD[case]
    file = tmp_path / "file.csv"
    file.write_text("raw\nCC\n")
    given = [str(word).replace("FILE", str(file)) for word in words]
    ran = molgen("frontier", tiny_model, *SMALL, "--out", tmp_path / "out", *given)
    assert message in ran.refused()
    assert ran.out == ""
    assert names(tmp_path) == ["file.csv"], "something is left behind"


def test_a_model_without_an_index_is_refused(molgen: Run, tmp_path: Path) -> None:
    bare = tiny.save(tmp_path / "bare", index=False)
    ran = molgen("frontier", bare, *SMALL, "--out", tmp_path / "out")
    assert "has no training-set index" in ran.refused()
    assert names(tmp_path) == ["bare"]


def test_one_strength_for_scaling(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    ran = molgen("scaling", tiny_model, *SMALL, "--out", tmp_path / "out")
    assert "gamma is 1,2, expected one number" in ran.refused()
    assert names(tmp_path) == []


def test_other_options_do_not_mix(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    words = ("frontier", tiny_model, *SMALL, "--out", tmp_path, "--method")
    assert molgen(*words, "MDLM").status == 0
    before = (tmp_path / "frontier.csv").read_bytes()
    assert "method MDLM remask ancestral, not cap" in molgen(*words, "MDLM; remask=cap").refused()
    assert "a sweep with n 10, not 11" in molgen(*words, "MDLM", "--n", 11).refused()
    other = ("frontier", tiny_model, "--property", "logp", "--out", tmp_path, "--only-charts")
    assert "property is logp, expected qed" in molgen(*other).refused()
    assert (tmp_path / "frontier.csv").read_bytes() == before


def test_a_full_disk_leaves_complete_runs(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    words = ("frontier", tiny_model, *SMALL, "--method", "MDLM", "--out", tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1300, hard))
    try:
        ran = molgen(*words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ran.status == 2
    (line,) = ran.err.splitlines()[1:]
    assert line.startswith(f"molgen frontier: File too large: {tmp_path}")
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]
    assert molgen(*words).status == 0
    assert "4 runs" in molgen(*words).out


@pytest.mark.parametrize(
    "kind",
    [
        signal.SIGINT,
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_continues(
    molgen: Run, tiny_model: Path, tmp_path: Path, kind: signal.Signals
) -> None:
    words = ["frontier", tiny_model, "--property", "qed", "--n", 24, "--steps", 8, "--seeds"]
    words += ["0,1", "--gamma", "1,2,3,4,5,6", "--method", "MDLM", "--out", tmp_path]
    if kind is signal.SIGKILL:
        ran = stopped(words, tmp_path / "points", kind)
    else:
        ran = interrupted(molgen, words, tmp_path / "points", kind)
    finished = len(list((tmp_path / "points").glob("*.json")))
    assert 2 <= finished < 12, "it ended too early or too late to tell"
    if kind is signal.SIGKILL:
        assert ran.status == -kind
    else:
        assert ran.status == 130
        assert ran.err.startswith("12 runs, 288 rows to draw\n")
        assert ran.err.partition("\n")[2] == (
            f"{finished} of 12 runs are finished; the same command continues\n"
            "molgen frontier: interrupted\n"
        )
        assert len(pd.read_csv(tmp_path / "frontier.csv")) == 2 * finished
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "points").glob("*.json")}
    ran = molgen(*words)
    assert ran.status == 0, ran.err
    assert len(pd.read_csv(tmp_path / "frontier.csv")) == 24
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())

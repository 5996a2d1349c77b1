from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rdkit import Chem

import tiny
from commands import Run

COLUMNS = "index,raw,smiles,status,unique,novel,nfe,classifier_nfe"


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, dtype=str)


def test_a_csv_of_exactly_n_rows(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    ran = molgen(
        "sample", tiny_model, "--n", 31, "--steps", 8, "--seed", 3, "--out", out,
        "--target", "qed=max", "--target", "ring_count=0..1", "--property", "mw", "--gamma", 2,
        "--remask", "rescale", "--eta", 0.2, "--weights", "sharpened", "--temperature", 0.9,
        "--top-p", 0.95, "--device", "cpu", "--dtype", "fp32", "--batch-size", 5,
    )  # fmt: skip
    assert (ran.status, ran.err) == (0, "")
    assert out.read_text().splitlines()[0] == f"{COLUMNS},qed,ring_count,mw"
    table = read(out)
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
        return read(tmp_path / name)

    whole = draw("a.csv", "--n", 24, "--seed", 8)
    pd.testing.assert_frame_equal(draw("b.csv", "--n", 24, "--seed", 8), whole)
    pd.testing.assert_frame_equal(draw("c.csv", "--n", 9, "--seed", 8), whole.head(9))
    assert draw("d.csv", "--n", 24, "--seed", -8)["raw"].tolist() != whole["raw"].tolist()
    even = whole["nfe"].astype(int) % 2 == 0
    assert even.all() == (guidance == "cfg")


def test_every_format_holds_every_row(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "a.smi", "a.sdf", "a.parquet"):
        if name == "a.parquet":
            pytest.importorskip("pyarrow")
        assert (
            molgen("sample", tiny_model, "--n", 12, "--steps", 6, "--out", tmp_path / name).status
            == 0
        )
    table = read(tmp_path / "a.csv")
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


def test_a_trajectory_tells_how_each_row_came_about(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    out, events = tmp_path / "a.csv", tmp_path / "events.csv"
    words = ("--n", 6, "--steps", 10, "--remask", "rescale:eta=.5", "--trajectory", events)
    assert molgen("sample", tiny_model, *words, "--out", out).status == 0
    frame = pd.read_csv(events)
    assert list(frame) == ["molecule", "step", "position", "action", "token", "probability"]
    assert set(frame["action"]) <= {"placed", "removed", "replaced"}
    for row, raw in enumerate(read(out)["raw"]):
        text: dict[int, str] = {}
        for event in frame[frame["molecule"] == row].itertuples():
            text[event.position] = "" if event.action == "removed" else event.token
        assert "".join(text[i] for i in sorted(text)) == raw


def test_a_model_without_an_index_says_so(molgen: Run, tmp_path: Path) -> None:
    bare = tiny.save(tmp_path / "bare", index=False)
    ran = molgen("sample", bare, "--n", 4, "--steps", 4, "--out", tmp_path / "a.csv")
    assert ran.status == 0
    assert ran.err == (
        "warning: the model has no index of known molecules, so no row counts as novel\n"
    )


def test_eta_alone_changes_the_recommended_strategy(molgen: Run, tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "m", sampling={"remask": "rescale:eta=.01,cap=.5", "steps": 10})

    def draw(name: str, *words: object) -> str:
        ran = molgen("sample", model, "--n", 15, *words, "--out", tmp_path / name)
        assert ran.status == 0, ran.err
        return (tmp_path / name).read_text()

    assert draw("a.csv", "--eta", 0.9) == draw("b.csv", "--remask", "rescale:eta=.9,cap=.5")
    assert draw("a.csv", "--eta", 0.9) != draw("c.csv")


BAD: dict[str, tuple[list[object], str]] = {
    "no such model": (["MODEL=nosuch"], "no model 'nosuch': expected a bundled name"),
    "no such folder": (["MODEL=./no/such"], "no model './no/such'"),
    "a misspelled property": (["--target", "qet=max"], "'qet' is unknown; did you mean 'qed'"),
    "a property that does not steer": (
        ["--target", "sa=min"], "target sa: the model is not conditioned on it; it knows qed, "
    ),
    "a target that is no number": (["--target", "qed=abc"], "target qed: value is 'abc', expected"),
    "a range backwards": (["--target", "qed=2..1"], "target qed: range 2.0..1.0 is empty"),
    "a target of NaN": (["--target", "qed=nan"], "target qed: value is 'nan', expected a finite"),
    "a target without value": (["--target", "qed"], "target is 'qed', expected PROP=VALUE"),
    "a target twice": (["--target", "qed=1", "--target", "qed=max"], "target qed is given twice"),
    "another property": (["--property", "colour"], "property 'colour' is unknown"),
    "gamma of NaN": (["--target", "qed=max", "--gamma", "nan"], "gamma is 'nan', expected finite"),
    "gamma without end": (["--gamma", "inf"], "gamma is 'inf', expected finite numbers"),
    "gamma of a word": (["--gamma", "strong"], "gamma is 'strong', expected a number or"),
    "eta above one": (["--remask", "cap", "--eta", "2"], "eta is 2.0, expected a number in [0, 1]"),
    "eta for none": (["--remask", "ancestral", "--eta", ".1"], "ancestral takes no eta"),
    "no such strategy": (["--remask", "rescal"], "did you mean rescale"),
    "no such parameter": (["--remask", "cap:et=1"], "cap has no parameter 'et=1'"),
    "an empty window": (["--remask", "loop:t_on=.1,t_off=.2"], "0 < t_off < t_on < 1"),
    "a loop of two steps": (["--remask", "loop", "--steps", 2], "at least 3 steps"),
    "no such weights": (["--weights", "best"], "weights is 'best', expected one of uniform"),
    "weights without remasking": (["--weights", "confidence"], "masks none again"),
    "gamma half a line": (["--gamma", "1.."], "gamma is '1..', expected a number or START..END"),
    "no such guidance": (["--guidance", "magic"], "guidance is 'magic', expected one of cfg, cbg"),
    "no such scores": (["--guidance", "cbg:scores=guess"], "scores is 'guess', expected one of"),
    "temperature 0": (["--temperature", 0], "temperature is 0.0, expected more than 0"),
    "temperature of NaN": (["--temperature", "nan"], "temperature is nan"),
    "temperature without end": (["--temperature", "inf"], "temperature is inf"),
    "top-p 0": (["--top-p", 0], "top_p is 0.0, expected more than 0 and at most 1"),
    "top-p above one": (["--top-p", 1.5], "top_p is 1.5"),
    "no rows": (["--n", 0], "argument --n: expected a whole number from 1 to 10000000, got '0'"),
    "fewer than none": (["--n", -5], "argument --n: expected a whole number from 1"),
    "too many": (["--n", 10**30], "argument --n: expected a whole number from 1"),
    "a number longer than Python reads": (["--n", "9" * 5000], "got '99999999999999999999...'"),
    "half a row": (["--n", "1.5"], "argument --n: expected a whole number from 1"),
    "no steps": (["--steps", 0], "argument --steps: expected a whole number from 1"),
    "a seed that is a word": (["--seed", "x"], "argument --seed: expected a whole number, got 'x'"),
    "no batch": (["--batch-size", 0], "argument --batch-size: expected a whole number from 1"),
    "a folder that is not there": (["OUT=no/a.csv"], "there is no folder"),
    "a folder for a file": (["OUT=full.csv"], "it is a folder, expected a file"),
    "another extension": (["OUT=a.xls"], "its extension is '.xls', expected one of .csv, .parquet"),
    "no extension": (["OUT=a"], "its extension is ''"),
    "a packed file": (["OUT=a.csv.gz"], "its extension is '.gz'"),
    "a trajectory of molecules": (["--trajectory", "OUT/t.smi"], "expected a file ending in .csv"),
    "two files in one": (["--trajectory", "OUT/a.csv"], "trajectory and out are one file"),
    "no such device": (["--device", "toaster"], "device 'toaster' cannot be used: "),
    "a device that holds no numbers": (["--device", "meta"], "device 'meta' cannot be used: "),
    "no such dtype": (["--dtype", "fp8"], "argument --dtype: invalid choice: 'fp8'"),
    "no such option": (["--colour", "red"], "unrecognized arguments: --colour red"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_line(
    molgen: Run, tiny_model: Path, tmp_path: Path, case: str
) -> None:
    words, message = BAD[case]
    (tmp_path / "full.csv").mkdir()
    model, out, rest = str(tiny_model), tmp_path / "a.csv", ["--n", "5", "--steps", "4"]
    for word in map(str, words):
        if word.startswith("MODEL="):
            model = word.removeprefix("MODEL=")
        elif word.startswith("OUT="):
            out = tmp_path / word.removeprefix("OUT=")
        else:
            rest.append(word.replace("OUT", str(tmp_path)))
    ran = molgen("sample", model, *rest, "--out", out)
    assert message in ran.refused()
    assert ran.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["full.csv"], "something is left behind"


def test_a_gpu_that_is_not_there(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    import torch

    device = f"cuda:{torch.cuda.device_count()}"
    ran = molgen("sample", tiny_model, "--n", 2, "--device", device, "--out", tmp_path / "a.csv")
    assert f"device '{device}' cannot be used" in ran.refused()


def test_what_must_be_given(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    assert "arguments are required: --out" in molgen("sample", tiny_model, "--n", 2).refused()
    missing = molgen("sample", "--out", tmp_path / "a.csv").refused()
    assert "arguments are required: MODEL, --n" in missing


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    ran = molgen("sample", tiny_model, "--n", 2, "--out", tmp_path / "a.csv")
    tmp_path.chmod(0o700)
    assert "no permission" in ran.refused()


@pytest.mark.parametrize("name", ["model.safetensors", "molgen.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_checkpoint(
    molgen: Run, tiny_model: Path, tmp_path: Path, name: str, damage: str
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "damaged"))
    if damage == "cut":
        (model / name).write_bytes((model / name).read_bytes()[:50])
    else:
        (model / name).unlink()
    ran = molgen("sample", model, "--n", 2, "--out", tmp_path / "a.csv")
    assert "damaged" in ran.refused()
    assert [path.name for path in tmp_path.iterdir()] == ["damaged"]


def test_a_full_disk_leaves_what_was_there(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    out.write_text("from before\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        ran = molgen("sample", tiny_model, "--n", 40, "--steps", 4, "--out", out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in ran.refused()
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert out.read_text() == "from before\n"


def test_no_memory_is_one_line_too(
    molgen: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 80 GiB")

    monkeypatch.setattr("molgen.model.Model.draw", exhausted)
    ran = molgen("sample", tiny_model, "--n", 4, "--out", tmp_path / "a.csv")
    assert "out of memory: Unable to allocate 80 GiB" in ran.refused()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_what_was_finished(
    molgen: Run,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: signal.Signals,
) -> None:
    from molgen.cli.sample import Progress

    words = ("sample", tiny_model, "--n", 40, "--steps", 8, "--batch-size", 4, "--property", "mw")
    assert molgen(*words, "--out", tmp_path / "whole.csv").status == 0
    keep, handler = Progress.keep, signal.getsignal(signal.SIGTERM)
    calls: list[int] = []

    def interrupted(progress: Progress, *rows: Any) -> None:
        keep(progress, *rows)
        calls.append(0)
        if len(calls) == 4:
            signal.raise_signal(kind)

    monkeypatch.setattr(Progress, "keep", interrupted)
    ran = molgen(*words, "--out", tmp_path / "part.csv", "--trajectory", tmp_path / "events.csv")
    assert ran.status == 130
    part, whole = read(tmp_path / "part.csv"), read(tmp_path / "whole.csv")
    assert 4 <= len(part) < 40
    assert ran.err == f"interrupted: {len(part)} of 40 rows written\n"
    same = whole.set_index("index").loc[part["index"]].reset_index()
    assert part["raw"].tolist() == same["raw"].tolist()
    assert part["mw"].tolist() == same["mw"].tolist()
    assert part["index"].astype(int).is_monotonic_increasing
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.csv", "whole.csv"]
    assert signal.getsignal(signal.SIGTERM) is handler


def test_interrupted_before_the_first_row_leaves_nothing(
    molgen: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("molgen.guidance.predictor.NetworkPredictor.__call__", interrupted)
    ran = molgen("sample", tiny_model, "--n", 40, "--out", tmp_path / "a.csv")
    assert (ran.status, ran.err, ran.out) == (130, "molgen sample: interrupted\n", "")
    assert not list(tmp_path.iterdir())


TELLING = """
import sys
from molgen.cli import main, sample
keep = sample.Progress.keep
def tell(*rows):
    keep(*rows)
    print("rows", flush=True)
sample.Progress.keep = tell
sys.exit(main(sys.argv[1:]))
"""


def test_a_terminated_process_leaves_what_was_finished(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    words = [
        "sample", str(tiny_model), "--n", "200000", "--steps", "8", "--batch-size", "16",
        "--out", str(out),
    ]  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", TELLING, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "rows\n", process.communicate()[1]
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    table = read(out)
    assert err == f"interrupted: {len(table)} of 200000 rows written\n"
    assert 0 < len(table) < 200000


def test_rows_that_fail_go_on_within_a_budget(
    molgen: Run, tiny_model: Path, tmp_path: Path
) -> None:
    out, plain = tmp_path / "adapted.csv", tmp_path / "plain.csv"
    words = ("sample", tiny_model, "--n", 30, "--seed", 2)
    assert molgen(*words, "--out", plain).status == 0
    ran = molgen(*words, "--adapt", "remask:share=.5,budget=60,until=valid", "--out", out)
    assert ran.status == 0, ran.err
    adapted, once = pd.read_csv(out), pd.read_csv(plain)
    fine = once["status"] == "ok"
    assert not fine.all()
    assert (adapted["raw"][fine] == once["raw"][fine]).all()
    assert (adapted["tries"][fine] == 1).all()
    assert (adapted["tries"][~fine] > 1).all()
    assert (adapted["status"] == "ok").mean() > fine.mean()
    assert (adapted["nfe"] >= once["nfe"]).all()


def test_the_network_may_choose_the_order(molgen: Run, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    words = ("sample", tiny_model, "--n", 8, "--out", out, "--order", "entropy-bounded:gamma=9")
    ran = molgen(*words)
    assert ran.status == 0, ran.err
    assert (pd.read_csv(out)["nfe"] <= 3).all()
    for more in (("--remask", "rescale"), ("--corrector", "likeliest")):
        ran = molgen(*words, *more)
        assert ran.status == 2
        assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--corrector", "likeliest"), "has not"),
        (("--remask", "rescale", "--weights", "quality"), "needs a network that has learned"),
        (("--remask", "rescale", "--weights", "property"), "gamma other than 1"),
        (("--adapt", "remask:share=2"), "share is 2"),
        (("--order", "inside-out"), "order is 'inside-out'"),
    ],
)
def test_what_a_network_has_not_learned_is_refused(
    molgen: Run, tiny_model: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "out.csv"
    ran = molgen("sample", tiny_model, "--n", 4, "--out", out, *words)
    assert ran.status == 2
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert not out.exists()

"""``molgen sample`` with a masked language model."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny_masked
from commands import Run, cells, names


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_masked.save(tmp_path_factory.mktemp("masked") / "model", words=tiny_masked.WORDS)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_templates_are_drawn_and_the_record_repeats_them(molgen: Run, folder: Path) -> None:
    Path("t.txt").write_text("the [MASK] boat\n\n[MASK*3] sea\n")
    words = ["sample", folder, "--template", "t.txt", "--steps", "3", "--seed", "4"]
    ran = molgen(*words, "--n", "3", "--out", "a.csv")
    assert ran.status == 0
    assert ran.out.startswith("6 rows: ")
    table = cells(Path("a.csv"))
    assert list(table) == ["index", "raw", "nfe"]
    assert table["index"].tolist() == list("012345")
    drawn = table["raw"].tolist()
    assert all(text.startswith("the ") and text.endswith(" boat") for text in drawn[::2])
    assert all(text.endswith(" sea") and text.count(" ") == 3 for text in drawn[1::2])
    assert molgen("run", "a.csv.json", "--out", "b.csv").status == 0
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    Path("t.csv").write_text("name,template\nx,the [MASK] boat\ny,[MASK*3] sea\n")
    words[3] = "t.csv"
    assert molgen(*words, "--n", "2", "--out", "c.csv").status == 0
    assert cells(Path("c.csv"))["raw"].tolist() == drawn[:4]


def test_rows_of_a_length_go_to_standard_output(molgen: Run, folder: Path) -> None:
    ran = molgen("sample", folder, "--length", "4", "--n", "2", "--out", "-", "--order", "klass")
    assert ran.status == 0
    lines = ran.out.splitlines()
    assert lines[0] == "index,raw,nfe"
    assert [line.split(",")[1].count(" ") for line in lines[1:]] == [3, 3]


def test_a_run_with_another_template_is_not_resumed(
    molgen: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from molgen.sampling.finished import Finished

    add = Finished.add

    def stop(self: Finished, rows: object, samples: object) -> None:
        add(self, rows, samples)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    Path("t.txt").write_text("the [MASK*4] boat\n")
    words = ["sample", folder, "--template", "t.txt", "--n", "30", "--batch-size", "4"]
    assert molgen(*words, "--out", "whole.csv").status == 0
    with monkeypatch.context() as patch:
        patch.setattr(Finished, "add", stop)
        assert molgen(*words, "--out", "a.csv").status == 130
    assert 0 < len(cells(Path("a.csv"))) < 30
    assert "a.csv.journal" in names(Path())
    Path("t.txt").write_text("the [MASK*3] boat\n")
    assert "t.txt" in molgen(*words, "--out", "a.csv", "--resume").refused()
    Path("t.txt").write_text("the [MASK*4] boat\n")
    assert molgen(*words, "--out", "a.csv", "--resume").status == 0
    assert Path("a.csv").read_bytes() == Path("whole.csv").read_bytes()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--length 4 --target qed=max", "target"),
        ("--length 4 --property qed", "property"),
        ("--length 4 --trajectory t.csv", "trajectory"),
        ("--length 4 --gamma 2", "gamma"),
        ("--length 4 --grammar smiles", "grammar"),
        ("--length 99", "101 tokens, expected at most 24"),
        ("--length 4 --template t.txt", "both"),
        ("--template missing.txt", "missing.txt"),
        ("--template empty.txt", "no template"),
        ("--template unknown.txt", "no token"),
        ("--template list.csv", "'template'"),
        ("--length 4 --adapt restart:budget=9", "until"),
        ("", "--template or --length"),
    ],
)
def test_bad_input_is_one_line(molgen: Run, folder: Path, words: str, part: str) -> None:
    Path("t.txt").write_text("[MASK]\n")
    Path("empty.txt").write_text(" \n\n")
    Path("unknown.txt").write_text("the dog [MASK]\n")
    Path("list.csv").write_text("text\n[MASK]\n")
    refused = molgen("sample", folder, *words.split(), "--n", "2", "--out", "a.csv").refused()
    assert part in refused
    assert "a.csv" not in names(Path())


def test_other_commands_and_other_models_name_what_is_expected(molgen: Run, folder: Path) -> None:
    words = ["--n", "2", "--out", "a.csv"]
    assert "denoiser_from" in molgen("design", folder, "--target", "qed=max", *words).refused()
    assert "qm9" in molgen("sample", "qm9", "--length", "3", *words).refused()

"""Commands that speak lines of JSON: real programs that answer, crash, hang and babble."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from molgen.scorers.command import Command
from molgen.scorers.sessions import Sessions
from property_models import compute, get, scoring

PROGRAM = """
import json, os, sys, time

print("on stderr", file=sys.stderr)
for line in sys.stdin:
    smiles = json.loads(line)["smiles"]
    atoms = len(smiles)
    with open("asked", "a") as file:
        file.write(f"{os.getpid()} {smiles}\\n")
    if atoms == 3:
        os._exit(7)
    if atoms == 4:
        time.sleep(60)
    if atoms == 9 and not os.path.exists("second"):
        open("second", "w").close()
        os._exit(1)
    answer = {
        5: '{"error": "too\\\\nlong"}', 6: "hello", 7: '{"value": "x"}', 8: '{"value": NaN}',
        10: '{"value": null}', 11: '{"value": 1}\\n{"value": 2}',
        12: '{"value": 1, "smiles": "C"}',
    }.get(atoms, json.dumps({"value": atoms}))
    print(answer, flush=True)
"""
CHAINS = ["C" * n for n in (*range(1, 11), 12, 13)]
MESSAGES = {
    "CCC": "the command ended with exit status 7",
    "CCCC": "no result after 1 s",
    "CCCCC": "too long",
    "CCCCCC": "answered 'hello', expected {\"value\": NUMBER}",
    "CCCCCCC": 'answered \'{"value": "x"}\', expected {"value": NUMBER}',
    "CCCCCCCC": 'answered \'{"value": NaN}\', expected {"value": NUMBER}',
    "CCCCCCCCC": "the command ended with exit status 1",
    "CCCCCCCCCC": "no value",
    "CCCCCCCCCCCC": "answered for 'C'",
}


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The property of a program in the working directory."""
    (tmp_path / "my score.py").write_text(PROGRAM, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return f"command:{sys.executable} 'my score.py'"


def asked() -> list[tuple[int, str]]:
    """The process and the molecule of each call."""
    lines = Path("asked").read_text(encoding="utf-8").splitlines()
    return [(int(pid), smiles) for pid, smiles in map(str.split, lines)]


@pytest.mark.parametrize("workers", [1, 3])
def test_each_failure_costs_one_molecule(name: str, workers: int) -> None:
    with scoring(timeout=1, workers=workers) as run:
        found = compute([name], [*CHAINS, "bad(", "OC", "CO"])[name]
    np.testing.assert_array_equal(found, [1, 2, *[np.nan] * 9, 13, np.nan, 2, 2])
    assert run.failures[name].messages == MESSAGES


def test_a_line_too_many_is_not_the_next_answer(name: str) -> None:
    with scoring(timeout=10, workers=1) as run:
        assert compute([name], ["C" * 11])[name] == [1]
        time.sleep(0.3)  # until the second line is there
        np.testing.assert_array_equal(compute([name], ["CC", "C"])[name], [np.nan, 1])
    assert "printed '{\"value\": 2}'" in run.failures[name].messages["CC"]


def test_a_program_serves_many_molecules_and_ends_with_the_run(name: str) -> None:
    with scoring(timeout=10, workers=1):
        np.testing.assert_array_equal(compute([name], ["C", "CC", "C"])[name], [1, 2, 1])
        np.testing.assert_array_equal(get(name)(["O", "CC"]), [1, 2])
    ((pid,), texts) = {pid for pid, _ in asked()}, [text for _, text in asked()]
    assert texts == ["C", "CC", "O"]  # a molecule is scored once in a run
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_hanging_program_ends_with_the_run(name: str) -> None:
    start = time.monotonic()
    sessions = Sessions(Command.read(name), 60.0, 1)
    outcomes = sessions.outcomes(["CC", "CCCC"])
    assert next(outcomes) == 2.0
    while len(asked()) < 2:
        time.sleep(0.01)
    sessions.close()
    with pytest.raises(ProcessLookupError):
        os.kill(asked()[0][0], 0)
    assert time.monotonic() - start < 20


def test_retries_use_a_new_program(name: str) -> None:
    with scoring(timeout=10, workers=1) as run:
        found = compute([f"{name},retries=1"], ["C" * 9, "CCC"])[f"{name},retries=1"]
    np.testing.assert_array_equal(found, [9, np.nan])
    assert [text for _, text in asked()] == ["C" * 9, "C" * 9, "CCC", "CCC"]
    assert run.failures[f"{name},retries=1"].failed == 1


def test_nothing_is_run_by_a_shell_or_without_need(tmp_path: Path, name: str) -> None:
    get(f"{name}; touch {tmp_path / 'made'}")
    program = f"command:{sys.executable} -c 'import sys; print(sys.argv[1:])' $HOME; touch made"
    with scoring(timeout=5, workers=1) as run:
        compute([program], ["C"])
    assert "['$HOME;', 'touch', 'made']" in run.failures[program].messages["C"]
    assert not (tmp_path / "made").exists()
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("command:", "expected a program"),
        ("command:no-such-program x", "no program 'no-such-program'"),
        ("command:echo 'x", "No closing quotation"),
        ("command:echo,retries=x", "retries is 'x'"),
        ("command:echo,retries=1,retries=2", "retries is given twice"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        get(name)
    assert "\n" not in str(raised.value)


def test_a_name_from_a_file_is_refused(name: str) -> None:
    for each in (name, "http://127.0.0.1:1/", "dock:DRD2", f"efficiency:{name}"):
        with pytest.raises(ValueError, match="named in a file"):
            compute([each], ["C"], functions=False)
    assert not Path("asked").exists()

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from commands import Run
from molgen import cli
from molgen.molecules.smiles import TokenError

HEAVY = ("torch", "transformers", "rdkit", "pandas", "numpy", "safetensors")
HELP = f"""
import contextlib, io, sys
from molgen import cli
for command in (*cli.COMMANDS, ""):
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        cli.main([word for word in (command, "--help") if word])
    assert "xample:" in text.getvalue() and "molgen " + command in text.getvalue(), command
with contextlib.suppress(SystemExit):
    cli.main(["--version"])
print([name for name in {HEAVY!r} if name in sys.modules])
"""
ONE_CORE = {**os.environ, "OMP_NUM_THREADS": "1"}


def test_every_help_has_an_example_and_imports_nothing_heavy() -> None:
    run = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, env=ONE_CORE, check=False
    )
    assert run.returncode == 0, run.stderr
    version, heavy = run.stdout.splitlines()
    assert version.count(".") == 2
    assert heavy == "[]"


def examples(text: str) -> list[list[str]]:
    """Return the words of each example of a help text; a backslash goes on in the next line."""
    lines = text[text.index("xample:") :].replace("\\\n", " ").splitlines()[1:]
    return [shlex.split(line) for line in lines if line.strip()]


def test_examples_begin_with_their_own_command(molgen: Run) -> None:
    for command in cli.COMMANDS:
        words = examples(molgen(command, "--help").out)
        assert words[0][:2] == ["molgen", command]
        assert all(w[0] == "molgen" and w[1] in cli.COMMANDS for w in words)


def test_examples_can_be_parsed() -> None:
    parser = cli.build_parser()
    for command in cli.COMMANDS:
        module = sys.modules[f"molgen.cli.{command.replace('-', '_')}"]
        for words in examples(module.__doc__ or ""):
            assert parser.parse_args(words[1:]).command == words[1]


def test_without_a_command(molgen: Run) -> None:
    ran = molgen()
    assert "a command is missing: design, sample, " in ran.refused()
    assert ran.out.startswith("usage: molgen ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["desing"], "invalid choice: 'desing'"),
        (["--colour"], "unrecognized arguments: --colour"),
        (["models", "qm9", "b"], "unrecognized arguments: b"),
    ],
)
def test_words_that_mean_nothing(molgen: Run, words: list[str], message: str) -> None:
    line = molgen(*words).refused()
    assert message in line
    assert "--help" in line


def test_version(molgen: Run) -> None:
    assert molgen("--version").out == f"{__import__('molgen').__version__}\n"


def ending(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr("molgen.cli.models.run", fail)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("two\n  lines\tof text"), "molgen models: two lines of text\n"),
        (ValueError(), "molgen models: ValueError\n"),
        (FileNotFoundError(2, "No such file or directory", "a.csv"),
         "molgen models: No such file or directory: a.csv\n"),
        (OSError(28, "No space left on device"), "molgen models: No space left on device\n"),
        (OSError("no number"), "molgen models: no number\n"),
        (MemoryError(), "molgen models: out of memory\n"),
    ],
)  # fmt: skip
def test_errors_are_one_line(
    molgen: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    ending(monkeypatch, error)
    assert molgen("models").refused() == line


def test_a_pointer_stays_under_its_character(molgen: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ending(monkeypatch, TokenError("CC?C", 2, "?"))
    ran = molgen("models")
    assert ran.status == 2
    assert ran.err.splitlines()[1:] == ["  CC?C", "    ^"]


def test_a_mistake_of_our_own_is_not_hidden(molgen: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ending(monkeypatch, AttributeError("a bug"))
    with pytest.raises(AttributeError):
        molgen("models")


def test_an_interrupt_is_130_and_handlers_are_put_back(
    molgen: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def terminate(_: object) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr("molgen.cli.models.run", terminate)
    ran = molgen("models")
    assert (ran.status, ran.err) == (130, "molgen models: interrupted\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_it_runs_on_other_threads_too(molgen: Run) -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(molgen("models").status))
    thread.start()
    thread.join()
    assert found == [0]


@pytest.mark.parametrize("command", ["head -c 1", "true"])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, command: str) -> None:
    run = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "{LONG}" | {command}; echo ${{PIPESTATUS[0]}}'],
        capture_output=True, text=True, env=ONE_CORE, check=False,
    )  # fmt: skip
    assert run.stderr == ""
    assert run.stdout.endswith("0\n")


LONG = (
    "import sys; from molgen import cli; from molgen.cli import models; "
    "models.run = lambda _: print('x' * 200000) or 0; sys.exit(cli.main(['models']))"
)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written() -> None:
    for text, place in (("200000", "> /dev/full"), ("3", "> /dev/full")):
        command = f'"{sys.executable}" -c "{LONG.replace("200000", text)}" {place}'
        run = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, env=ONE_CORE, check=False
        )
        assert run.returncode == 2
        assert run.stderr == "molgen models: No space left on device\n"


def test_no_output_at_all() -> None:
    command = f'"{sys.executable}" -c "{LONG}" >&-'
    run = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=ONE_CORE, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_an_error_that_quotes_a_long_input_is_short(molgen: Run, tmp_path: Path) -> None:
    path = tmp_path / "set.smi"
    path.write_text("CCO\n")
    for words in (["--property", "C" * 5000], ["--" + "C" * 5000]):
        line = molgen("evaluate", path, *words).refused()
        assert "is unknown" in line or "unrecognized" in line
        assert len(line) < 1100


def test_a_warning_is_one_line_without_a_place_in_the_code() -> None:
    with cli._warnings_in_a_line("molgen models"):  # pytest takes over how they are printed
        line = warnings.formatwarning("mind\nthis", UserWarning, "code.py", 3)
        other = warnings.formatwarning("x", RuntimeWarning, "code.py", 3)
    assert line == "molgen models: mind this\n"
    assert "code.py:3" in other
    assert "code.py" in warnings.formatwarning("x", UserWarning, "code.py", 3)

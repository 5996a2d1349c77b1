"""Build the source distribution and the wheel, and try the wheel where there is nothing else.

    python tests/release.py out/dist      # make release-check

The wheel is built from the source distribution, which is thereby complete, and is installed under
``constraints.txt`` into a new environment that sees neither this checkout nor the packages of the
Python that runs this. Exit status 0, or 1 with what failed. What is *in* the wheel is held by
``integration/test_wheel.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import molgen, property_models
from pathlib import Path
assert Path(molgen.__file__).is_relative_to({env!r}), molgen.__file__
assert Path(property_models.__file__).is_relative_to({env!r}), property_models.__file__
found = molgen.design("qm9", {{"ring_count": 2}}, 2, seed=0, progress=False)
assert len(found.table) == 2, found
print(molgen.__version__)
"""
COMMANDS = (
    ("--help",),
    ("models",),
    ("sample", "qm9", "--n", "4", "--out", "x.csv"),
    ("evaluate", "x.csv", "--train", "qm9", "--no-fcd"),
)


def run(command: Sequence[str | Path], folder: Path, environment: dict[str, str]) -> str:
    """Run a command; return what it prints.

    Raises:
        SystemExit: with the command and its messages, if it fails.
    """
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout.strip()


def main(out: Path) -> None:
    """Build into a folder, install, and run.

    Raises:
        SystemExit: if a step fails.
    """
    outside = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out.resolve())]
    run(build, ROOT, outside)
    wheel, source = (max(out.glob(kind), key=os.path.getmtime) for kind in ("*.whl", "*.tar.gz"))
    for path in (wheel, source):
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        empty, env = Path(folder, "empty"), Path(folder, "env").resolve()
        empty.mkdir()
        venv.create(env, with_pip=True)
        python = env / "bin" / "python"
        constraints = ROOT / "constraints.txt"
        run([python, "-m", "pip", "install", "-c", constraints, wheel.resolve()], empty, outside)
        run([python, "-m", "pip", "check"], empty, outside)
        print("installed:", run([python, "-c", PROGRAM.format(env=str(env))], empty, outside))
        for words in COMMANDS:
            run([env / "bin" / "molgen", *words], empty, outside)
            print("molgen", *words, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

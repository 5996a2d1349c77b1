"""Hostile inputs by the thousand: each ends in a result or in one line, and does no harm.

    python tests/fuzz --inputs 10000 --out out/fuzz

An input offends if the command raises, prints more than one line for bad input, takes more than
2 GB or 60 seconds, imports, runs, fetches or unpickles anything, writes outside its folder, or
leaves something half. Offences are printed by kind, and stored with the words and files to repeat
them; the exit status is then 1. Inputs depend on the seed alone (hypothesis draws them), but each
is judged on its own: nothing is shrunk.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]
LINE = 2000  # characters of an error: an input may be quoted in it
STUCK = 400  # seconds without a new input after which a process is ended
STATUSES = (0, 2, 3)


def judge(words: list[str], status: object, err: str, folder: Path) -> list[str]:
    """Return the offences of an input that ended."""
    found = []
    if status not in STATUSES:
        found.append(f"exit status {status}")
    lines = [line for line in err.splitlines() if line.strip()]
    if status == 2:
        errors = [line for line in lines if line.startswith("molgen")]
        if not errors:
            found.append("status 2 without a line")
        elif len(errors) > 1:
            found.append(f"{len(errors)} lines of errors")
        if any(len(line) > LINE for line in errors):
            found.append("an error of more than 2,000 characters")
        if (folder / "result.csv").exists():
            found.append("status 2 with an output")
    noise = ("Warning:", "Traceback", "[rdkit", "RDKit ERROR", "RDKit WARNING", "Error in sys.")
    found += [f"on stderr: {line[:160]}" for line in lines if any(n in line for n in noise)]
    found += [f"left behind: {path.name}" for path in folder.rglob("*.part")]
    return found


def meet(words: list[str]) -> tuple[object, str, str]:
    """Run a command in this process; return its status, its standard error and a traceback."""
    from molgen.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            return main(words), err.getvalue(), ""
        except SystemExit as end:
            return end.code or 0, err.getvalue(), ""
        except Exception:  # noqa: BLE001  what the command line should have caught
            return "raised", err.getvalue(), traceback.format_exc()


def work(kind: str, seed: int, inputs: int, out: Path) -> None:
    """Meet inputs of one kind, in this process."""
    import hypothesis
    from hypothesis import strategies as st

    from fuzz.kinds import KINDS, Templates
    from fuzz.watch import Hang, Watch

    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    os.chdir(root)  # names without a folder are written here
    templates = Templates.make(root)
    watch = Watch(root)
    counts: Counter[str] = Counter()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=inputs, deadline=None, database=None,
        phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(st.data())
    def each(data: st.DataObject) -> None:
        folder = Path(tempfile.mkdtemp(dir=root))
        try:
            words = KINDS[kind](data.draw, folder, templates)  # type: ignore[arg-type]
            (out / "now.json").write_text(json.dumps({"words": words}))
            hang, trace, err, status = False, "", "", None
            with watch.over() as seen:
                try:
                    status, err, trace = meet(words)
                except Hang:
                    hang = True
            offences = [*dict.fromkeys(seen), *(["did not end"] if hang else [])]
            if trace:
                offences.append("raised " + trace.strip().splitlines()[-1][:200])
            if not hang and not trace:
                offences += judge(words, status, err, folder)
            counts["inputs"] += 1
            counts[f"status {status}"] += 1
            if offences:
                counts["offences"] += 1
                keep = out / f"{counts['offences']:03}"
                shutil.copytree(folder, keep, dirs_exist_ok=True)
                about = {"words": words, "offences": offences, "stderr": err[-2000:]}
                about["trace"] = trace[-4000:]
                (keep / "offence.json").write_text(json.dumps(about, indent=1))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            (out / "counts.json").write_text(json.dumps(counts))

    each()
    shutil.rmtree(root, ignore_errors=True)
    (out / "done").touch()


def run_process(kind: str, seed: int, inputs: int, out: Path) -> tuple[Counter[str], list[str]]:
    """Meet inputs in a process of their own; a crash or a standstill is an offence."""
    out.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, str(HERE), "--worker", kind, "--seed", str(seed)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with (out / "log").open("w") as log:
        process = subprocess.Popen(
            [*words, "--inputs", str(inputs), "--out", str(out)], stdout=log, stderr=log, env=env
        )
        while process.poll() is None:
            time.sleep(0.5)
            now = out / "now.json"
            if now.exists() and time.time() - now.stat().st_mtime > STUCK:
                process.kill()
    counts: Counter[str] = Counter()
    if (out / "counts.json").exists():
        counts.update(json.loads((out / "counts.json").read_text()))
    told = []
    for path in sorted(out.glob("*/offence.json")):
        about = json.loads(path.read_text())
        told += [f"{offence}  [{path.parent}]" for offence in about["offences"]]
    if not (out / "done").exists():
        last = (out / "now.json").read_text() if (out / "now.json").exists() else ""
        told.append(f"the process ended ({process.returncode}) at {last[:500]}  [{out / 'log'}]")
        counts["offences"] += 1
    return counts, told


def main() -> int:
    """Run all kinds; return the exit status."""
    from concurrent.futures import ThreadPoolExecutor

    from fuzz.kinds import KINDS

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kind", action="append", choices=sorted(KINDS))
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    if arguments.worker:
        work(arguments.worker, arguments.seed, arguments.inputs, out)
        return 0
    shutil.rmtree(out, ignore_errors=True)
    names = arguments.kind or list(KINDS)
    share = max(1, arguments.inputs // len(names))
    started = time.monotonic()
    with ThreadPoolExecutor(arguments.processes) as pool:
        runs = {
            name: pool.submit(
                run_process, name, arguments.seed, share, out / name.replace(" ", "-")
            )
            for name in names
        }
    offences = 0
    for name, future in runs.items():
        counts, told = future.result()
        offences += counts["offences"]
        statuses = ", ".join(
            f"{v} {k}" for k, v in sorted(counts.items()) if k.startswith("status")
        )
        print(f"{name}: {counts['inputs']} inputs, {counts['offences']} offences; {statuses}")
        for line in told:
            print(f"  {line}")
    print(f"{offences} offences in {time.monotonic() - started:.0f} s")
    return 1 if offences else 0


if __name__ == "__main__":
    raise SystemExit(main())

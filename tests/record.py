"""A record of rows: what every kind of sampler drew, for a change that is to keep them.

    python tests/record.py            # check, and print what differs
    python tests/record.py --write    # draw anew: after a change that is meant to change rows

Rows are asked for on the command line alone, whose words outlive the code behind them. Tiny
networks run in double precision, where processors agree; the bundled models in fp32, where last
bits differ.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import tiny
import tiny_classifier
from molgen.cli import main

FILE = Path(__file__).parent / "record.json"
COUNTED = ("nfe", "classifier_nfe", "shared_nfe", "tries", "outcome", "constraint", "lost")
"""Columns that are recorded where there are any, beside the raw text of each row."""

SAMPLE = "--n 24 --steps 12 --seed 5"
CFG = f"sample tiny-masked {SAMPLE} --target qed=max --gamma 2"
CBG = f"sample tiny-masked {SAMPLE} --target qed=.5.. --target ring_count=0 --gamma 2"
JUDGING = f"sample tiny-judging {SAMPLE} --remask rescale:eta=.4"
LEFT_TO_RIGHT = f"sample tiny-left-to-right {SAMPLE}"
SCAFFOLD = f"design tiny-masked {SAMPLE} --no-filter --scaffold"
SEARCH = "search tiny-masked --n 6 --nfe 60 --seed 2 --target qed=max --target logp=min"
LEADS = "optimize tiny-masked leads.smi --similarity .3 --attempts 9 --seed 1 --target qed=max"
LEADS += " --gamma 2"

EVENTS = {
    "ancestral": "",
    "cap": "--remask cap:eta=.05",
    "rescale sharpened": "--remask rescale:eta=.3 --weights sharpened:tau=.5",
    "rescale confidence": "--remask rescale:eta=.3 --weights confidence",
    "switch": "--remask switch:t_switch=.6,then=rescale,eta=.2",
    "loop": "--remask loop:t_on=.55,t_off=.05,eta=.1",
    "forward-backward": "--remask forward-backward",
    "flow corrector": "--remask dfm:beta=.5",
    "psi": "--remask psi:kappa=.8",
    "gamma over time": "--gamma 1..3 --temperature .9 --top-p .95",
    "one forward a step": "--gamma 1",
    "context": "--context hide:share=.3,strength=2",
    "profiles": "--conditions profile",
    "grammar": "--grammar smiles --remask rescale:eta=.3",
    "whole kernels": "--guidance cfg:mix=posterior --remask rescale:eta=.3",
}
ORDERS = {
    **{name: f"--order {name}" for name in ("random", "left-to-right", "entropy", "margin")},
    "entropy-bounded": "--order entropy-bounded:gamma=.5",
    "klass": "--order klass",
    "with a grammar": "--order entropy-bounded:gamma=2 --grammar smiles",
    "with valences": "--order chunks:forwards=3 --grammar valence --temperature 4",
}
CLASSIFIERS = {
    "amortised": "cbg",
    "exact": "cbg:scores=exact",
    "taylor": "cbg:scores=taylor",
    "with cfg": "cbg:cfg=1.5",
    "tilted mask": "cbg:scores=exact,tilt_mask=1",
    "guided remasking": "cbg:guided_remasking=1 --remask rescale:eta=.3",
}
OTHER = {
    "unguided": f"sample tiny-masked {SAMPLE}",
    "selfies": f"sample tiny-selfies {SAMPLE} --target qed=max --gamma 2",
    "corrector": f"{JUDGING} --corrector likeliest:every=3",
    "weights by quality": f"{JUDGING} --weights quality",
    "weights by property": f"{JUDGING} --weights property --target qed=max --gamma 2",
    "uniform": f"sample tiny-uniform {SAMPLE}",
    "uniform, cfg": f"sample tiny-uniform {SAMPLE} --target qed=max --gamma 2",
    "uniform, cbg": f"sample tiny-uniform {SAMPLE} --target qed=.5.. --guidance cbg --gamma 2",
    "autoregressive": LEFT_TO_RIGHT,
    "autoregressive, cfg": f"{LEFT_TO_RIGHT} --target qed=max --gamma 2",
    "autoregressive, fudge": f"{LEFT_TO_RIGHT} --target qed=.5.. --guidance fudge --gamma 2",
    "adaptive, restart": f"{CFG} --adapt restart:budget=40",
    "adaptive, remask": f"{CFG} --adapt remask:share=.4,budget=40,by=psi",
    "adaptive, by quality": f"{JUDGING} --adapt remask:budget=40,rising=1",
    "adaptive, until likely": f"{CBG} --guidance cbg --adapt restart:budget=60,until=likely",
    "design": "design tiny-masked --n 8 --steps 12 --seed 5 --target qed=.4.. --target logp=min "
    "--weight qed=2 --max-draws 400",
    "scaffold": f"{SCAFFOLD} *C=O --scaffold [*:1]CC.O[*:2] --target qed=max --gamma 2 "
    "--remask rescale:eta=.2",
    "scaffold, in an order": f"{SCAFFOLD} *N --order entropy --grammar smiles",
    "scaffold, adaptive": f"{SCAFFOLD} *C=O --adapt remask:budget=40",
    "best of n": f"{SEARCH} --method best-of-n",
    "metropolis": f"{SEARCH} --method metropolis:beta=.5",
    "metropolis, exchange": f"{SEARCH} --method metropolis:exchange=1 --pareto",
    "metropolis, fragments": f"{SEARCH} --method metropolis:fragments=.7",
    "smc": f"{SEARCH} --method smc:particles=4,every=2",
    "smc, twisted": f"{SEARCH} --method smc:particles=4,every=2,twist=1,draws=2",
    "leads": f"{LEADS}",
    "leads, oracle": f"{LEADS} --oracle-calls 7",
    "leads, oracle, until enough": f"{LEADS} --oracle-calls 9 --stop-after 1",
    "leads, proposals": f"{LEADS} --top-k 3 --guidance cbg:cfg=1",
    "leads, donors": f"{LEADS} --oracle-calls 9 --donors donors.smi",
}
TINY: dict[str, str] = {
    **{f"events, {name}": f"{CFG} {words}" for name, words in EVENTS.items()},
    **{f"order, {name}": f"{CFG} {words}" for name, words in ORDERS.items()},
    **{f"classifier, {name}": f"{CBG} --guidance {words}" for name, words in CLASSIFIERS.items()},
    **OTHER,
}
FEW = "--steps 32 --seed 3 --dtype fp32"
BUNDLED: dict[str, str] = {
    "qm9": f"sample qm9 --n 48 --remask ancestral --weights uniform --gamma 1 {FEW}",
    "qm9, cfg": f"sample qm9 --n 24 --target qed=max --remask rescale:eta=.1 --gamma 2 {FEW}",
    "qm9, block": "sample qm9 --n 24 --joint block --order chunks:forwards=4 --grammar valence "
    "--temperature 1.5 --seed 3 --dtype fp32",
    "qm9-ar": f"sample qm9-ar --n 48 {FEW}",
    "zinc250k": f"sample zinc250k --n 16 --remask ancestral --weights uniform --adapt none {FEW}",
    "zinc250k, cbg": "sample zinc250k --n 8 --target qed=.8.. --guidance cbg:cfg=1 --gamma 2 "
    f"--adapt none {FEW}",
}


def models(folder: Path) -> None:
    """Write the tiny models and leads that the words speak of."""
    kinds = {"masked": "masked", "uniform": "uniform", "left-to-right": "none"}
    for name, noise in kinds.items():
        path = tiny.save(folder / f"tiny-{name}", noise=noise)
        classifier = tiny_classifier.classifier(time_input=noise == "uniform", noise=noise)
        classifier.save_pretrained(path / "classifier")
    tiny.save(folder / "tiny-judging", quality=True)
    tiny.save(folder / "tiny-selfies", "selfies")
    (folder / "leads.smi").write_text("CCO\nNCC=O\nCCOC=O\nNCCCO\n")
    (folder / "donors.smi").write_text("CCNCC=O\nOCCC=O\nNCC(C)=O\nCOCCN\nNCC(N)=O\n")


def rows(words: str, folder: Path) -> list[str]:
    """Draw what words ask for; return a line a row.

    Args:
        words: of the command line; names of files and models in ``folder`` are found there.
        folder: where the tiny models are; in double precision these run.

    Raises:
        ValueError: if the command fails.
    """
    out = folder / "rows.csv"
    asked = [str(folder / word) if (folder / word).exists() else word for word in words.split()]
    precision = [] if "--dtype" in asked else ["--dtype", "fp64"]
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        status = main([*asked, *precision, "--out", str(out)])
    if status not in (0, 3):
        raise ValueError(f"molgen {words}: {errors.getvalue().strip()}")
    with out.open(encoding="utf-8", newline="") as file:
        return [_line(row) for row in csv.DictReader(file)]


def _line(row: Mapping[str, str]) -> str:
    return " ".join([row["raw"], *(row[name] for name in COUNTED if row.get(name))])


def draw() -> dict[str, list[str]]:
    """Draw every case."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models(folder)
        return {case: rows(words, folder) for case, words in {**TINY, **BUNDLED}.items()}


def read() -> dict[str, list[str]]:
    """Return what is recorded."""
    found: dict[str, list[str]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    now = draw()
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    elif different := [case for case, lines in now.items() if lines != read().get(case)]:
        sys.exit(f"{len(different)} of {len(now)} cases differ: {'; '.join(different)}")
    else:
        print(f"all {len(now)} cases as recorded, {sum(map(len, now.values()))} rows")

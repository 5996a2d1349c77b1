"""The simulator of campaigns against real ones: calibrated at one worker, it predicts two.

    python benchmarks/campaign_simulate.py [MODEL] [--n 60] [--seconds 0.5]

The scorer waits, as one that calls another machine does, so that two workers do not compete for
cores; with ``--seconds 0`` only rows are drawn, which needs two idle cores. Times are from the
call of ``run`` on, the start of the workers included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from molgen.api.campaign import Campaign

SCORER = """
import time

def waits(mol):
    time.sleep(SECONDS)
    return float(mol.GetNumAtoms())
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="qm9")
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--atoms", type=int, default=8, help="least heavy atoms of a molecule")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, predicted = Path(name), {}
        goals = {"qed": ".4.."}
        if arguments.seconds:
            file = folder / "scorers.py"
            file.write_text(SCORER.replace("SECONDS", str(arguments.seconds)))
            goals = {f"{file}:waits": f"{arguments.atoms}.."}
        for workers in (1, 2):
            path = folder / f"{workers}.campaign"
            words = path, "design", arguments.model, goals, arguments.n
            with Campaign(*words, block=32, max_draws=10**6, progress=False) as campaign:
                started = time.monotonic()
                campaign.run(workers=workers)
                seconds = time.monotonic() - started
                if workers == 1:
                    hours = campaign.simulate([1, 2])["hours"]
                    predicted = dict(zip((1, 2), 3600 * hours, strict=True))
            ratio = predicted[workers] / seconds
            print(
                f"{workers} workers: {seconds:.1f} s, predicted {predicted[workers]:.1f} s "
                f"({100 * (ratio - 1):+.1f} %)",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""The file of a campaign: microseconds a row, and memory for many rows.

    python benchmarks/campaign_store.py            # 100,000 rows
    python benchmarks/campaign_store.py --rows 1000

Memory is that of the client and of its largest worker, for a campaign of a tiny network whose rows
are all drawn, with 1,000 rows and with all. Each runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from molgen.campaigns.scheduler import TOGETHER
from molgen.campaigns.store import Block, Row, Store

TESTS = Path(__file__).resolve().parent.parent / "tests"
FEW, BLOCK = 1_000, 64


def blocks_of(rows: int, seed: int = 0) -> list[Block]:
    """Return blocks of rows with an identity, a fate and ten cells; a tenth are duplicates."""
    rng = random.Random(seed)
    texts = ["".join(rng.choices("CNOc1()=", k=40)) for _ in range(rows)]
    texts = [text if rng.random() < 0.9 else texts[0] for text in texts]
    cells = json.dumps([1, texts[0], "ok", True, True, 128, 0, 0.51234567, 2.3456789, 77.123])
    return [
        Block(
            number,
            [
                Row(first + i, text, text, "" if i % 3 else "goal missed: qed", 0.1, cells)
                for i, text in enumerate(texts[first : first + BLOCK])
            ],
            *(8192, 0, 1.0, "here:1"),
        )
        for number, first in enumerate(range(0, rows, BLOCK))
    ]


def store_all(blocks: Sequence[Block], path: Path) -> None:
    """Store blocks; what is there after a moment is a transaction, as with workers as fast."""
    waiting = deque(blocks)
    with closing(Store(path)) as store:
        while waiting:
            with store.transaction():
                moment = time.perf_counter()
                while waiting and time.perf_counter() < moment + TOGETHER:
                    store.add_block(waiting.popleft())


def microseconds(rows: int, path: Path) -> float:
    """Return the time to store a row."""
    blocks = blocks_of(rows)
    started = time.perf_counter()
    store_all(blocks, path)
    return 1e6 * (time.perf_counter() - started) / rows


def drawn(rows: int, folder: Path) -> dict[str, float]:
    """Draw a campaign's rows in this process; return peak memories in MiB and seconds."""
    sys.path.insert(0, str(TESTS))
    import tiny
    from molgen.api.campaign import Campaign

    path = folder / "model"
    if not path.exists():
        tiny.save(path)
    goals = {"heavy_atoms": "1.."}
    file = folder / f"{rows}.campaign"
    started = time.perf_counter()
    with Campaign(file, "design", path, goals, rows, max_draws=rows, progress=False) as campaign:
        status = campaign.run(workers=1)
    seconds = time.perf_counter() - started
    peak = {
        name: resource.getrusage(who).ru_maxrss / 1024
        for name, who in (("client", resource.RUSAGE_SELF), ("worker", resource.RUSAGE_CHILDREN))
    }
    return peak | {"rows": status.drawn, "seconds": seconds}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--drawn", type=Path, help="only draw, in this folder, and print JSON")
    arguments = parser.parse_args()
    if arguments.drawn:
        print(json.dumps(drawn(arguments.rows, arguments.drawn)))
        return
    with tempfile.TemporaryDirectory() as name:
        each = microseconds(arguments.rows, Path(name) / "store.campaign")
        print(f"store: {each:.1f} microseconds a row, over {arguments.rows:,} rows", flush=True)
        found = {}
        for rows in (FEW, arguments.rows):
            words = [sys.executable, __file__, "--rows", str(rows), "--drawn", name]
            out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            found[rows] = json.loads(out)
            print(f"{rows:,} rows: {found[rows]}", flush=True)
        for who in ("client", "worker"):
            ratio = found[arguments.rows][who] / found[FEW][who]
            print(f"memory of the {who}: {ratio:.3f} times that of {FEW:,} rows")


if __name__ == "__main__":
    main()

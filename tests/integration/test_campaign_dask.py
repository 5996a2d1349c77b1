"""Campaigns on a Dask cluster, of whose workers one is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from molgen.api.campaign import Campaign

distributed = pytest.importorskip("distributed", reason="needs the extra 'dask'")

SCORER = """
import os, time
from rdkit import Chem

def size(mol):
    time.sleep(0.02)
    with open(os.environ["CALLS"], "a") as file:
        file.write(Chem.MolToSmiles(mol) + "\\n")
    return float(mol.GetNumAtoms())
"""


@pytest.mark.slow
def test_a_lost_worker_changes_nothing(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scorers.py").write_text(SCORER)
    tables, killed = [], list[int]()
    for name in ("local1", "local3", "dask"):
        monkeypatch.setenv("CALLS", str(tmp_path / f"{name}.log"))
        goals = {f"{tmp_path}/scorers.py:size": "6.."}
        with Campaign(f"{name}.campaign", "design", tiny_model, goals, 150, block=16) as campaign:
            if name == "dask":
                killer = threading.Thread(target=_kill_one, args=(Path(f"{name}.log"), killed))
                killer.start()
                campaign.run("dask", workers=2)
                killer.join()
            else:
                campaign.run(workers=int(name[-1]))
            tables.append(campaign.table)
            scored = campaign.status().scored
        calls = Counter(Path(f"{name}.log").read_text().split())
        if name != "dask":  # whose killed worker loses a batch
            assert max(calls.values()) == 1
            assert sum(calls.values()) >= sum(scored.values())
    assert len(killed) == 1
    assert len(tables[0]) == 150
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2])


def _kill_one(log: Path, killed: list[int]) -> None:
    """Kill a worker of the cluster on this machine once half of the molecules are scored."""
    while not (log.exists() and len(log.read_text().split()) >= 90):
        time.sleep(0.05)
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = {int(pid) for path in children for pid in path.read_text().split()}
    workers = [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(max(workers), signal.SIGKILL)
    killed.append(max(workers))

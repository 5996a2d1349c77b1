"""The frontier's tables on synthetic runs with known results, and the contents of its pages."""

from __future__ import annotations

import dataclasses
import math
import xml.dom.minidom
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from molgen.frontiers.frontier import hypervolumes, over_seeds, published_table, ratios, run_table
from molgen.frontiers.objective import Objective
from molgen.frontiers.plot import frontier_png
from molgen.frontiers.scaling import gains, scaling_png, scaling_table
from molgen.frontiers.store import Record, Run, Store
from molgen.molecules.drawing import svg
from pages import read_page

OBJECTIVE = Objective("ring_count", "4..9", 10, 2.0, 1)
HEADER = "task,method,steps,gamma,novel_of_1024,property_mean,novelty_convention,read_from\n"


def record(
    label: str,
    gamma: float,
    seed: int,
    novel: int,
    mean: float | None,
    objective: Objective = OBJECTIVE,
) -> Record:
    """Return a run of 8 steps; the strict count is one lower, its mean one higher."""
    method = {"label": label, "model": "m", "remask": "ancestral", "weights": "uniform"}
    higher = None if mean is None else mean + objective.sign
    conventions = {
        "paper": {"valid": 0.9, "unique": 0.8, "novel": novel, "property_mean": mean},
        "strict": {"valid": 0.9, "unique": 0.7, "novel": novel - 1, "property_mean": higher},
    }
    cost = {"nfe": 10.0 * gamma, "classifier_nfe": 1.0, "seconds_per_molecule": 0.5}
    run = Run({**method, "guidance": "cfg"}, gamma, 8, seed)
    return Record(objective, run, {}, {**cost, "conventions": conventions})


RUNS = [
    record("B", 1.0, 0, 4, 3.0), record("B", 2.0, 0, 2, 4.0),
    record("B", 1.0, 1, 6, 3.0), record("B", 2.0, 1, 2, 2.5),
    record("A", 1.0, 0, 8, 4.0), record("A", 2.0, 0, 1, None),
    record("A", 1.0, 1, 9, 4.0), record("A", 2.0, 1, 5, 4.0),
]  # fmt: skip


def test_rings_by_the_other_count_stand_beside() -> None:
    new, old = (record("A", gamma, 0, 4, 3.0) for gamma in (1.0, 2.0))
    new.figures["conventions"]["paper"]["beside"] = {"rings_cyclomatic": 2.5}
    new.figures["conventions"]["strict"]["beside"] = {"rings_cyclomatic": None}
    means = run_table([new, old]).set_index(["gamma", "convention"])["rings_cyclomatic_mean"]
    assert means[1.0, "paper"] == 2.5
    assert means.isna().sum() == 3
    other = record("A", 1.0, 0, 4, 3.0, Objective("qed", "max", 10, 0.4, 1))
    assert "rings_cyclomatic_mean" not in run_table([other])


def test_runs_and_fronts() -> None:
    table = run_table(RUNS, ["B"])
    assert len(table) == 16
    assert table["arm"].unique().tolist() == ["B", "A"]
    paper = table[table["convention"] == "paper"].set_index(["arm", "gamma", "seed"])
    assert paper.loc[("B", 1.0, 0), "novel_fraction"] == 0.4
    assert paper.loc[("B", 2.0, 0), "gain"] == 2
    on_front = paper.index[paper["on_front"]].tolist()
    # at seed 1, B's gamma 2 and A's gamma 2 are dominated; A's gamma 2 at seed 0 has no mean
    assert sorted(on_front) == [
        ("A", 1.0, 0), ("A", 1.0, 1), ("B", 1.0, 0), ("B", 1.0, 1), ("B", 2.0, 0)
    ]  # fmt: skip
    assert sorted(paper.index[paper["on_overall_front"]]) == [("A", 1.0, 0), ("A", 1.0, 1)]
    assert math.isnan(paper.loc[("A", 2.0, 0), "property_mean"])


def test_hypervolumes_and_ratios_by_hand() -> None:
    volumes = hypervolumes(run_table(RUNS))
    paper = volumes[volumes["convention"] == "paper"].set_index("arm")
    # B: 0.4 x 1 + 0.2 x 1 at seed 0, 0.6 x 1 at seed 1;  A: 0.8 x 2 and 0.9 x 2
    assert paper.loc["B", "hypervolume"] == pytest.approx(0.6)
    assert paper.loc["B", "sd"] == pytest.approx(0.0, abs=1e-12)
    assert paper.loc["A", "lowest"] == pytest.approx(1.6)
    assert paper.loc["A", "highest"] == pytest.approx(1.8)
    assert paper.loc["A", "sd"] == pytest.approx(0.1 * np.sqrt(2))
    assert paper["gammas"].tolist() == ["1 2", "1 2"]
    table = ratios(volumes).set_index(["arm", "over", "convention"])
    row = table.loc[("A", "B", "paper")]
    assert row["ratio"] == pytest.approx(1.7 / 0.6)
    assert row["lowest"] == pytest.approx(1.6 / 0.6)
    assert row["apart"]
    assert row["same_gammas"]
    assert table.loc[("B", "A", "paper"), "ratio"] == pytest.approx(0.6 / 1.7)


def test_one_seed_or_overlapping_ones_are_not_apart() -> None:
    one = ratios(hypervolumes(run_table(RUNS[:2] + RUNS[4:6])))
    assert not one["apart"].any()
    over = [record("A", 1.0, 0, 4, 3.0), record("A", 1.0, 1, 6, 3.0)]
    over += [record("B", 1.0, 0, 5, 3.0), record("B", 1.0, 1, 7, 3.0)]
    assert not ratios(hypervolumes(run_table(over)))["apart"].any()


def test_one_method_has_no_ratios() -> None:
    table = ratios(hypervolumes(run_table(RUNS[:4])))
    assert table.empty
    assert {"arm", "over", "ratio", "apart"} <= set(table)


def test_seeds_with_fewer_strengths_are_not_averaged_in() -> None:
    interrupted = hypervolumes(run_table(RUNS[:3]))
    paper = interrupted[interrupted["convention"] == "paper"].iloc[0]
    assert (paper["seeds"], paper["gammas"]) == (1, "1 2")
    assert paper["hypervolume"] == pytest.approx(0.6)


def test_less_can_be_better() -> None:
    objective = Objective("sa", "min", 10, 4.0, -1)
    table = run_table([record("A", 1.0, 0, 5, 3.0, objective)])
    assert table["gain"].tolist() == [1.0, 2.0]
    paper = hypervolumes(table).set_index("convention").loc["paper"]
    assert paper["hypervolume"] == pytest.approx(0.5)


def test_means_over_seeds() -> None:
    means = over_seeds(run_table(RUNS)).set_index(["arm", "gamma", "convention"])
    row = means.loc[("B", 1.0, "paper")]
    assert (row["novel"], row["seeds"]) == (5, 2)
    assert row["novel_sd"] == pytest.approx(np.sqrt(2))
    lonely = means.loc[("A", 2.0, "paper")]
    assert lonely["property_mean"] == 4.0  # of the one seed that has a mean
    assert lonely["novel"] == 3


def write_published(path: Path, *rows: str) -> Path:
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def test_published_points(tmp_path: Path) -> None:
    path = write_published(
        tmp_path / "p.csv",
        "ring_count,X,8,1,512,4.0,paper,figure",
        "ring_count,X,8,2,256,5.0,paper,figure",
        "ring_count,Y,,5,100,3,paper,text",
        "qed,X,8,1,,x,paper,figure",
    )
    table = published_table(path, OBJECTIVE)
    assert len(table) == 3
    volumes = hypervolumes(table).set_index("arm")
    assert volumes.loc["X", "hypervolume"] == pytest.approx(0.5 * 2 + 0.25 * 1)
    assert math.isnan(volumes.loc["Y", "steps"])
    assert published_table(path, Objective("logp", "max", 5, 0.0, 1)).empty
    with pytest.raises(ValueError, match="novel is 'nan' in a row of qed, expected a number"):
        published_table(path, Objective("qed", "max", 5, 0.4, 1))
    path.write_text("task,method\nqed,X\n")
    with pytest.raises(ValueError, match="has no column 'steps'"):
        published_table(path, OBJECTIVE)


def coloured(path: Path, colour: tuple[int, int, int]) -> int:
    """Count the pixels near a colour."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(pixels - colour).max(axis=2) < 12).sum())


def test_the_picture_has_every_method_and_published_points(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    runs = run_table(RUNS, ["B", "A"])
    volumes = hypervolumes(runs)
    path = write_published(tmp_path / "p.csv", "ring_count,X,8,1,900,4.9,paper,figure")
    published = published_table(path, OBJECTIVE)
    frontier_png(runs, volumes, OBJECTIVE, tmp_path / "a.png")
    frontier_png(runs, volumes, OBJECTIVE, tmp_path / "b.png", published, ["paper"])
    for name in ("a.png", "b.png"):
        assert coloured(tmp_path / name, (0x2B, 0x6C, 0xB0)) > 300  # B, the first
        assert coloured(tmp_path / name, (0xD0, 0x55, 0x1B)) > 300
    frontier_png(runs, volumes, OBJECTIVE, tmp_path / "c.png", None, ["paper"])
    grey = (0x8A, 0x94, 0xA0)
    assert coloured(tmp_path / "b.png", grey) > coloured(tmp_path / "c.png", grey) + 100
    assert Image.open(tmp_path / "a.png").height > 1.4 * Image.open(tmp_path / "b.png").height


def test_the_scaling_table_and_picture(tmp_path: Path) -> None:
    table = scaling_table(RUNS)
    paper = table[table["convention"] == "paper"].set_index(["arm", "gamma", "seed"])
    assert paper.loc[("A", 1.0, 0), "product"] == pytest.approx(0.8 * 2)
    assert paper.loc[("A", 2.0, 0), "product"] == 0  # no novel row there has a value
    assert paper.loc[("A", 2.0, 0), "forwards"] == 21
    below = scaling_table([record("A", 1.0, 0, 5, 1.0)])
    assert below[below["convention"] == "paper"]["product"].tolist() == [0.0]
    pytest.importorskip("matplotlib")
    scaling_png(table[table["gamma"] == 1], OBJECTIVE, tmp_path / "s.png")
    assert coloured(tmp_path / "s.png", (0x2B, 0x6C, 0xB0)) > 300
    assert coloured(tmp_path / "s.png", (0xD0, 0x55, 0x1B)) > 300


def test_along_a_curve_a_budget_replaces_steps() -> None:
    def at(budget: int | None, nfe: float) -> Record:
        one = record("A", 1.0, 0, 5, 4.0)
        figures = {**one.figures, "nfe": nfe}
        run = msgspec.structs.replace(one.run, budget=budget)
        return dataclasses.replace(one, run=run, figures=figures)

    table = scaling_table([at(64, 50.0), at(16, 12.0)])
    assert table["budget"].tolist() == [16, 16, 64, 64]
    found = gains(over_seeds(table, ("forwards", "product")))
    assert found["knob"].tolist() == ["16 -> 64"]
    assert found["forwards"].tolist() == ["13.0 -> 51.0"]
    assert gains(over_seeds(scaling_table([at(None, 9.0)]), ("forwards", "product")))[
        "knob"
    ].tolist() == ["8 -> 8"]
    names = {at(budget, 9.0).name for budget in (None, 16, 64)}
    assert len(names) == 3


def stored(folder: Path, label: str) -> tuple[Store, list[Record]]:
    """Store a method's runs: three training molecules, one respelled, five new, a failure."""
    store, smiles = Store(folder), ["CCO", "CCO", "CN", "CC", "CF", "CCF", "CCCF", "OCF", "NCF", ""]
    table = pd.DataFrame({"index": range(10), "raw": smiles, "smiles": smiles})
    table["status"] = ["ok"] * 9 + ["parse"]
    table["novel"] = [False] * 4 + [True] * 5 + [False]
    table["novel_paper"] = [False, True, False, False, *[True] * 5, False]
    table["unique"], table["nfe"], table["classifier_nfe"] = True, 5, 0
    table["ring_count"] = [0, 0, 0, 0, 1, 2, 3, 4, 5, np.nan]
    records = [record(label, gamma, 0, 6, 2.5) for gamma in (1.0, 2.0)]
    for one in records:
        store.save(one, table)
    return store, store.records()


def test_the_page_has_molecules_and_cannot_be_broken_by_a_label(tmp_path: Path) -> None:
    from molgen.reports.frontier import CAP, frontier_html

    label = '</script><b>"&'
    store, records = stored(tmp_path, label)
    runs = run_table(records)
    path = tmp_path / "f.html"
    frontier_html(store, records, runs, hypervolumes(runs), path)
    page = read_page(path)
    data = page.data
    assert data["arms"][0]["label"] == label
    assert len(data["points"]) == 2
    point = data["points"][0]
    assert point["totals"] == {"paper": 6, "strict": 5}
    listed = [data["molecules"][i] for i in point["molecules"]["paper"]]
    assert [m["smiles"] for m in listed] == ["NCF", "OCF", "CCCF", "CCF", "CF", "CCO"]
    assert [m["strict"] for m in listed] == [True] * 5 + [False]
    assert [m["value"] for m in listed] == [5, 4, 3, 2, 1, 0]
    assert [m["beside"] for m in listed] == [{"rings_cyclomatic": 0}] * 6
    assert point["paper"]["beside"] == {"rings_cyclomatic": None}, "runs of an earlier release"
    assert len(data["molecules"]) == 6, "a molecule is stored once"
    assert [data["structures"]["smiles"][m["structure"]] for m in listed] == [
        m["smiles"] for m in listed
    ]
    assert data["cap"] == CAP
    assert "default-src 'none'" in page.policy  # nothing is fetched, nor sent
    assert path.stat().st_size < 100_000


def test_structures_are_drawn_small() -> None:
    text = svg("CC1(O)C2=CC(N)C1[C@H]2C=O")
    document = xml.dom.minidom.parseString(text)
    colours = {p.getAttribute("stroke") or p.getAttribute("fill") for p in
               document.getElementsByTagName("path")}  # fmt: skip
    assert len(colours) >= 3  # carbon, oxygen, nitrogen
    assert "#ff0000" not in colours  # marks of crowded atoms
    assert len(text) < 3000
    with pytest.raises(ValueError, match="smiles 'C1' is no molecule"):
        svg("C1")

"""The frontier as one HTML file: hover over a point for molecules, click to list them.

To keep the page small, a point lists at most :data:`CAP` molecules by each convention, its best
first, and each molecule is stored once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.frontiers.frontier import OURS, PUBLISHED, SAMPLES, over_seeds
from molgen.frontiers.method import Method
from molgen.frontiers.plot import LEAST_GAMMAS, method_colours, method_markers, title
from molgen.frontiers.store import Record, Store
from molgen.reports.assembly import write
from molgen.reports.structures import Structures
from property_models import alongside, compute, get

if TYPE_CHECKING:
    import pandas as pd

    from molgen.frontiers.samples import Samples

CAP = 20  # molecules of a point, by each convention
SCRIPTS = ("core", "structure", "plot", "frontier")
"""Files of the page's own script, in order."""
SIGNS = {  # of a published method, by its marker
    "o": "○", "s": "□", "D": "◇", "^": "△", "v": "▽", "p": "⬠", "h": "⬡",
    "8": "⯃", "<": "◁", ">": "▷",
}  # fmt: skip


def frontier_html(
    store: Store,
    records: Sequence[Record],
    runs: pd.DataFrame,
    volumes: pd.DataFrame,
    path: str | Path,
    published: pd.DataFrame | None = None,
    conventions: Sequence[str] = ("paper", "strict"),
    samples: Samples | None = None,
) -> None:
    """Write the page.

    Args:
        store: the folder of the molecules.
        records: the runs to show, of that folder.
        runs: of :func:`molgen.frontiers.frontier.run_table`, from these records.
        volumes: of :func:`molgen.frontiers.frontier.hypervolumes`; published ones may be among
            them.
        path: of the file.
        published: of :func:`molgen.frontiers.frontier.published_table`.
        conventions: to choose from; the first is shown first.
        samples: of files of molecules.

    Raises:
        MolgenError: if a file of molecules is damaged.
        OSError: if a file cannot be read or written.
    """
    content = page_data(store, records, runs, volumes, published, conventions, samples)
    mean, digits = records[0].objective.data_mean, 3
    write(
        path,
        "frontier.html.jinja",
        SCRIPTS,
        content,
        styles=("frontier",),
        data_mean=f"{mean:.{digits}f}",
        files=bool(samples),
        **{name: content[name] for name in ("title", "subtitle", "property", "n")},
    )


def page_data(
    store: Store,
    records: Sequence[Record],
    runs: pd.DataFrame,
    volumes: pd.DataFrame,
    published: pd.DataFrame | None,
    conventions: Sequence[str],
    samples: Samples | None = None,
) -> dict[str, Any]:
    """Return the data of the page's script; see :func:`frontier_html`."""
    objective = records[0].objective
    files = {file.name: file for file in samples.files} if samples else {}
    colours = method_colours([*dict.fromkeys(runs["arm"]), *files])
    words = {record.run.label: str(Method(**record.run.method)) for record in records}
    words |= {name: str(file) for name, file in files.items()}
    molecules = Molecules(objective.property, objective.sign)
    beside = alongside([objective.property])[1:]
    averaged = over_seeds(runs, [f"{name}_mean" for name in beside])
    means = {
        key: group.set_index("convention")
        for key, group in averaged.groupby(["arm", "gamma", "steps"], sort=False)
    }
    entries = []
    for (label, gamma, steps), figures in means.items():
        draws = [r for r in records if r.run.cell[:3] == (label, gamma, steps)]
        entry = _entry(figures, conventions, beside)
        entry |= {"arm": list(colours).index(label), "gamma": gamma, "steps": int(steps)}
        entry |= molecules.best([store.molecules(r) for r in draws], conventions)
        entry["files"] = [f"{store.molecules_path(r).relative_to(store.folder)}" for r in draws]
        entries.append(entry)
    if samples:
        entries += _sampled(samples, list(colours), molecules, objective.n, conventions, beside)
    return {
        "title": f"{objective.property}: novelty against property",
        "subtitle": title(objective, runs),
        "property": objective.property,
        "sign": objective.sign,
        "n": objective.n,
        "cap": CAP,
        "value_digits": 0 if get(objective.property).integer else 3,
        "digits": 2 if get(objective.property).integer or abs(objective.data_mean) >= 1 else 3,
        "data_mean": objective.data_mean,
        "conventions": list(conventions),
        "steps": sorted({int(steps) for steps in runs["steps"]}),
        "arms": [
            {"label": k, "colour": v, "words": words[k], "file": k in files}
            for k, v in colours.items()
        ],
        "points": entries,
        "molecules": molecules.entries,
        "structures": {
            "smiles": molecules.structures.smiles,
            "blocks": molecules.structures.blocks(),
        },
        **_volumes(volumes),
        **_published(published, objective.n),
    }


class Molecules:
    """The molecules of a page, each stored once."""

    def __init__(self, name: str, sign: int) -> None:
        self.name, self.sign, self.beside = name, sign, alongside([name])[1:]
        self.entries: list[dict[str, Any]] = []
        self.structures = Structures()
        self._indices: dict[str, int] = {}

    def best(self, tables: Sequence[pd.DataFrame], conventions: Sequence[str]) -> dict[str, Any]:
        """Return the indices of a point's best novel molecules, and the number of novel ones.

        Args:
            tables: the point's molecules, one table for each seed.
            conventions: of novelty.

        Returns:
            Under ``molecules`` a list of indices for each convention, under ``totals`` a count.
        """
        import pandas as pd

        rows = pd.concat(tables, ignore_index=True)
        rows["gain"] = self.sign * rows[self.name]
        strict = set(rows.loc[rows["novel"], "smiles"])
        indices, totals = {}, {}
        for convention in conventions:
            marks = rows["novel" if convention == "strict" else "novel_paper"]
            novel = rows[marks].drop_duplicates("smiles")
            top = novel.sort_values("gain", ascending=False, kind="stable").head(CAP)
            pairs = zip(top["smiles"], top[self.name], strict=True)
            indices[convention] = [self._index(s, value, s in strict) for s, value in pairs]
            totals[convention] = len(novel)
        return {"molecules": indices, "totals": totals}

    def _index(self, smiles: str, value: float, strict: bool) -> int:
        """Return a molecule's index in the list; strict novelty is the same in every run."""
        if smiles not in self._indices:
            self._indices[smiles] = len(self.entries)
            entry: dict[str, Any] = {"smiles": smiles, "value": float(value), "strict": strict}
            further = compute(self.beside, [smiles]).items()
            entry["beside"] = {name: float(values[0]) for name, values in further}
            self.entries.append({**entry, "structure": self.structures.add(smiles)})
        return self._indices[smiles]


def _sampled(
    samples: Samples,
    labels: list[str],
    molecules: Molecules,
    n: int,
    conventions: Sequence[str],
    beside: Sequence[str],
) -> list[dict[str, Any]]:
    """Return the points of files of molecules, scaled to n rows."""
    entries = []
    for (name, gamma), figures in samples.runs.groupby(["arm", "gamma"], sort=False):
        table = samples.molecules[name, gamma]
        means = over_seeds(figures, [f"{name}_mean" for name in beside]).set_index("convention")
        means["novel"] = means["novel_fraction"] * n
        entry = _entry(means, conventions, beside)
        entry |= {"arm": labels.index(name), "gamma": gamma, "steps": None, "rows": len(table)}
        entry |= molecules.best([table], conventions)
        entry |= {"files": [figures["molecules"].iloc[0]], "value": figures["value"].iloc[0]}
        entries.append(entry)
    return entries


def _entry(
    figures: pd.DataFrame, conventions: Sequence[str], beside: Sequence[str]
) -> dict[str, Any]:
    """Return the figures of a point, means over its seeds, by convention."""
    first = figures.iloc[0]
    entry: dict[str, Any] = {
        "nfe": finite(first["nfe"]),
        "classifier_nfe": finite(first["classifier_nfe"]),
        "seconds": finite(first["seconds_per_molecule"]),
    }
    names = {"novel": "novel", "property_mean": "mean"}
    columns = {a + end: b + end for a, b in names.items() for end in ("", "_sd")}
    columns |= {"valid": "valid", "unique": "unique"}
    for convention in conventions:
        row = figures.loc[convention]
        entry[convention] = {key: finite(row[name]) for name, key in columns.items()}
        entry[convention]["beside"] = {name: finite(row[f"{name}_mean"]) for name in beside}
    return entry


def _volumes(volumes: pd.DataFrame) -> dict[str, Any]:
    """Return hypervolumes, and the order of a table's rows."""
    rows = [
        {"source": v.source, "arm": v.arm, "steps": finite(v.steps), "convention": v.convention,
         "hypervolume": v.hypervolume, "sd": finite(v.sd)}
        for v in volumes.itertuples()
        if v.source != PUBLISHED or len(v.gammas.split()) >= LEAST_GAMMAS
    ]  # fmt: skip
    labels = {s: volumes.loc[volumes["source"] == s, "arm"] for s in (OURS, SAMPLES, PUBLISHED)}
    return {
        "volumes": rows,
        "volume_rows": [[s, list(dict.fromkeys(a))] for s, a in labels.items()],
    }


def _published(published: pd.DataFrame | None, n: int) -> dict[str, Any]:
    """Return published points, scaled to n rows, and the marker of each method."""
    if published is None:
        return {"published": [], "methods": []}
    rows = [
        {"method": p.arm, "steps": finite(p.steps), "gamma": p.gamma, "convention": p.convention,
         "novel": p.novel_fraction * n, "mean": p.property_mean}
        for p in published.sort_values("gamma", kind="stable").itertuples()
    ]  # fmt: skip
    markers = method_markers(published)
    methods = [{"name": name, "sign": SIGNS[marker]} for name, marker in markers.items()]
    return {"published": rows, "methods": methods}


def finite(value: float) -> float | None:
    """Return a number for JSON: None for NaN."""
    return None if math.isnan(value) else float(value)

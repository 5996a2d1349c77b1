"""The tasks of ``drug_like.py`` on leads: similarity of 0.4 to the lead, and QED of 0.9 at least.

Finished leads are kept in a file as the run goes, and the same command continues behind them.
Molecules of the training set are no success.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit import Chem

from molgen.api.donors import donors_of
from molgen.discovery.goals import read_goals
from molgen.discovery.leads.counts import LeadCounts
from molgen.discovery.leads.optimize import optimize
from molgen.discovery.request import Budget, Request
from molgen.model import Model
from molgen.sampling.settings import Settings
from property_models import compute

Measured = Iterator[tuple[str, dict[str, float]]]
LEAD = {"qed": "0.9.."}
QED, SIMILARITY = 0.9, 0.4
PART = 16  # leads between two writes of their rows


def leads(model: Model, settings: Settings, seed: int, options: argparse.Namespace) -> Measured:
    """Improve leads, with and without an oracle."""
    smiles = _read(options)
    wanted = read_goals(LEAD)
    donors, _ = donors_of(options.donors, wanted)
    for calls in options.oracle_calls:
        request = Request(
            wanted,
            None if calls else options.top_k,
            budget=Budget(
                oracle_calls=calls,
                attempts=options.attempts,
                stop_after=options.stop_after,
            ),
            seed=seed,
            settings=settings,
            donors=donors,
        )
        kept = options.lead_rows
        if kept is not None:  # a file for each run
            kept = kept.with_name(f"{kept.stem}_{calls}_{seed}{kept.suffix}")
        counts = improve(model, smiles, request, kept)
        chosen = f", {options.top_k} of them selected" if options.top_k and not calls else ""
        budget = f"at most {options.attempts} attempts{chosen} and {calls} oracle calls"
        with_donors = ", donors" if donors else ""
        n = len(smiles)
        yield (
            f"{n} leads, {budget}{with_donors}",
            {
                "success": counts.improved / n,
                "NFE": counts.forwards / n,
                "tries": counts.tries / n,
                "oracle calls": counts.oracle_calls / n,
                "guide NFE": counts.classifier_forwards / n,
            },
        )


def improve(
    model: Model, smiles: list[str], request: Request, kept: Path | None = None
) -> LeadCounts:
    """Improve leads in parts; return the counts.

    Args:
        model: the model.
        smiles: of the leads.
        request: of :func:`molgen.discovery.leads.optimize.optimize`.
        kept: file of the rows of finished leads, which are not improved again; None for none.
    """
    total = LeadCounts(request=request, asked=len(smiles))
    if kept is not None and kept.exists():
        empty = dict.fromkeys(("similarity", "qed", "gain", "lead_qed"), "")
        total.add(pd.read_csv(kept, keep_default_na=False, na_values=empty))
    for first in range(total.leads, len(smiles), PART):
        found = optimize(model, smiles[first : first + PART], request, first=first).table
        if kept is not None:
            found.to_csv(kept, mode="a", header=not kept.exists(), index=False)
        total.add(found)
        print(
            f"{total.leads} leads: {total.improved} improved, {total.oracle_calls} calls, "
            f"{total.tries} attempts, {total.forwards} forwards",
            flush=True,
        )
    return total


def lookup(model: Model, settings: Settings, seed: int, options: argparse.Namespace) -> Measured:
    """Count the leads for which a file of molecules has an answer."""
    donors, _ = donors_of(options.donors, read_goals(LEAD))
    assert donors is not None
    own = [Chem.MolFromSmiles(text) for text in _read(options)]
    near = []
    for lead in own:
        like = np.flatnonzero(donors.similarities(lead) >= SIMILARITY)
        near.append({donors.smiles[i] for i in like} - {Chem.MolToSmiles(lead)})
    every = sorted(set().union(*near))
    qed = dict(zip(every, compute(["qed"], every)["qed"], strict=True))
    held = [any(qed[text] >= QED for text in each) for each in near]
    yield f"{len(own)} leads", {"success": float(np.mean(held))}


def _read(options: argparse.Namespace) -> list[str]:
    with options.leads.open(newline="", encoding="utf-8") as file:
        smiles = [row["smiles"] for row in csv.DictReader(file)]
    return smiles[options.skip :][: options.first]

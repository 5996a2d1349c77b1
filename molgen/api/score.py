"""Scores: molecules in any form -> an upper bound of -log p in nats under a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.api.goals import targets_of
from molgen.api.load import ModelLike, loaded
from molgen.api.molecules import MoleculesLike, parents, read_molecules
from molgen.api.progress import Progress, progress_of
from molgen.data.carried import carry
from molgen.diffusion.score_table import entry, summary, table
from molgen.diffusion.string_likelihood import Ids, Score, Scorer, length_nats
from molgen.errors import MolgenError
from molgen.molecules.parsing import random_spellings
from molgen.sampling.result import COMPLETE, INTERRUPTED, Result
from molgen.utils.numbers import whole
from molgen.utils.parallel import cores
from molgen.utils.progress import Bar
from molgen.utils.threads import check_device, resolve_dtype, workers

if TYPE_CHECKING:
    from molgen.model import Model


def score(
    model: ModelLike,
    molecules: MoleculesLike,
    *,
    draws: int = 1,
    condition: Mapping[str, float] | None = None,
    as_written: bool = False,
    spellings: int = 0,
    column: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "fp32",
    progress: Progress | bool | None = None,
) -> Result[dict[str, Any]]:
    """Score given molecules: an upper bound of -log p in nats under a model (lower is likelier).

    A model is a distribution of strings. By default the canonical SMILES is scored, as in training,
    of a salt that of the largest organic fragment.

        molgen.score("zinc250k", ["CCO", "c1ccccc1"], draws=8)

    Args:
        model: a loaded model, or its name.
        molecules: SMILES or RDKit molecules, one or several, a result, a table, or a file.
        draws: orders (or sets of times) to average over: a smaller error, and its estimate.
        condition: likelihood given these values of properties of the model.
        as_written: score each string as written, valid or not.
        spellings: also score this many random SMILES: the bound is then of the molecule.
        column: of the SMILES in a file or a table; None for the usual ones.
        seed: of the orders; the score of a molecule does not depend on other rows.
        device: where the network runs.
        dtype: ``"auto"``, ``"bf16"`` or ``"fp32"``, of the matrix products.
        progress: False for none, or callbacks.

    Returns:
        A row for each molecule with ``nats``, its standard ``error``, ``tokens``, ``length_nats``,
        ``scored``, ``spellings`` and ``reason``. An interrupt ends the run with the scores so far.

    Raises:
        MolgenError: if an argument is invalid, or molecules cannot be read.
    """
    progress = progress_of(progress)
    if as_written and spellings:
        raise MolgenError("as_written and spellings are both given, expected one of them")
    draws, spellings = whole("draws", draws), whole("spellings", spellings, 0)
    targets = {name: _number(name, value) for name, value in targets_of(condition or {}).items()}
    read = read_molecules(molecules, column=column, drawn=True, check=not as_written, others=True)
    model = loaded(model)
    model.prior.check(targets)
    check_device(device)
    for line in read.notes:
        progress.note(line)
    longest, given = model.denoiser.max_length, parents(read.raw, cores())
    entries_of = {}
    for molecule in dict.fromkeys(given):  # repeated ones are scored once
        others = random_spellings(molecule.smiles, spellings, seed)
        entries_of[molecule] = entry(molecule, model.tokenizer, longest, as_written, others)
    entries = [entries_of[molecule] for molecule in given]
    strings = {ids for item in entries for _, ids in item.spellings}
    likelihood = _scorer(model, targets, draws, seed, device, dtype)
    scores: dict[Ids, Score] = {}
    reason = COMPLETE
    with (
        workers(device) as pool,
        Bar(len(strings), "string", "scores", shown=progress.shown) as bar,
    ):
        try:
            for ids, value in likelihood.scores(list(strings), pool, bar.add):
                scores[ids] = value
        except KeyboardInterrupt:
            reason = INTERRUPTED
    frame = carry(table(entries, scores), read.others)
    counts = {"model": model.name, "read": read.facts, **summary(frame)}
    return Result(frame, counts, len(frame), reason, request=targets, model=model)


def _scorer(
    model: Model, targets: Mapping[str, float], draws: int, seed: int, device: str, dtype: str
) -> Scorer:
    """Return the network with its settings."""
    network: Any = model.denoiser
    condition = None
    if targets:
        values = [targets.get(name, math.nan) for name in model.properties]
        condition = np.array(values, dtype=np.float32)
    return Scorer(
        network.to(device),
        length_nats(model.prior, network.max_length, dict(targets)),
        condition,
        draws,
        seed,
        resolve_dtype(dtype, device),
    )


def _number(name: str, value: Any) -> float:
    """Return the value of a condition.

    Raises:
        MolgenError: if it is not a finite number.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise MolgenError(f"condition {name} is {value!r}, expected a number")
    return number

"""Molecules under a constraint: what is kept is clamped, the rest is drawn, and every row checked.

    table = constrained.draw(model, "*c1ccco1", 100, targets={"qed": "max"})

A row is a template with a mask on every token of its open spans. Fixed tokens are never taken off;
the others are drawn by the model's own sampler, with its guidance where there are targets, within
the rules of :mod:`molgen.spans`. Which template, and how long its spans are, is drawn too: lengths
from the model's prior where there is room for the constraint, and of several candidates each row
takes one in proportion to what the network thinks of its fixed tokens ``F``,

    w  =  prod_(l in F) p(x_l | everything masked, L)

which asks for one forward for each length, whatever the number of rows. The text is the network's,
so the molecule is verified: a row that lost its constraint stays a row, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molgen import randomness
from molgen.adaptive import adaptive_sampler
from molgen.fragments import Constraint, Task, read
from molgen.likelihood import noise_of
from molgen.model import Model, Request
from molgen.ordered import OrderedSampler
from molgen.predict import NetworkPredictor, Shaping
from molgen.rows import Floats, Given, Ids
from molgen.sample import Sampler
from molgen.samplers import AnySampler
from molgen.settings import Settings
from molgen.spans import BOND, CLOSING, LABEL, OPENING, SpanPredictor, SpanRules, kind, numbered
from molgen.targets import Target
from molgen.template import Template, templates
from molgen.threads import workers
from molgen.verify import Verifier

if TYPE_CHECKING:
    import pandas as pd

PRIOR_ROWS = 4096  # lengths and conditions to choose from
CANDIDATES = 8  # for each row
LEAD_CHANGE = 2  # tokens by which a lead's length may change at least
NEAR = 2.0  # tokens by which a template's usual length may well differ from the row's
SINGLE = frozenset("-/\\")
"""Bond symbols that leave a single bond single."""

Scaffold: TypeAlias = Constraint | str | Chem.Mol


@dataclass(frozen=True)
class Rows:
    """What a sampler is given.

    Attributes:
        lengths: tokens of each row, shape (rows,).
        condition: property values with shape (rows, properties), or None; as in ``Request``.
        given: templates with masks in their spans.
        rules: what the spans may hold.
        which: index of each row's constraint, shape (rows,).
        forwards: of the network, that choosing templates took, all rows together.
    """

    lengths: Ids
    condition: NDArray[np.float32] | None
    given: Given
    rules: SpanRules
    which: Ids
    forwards: int


def draw(
    model: Model,
    scaffolds: Scaffold | Sequence[Scaffold],
    n: int,
    targets: Mapping[str, Target | str] | None = None,
    seed: int = 0,
    first: int = 0,
    properties: Sequence[str] = (),
    settings: Settings | None = None,
) -> pd.DataFrame:
    """Draw ``n`` rows under constraints.

    Args:
        model: that writes SMILES by taking masks off.
        scaffolds: one or several, read or as :func:`molgen.fragments.read` reads them; of ``k``,
            row ``i`` is under number ``i mod k``.
        n: rows in all.
        targets: property names to a value, ``"max"``, ``"min"``, a ``Range`` or ``"LO..HI"``.
        seed: the same seed gives the same rows, and fewer rows are a prefix of more.
        first: index of the first row, to go on from an earlier call.
        properties: further properties to compute, beside those of the targets.
        settings: how to draw; the model's own by default.

    Returns:
        A table as of :meth:`molgen.model.Model.sample`, with the columns ``scaffold``, as it was
        written, and ``constraint``: ``ok``, or why the row does not keep it. Forwards that belong
        to no single row are in ``attrs["shared_nfe"]``.

    Raises:
        ValueError: if a scaffold, a target or a setting is out of line; nothing has been drawn.
    """
    settings = settings or model.settings(targets=targets)
    several = [scaffolds] if isinstance(scaffolds, Constraint | str | Chem.Mol) else scaffolds
    constraints = [item if isinstance(item, Constraint) else read(item) for item in several]
    request = model.request(PRIOR_ROWS, targets, seed, 0, settings)
    found = rows(model, constraints, n, request, settings, seed, first)
    condition = numbered(found.condition, n)
    with model.sampler(settings, request.targets) as free:
        sampler = restrained(free, found.rules)
        if settings.adapt is not None:
            sampler = adaptive_sampler(model, sampler, settings.adapt)
        samples = sampler.run(found.lengths, condition, seed, first, given=found.given)
    table = model.table(samples, [*request.targets, *properties], first)
    check = [Verifier(constraint) for constraint in constraints]
    kept = [check[i](smiles) for i, smiles in zip(found.which, table["smiles"], strict=True)]
    table = table.assign(scaffold=[constraints[i].source for i in found.which], constraint=kept)
    table.attrs["shared_nfe"] = found.forwards
    return table


def restrained(sampler: AnySampler, rules: SpanRules) -> AnySampler:
    """Return a sampler that keeps to what spans may hold; its rows come :func:`numbered`.

    Raises:
        ValueError: if guidance has a say in how fast this sampler goes.
    """
    if not isinstance(sampler, Sampler | OrderedSampler):
        raise ValueError(
            "under a constraint, guidance must keep the reveal rate: expected no mix=posterior, "
            "tilt_mask or guided_remasking"
        )
    changed = {"predictor": SpanPredictor(sampler.predictor, rules)}
    if isinstance(sampler, Sampler) and sampler.mender is not None:
        changed["mender"] = SpanPredictor(sampler.mender, rules)
    return replace(sampler, **changed)  # type: ignore[arg-type]


def rows(
    model: Model,
    constraints: Sequence[Constraint],
    n: int,
    request: Request,
    settings: Settings,
    seed: int = 0,
    first: int = 0,
) -> Rows:
    """Return what a sampler is given for rows under constraints.

    Args:
        model: that will draw them.
        constraints: what stays; of ``k``, row ``i`` is under number ``i mod k``.
        n: rows.
        request: lengths and conditions to choose from.
        settings: where the network runs.
        seed: row ``i`` depends on the seed and ``first + i`` alone.
        first: index of the first row.

    Raises:
        ValueError: if there is no constraint, or one does not go with the model; see
            :func:`molgen.template.templates`.
    """
    if noise_of(model.denoiser) != "masked":
        raise ValueError(
            f"model {model.name!r} does not write by taking masks off, expected one that does: "
            "under a constraint, some tokens are there from the start"
        )
    if not constraints:
        raise ValueError("scaffolds is empty, expected at least one")
    pools = [_Pool.of(item, model, request, seed) for item in constraints]
    index = first + np.arange(n)
    which = index % len(constraints)
    u = randomness.uniform(
        seed,
        randomness.SHUFFLE,
        index[:, None, None],
        np.arange(CANDIDATES)[:, None],
        np.arange(model.denoiser.max_length + 2),
    )
    candidates = [[pools[which[i]].choose(each) for each in u[i]] for i in range(n)]
    lengths = sorted({len(item.tokens) for several in candidates for item in several})
    expected = _expected(model, lengths, settings)
    last = randomness.uniform(seed, randomness.SHUFFLE, index, CANDIDATES)
    chosen = [_pick(candidates[i], expected, last[i]) for i in range(n)]
    return _assembled(chosen, which, request, model, len(lengths))


@dataclass(frozen=True)
class _Candidate:
    """A row: its tokens, the span that each is in, the template, and the row of the prior."""

    tokens: list[int]
    owner: list[int]
    template: Template
    prior: int


@dataclass(frozen=True, eq=False)
class _Pool:
    """What the rows under one constraint are chosen from.

    Attributes:
        templates: of the constraint.
        prior: rows of the request that are long enough.
        lengths: of rows, for each of them.
        mask_id: id of the mask.
    """

    templates: list[Template]
    prior: Ids
    lengths: Ids
    mask_id: int

    @classmethod
    def of(cls, constraint: Constraint, model: Model, request: Request, seed: int) -> _Pool:
        """Prepare a constraint; see :func:`rows`."""
        mask_id, high = model.denoiser.mask_id, model.denoiser.max_length
        found = templates(constraint, model.tokenizer, high, seed)
        low = min(item.shortest for item in found)
        if constraint.task is Task.LEAD:  # what changes stays about as large as it was
            change = max(LEAD_CHANGE, sum(span.usual for span in found[0].spans) // 2)
            low, high = max(low, found[0].usual - change), min(high, found[0].usual + change)
        able = np.flatnonzero((request.lengths >= low) & (request.lengths <= high))
        if len(able):
            return cls(found, able, request.lengths[able], mask_id)
        # longer than whatever the prior knows: the conditions of its longest rows
        nearest = np.argsort(-request.lengths, kind="stable")[: high - low + 1]
        return cls(found, nearest, low + np.arange(len(nearest)), mask_id)

    def choose(self, u: Floats) -> _Candidate:
        """Choose a row by uniforms with shape (longest + 2,)."""
        k = int(u[0] * len(self.prior))
        length = int(self.lengths[k])
        able = [item for item in self.templates if item.shortest <= length]
        weights = np.exp([-abs(item.usual - length) / NEAR for item in able])
        template = able[_at(weights, u[1])]
        tokens, owner = template.row(template.stretch(length, u[2:]), self.mask_id)
        return _Candidate(tokens, owner, template, int(self.prior[k]))


def _expected(model: Model, lengths: Sequence[int], settings: Settings) -> dict[int, Floats]:
    """Return ``log p(x_l | everything masked, L)`` for each length: (length, vocab)."""
    if not lengths:
        return {}
    width, mask_id = max(lengths), model.denoiser.mask_id
    wanted = np.arange(width) < np.array(lengths, dtype=np.int64)[:, None]
    tokens = np.where(wanted, mask_id, model.denoiser.pad_id)
    with workers(settings.device) as pool:
        place = settings.device, settings.dtype
        predictor = NetworkPredictor(model.denoiser, pool, None, Shaping(), *place)
        p = predictor(tokens, wanted, None, np.zeros(len(lengths))).p
    log_p = np.log(np.maximum(p, np.finfo(np.float64).tiny))
    ends = np.cumsum(lengths)[:-1]
    return dict(zip(lengths, np.split(log_p, ends), strict=True))


def _pick(candidates: Sequence[_Candidate], expected: dict[int, Floats], u: float) -> _Candidate:
    """Choose a candidate in proportion to what the network thinks of its fixed tokens."""
    scores = []
    for item in candidates:
        fixed = [at for at, span in enumerate(item.owner) if span < 0]
        scores.append(expected[len(item.tokens)][fixed, [item.tokens[at] for at in fixed]].sum())
    return candidates[_at(np.exp(np.array(scores) - max(scores)), u)]


def _at(weights: Floats, u: float) -> int:
    """Return the index that a uniform falls on."""
    cdf = np.cumsum(weights)
    return int(min(np.searchsorted(cdf, u * cdf[-1], side="right"), len(weights) - 1))


def _assembled(
    chosen: Sequence[_Candidate], which: Ids, request: Request, model: Model, forwards: int
) -> Rows:
    """Return chosen rows as a sampler takes them."""
    vocab, pad_id = model.tokenizer.vocab, model.denoiser.pad_id
    lengths = np.array([len(item.tokens) for item in chosen], dtype=np.int64)
    shape = len(chosen), int(lengths.max(initial=0))
    tokens, span = np.full(shape, pad_id, dtype=np.int64), np.full(shape, -1, dtype=np.int64)
    barred = np.zeros((*shape, len(vocab)), dtype=bool)
    kinds = [kind(token) if token not in SINGLE else -1 for token in vocab]
    never_first = np.isin(kinds, [BOND, OPENING, CLOSING, LABEL])
    never_last = np.isin(kinds, [BOND, OPENING])
    for i, item in enumerate(chosen):
        tokens[i, : lengths[i]], span[i, : lengths[i]] = item.tokens, item.owner
        for k, rule in enumerate(item.template.spans):
            at = np.flatnonzero(span[i] == k)
            barred[i, at[:, None], list(rule.labels)] = True
            if len(at):
                barred[i, at[0]] |= never_first & rule.hangs
                barred[i, at[-1]] |= never_last & rule.holds
    condition = request.condition
    if condition is not None:
        condition = condition[[item.prior for item in chosen]]
    given = Given(tokens, fixed=(span < 0) & (tokens != pad_id))
    return Rows(lengths, condition, given, SpanRules(span, barred, vocab), which, forwards)

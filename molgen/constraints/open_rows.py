"""Open rows: sampled templates under a constraint, with rules on their spans.

A row is a template (:mod:`molgen.constraints.template`) with a mask on every token of its open
spans. The template and the lengths of its spans (:mod:`molgen.constraints.span_lengths`) are drawn:
of several candidates each row takes one in proportion to the network's probability of its fixed
tokens ``F``,

    w  =  prod_(l in F) p(x_l | everything masked, L)

which takes one forward for each length, for any number of rows. Row ``i`` depends on the seed and
``i`` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.constraints.layout import Draft, Rows, laid_out
from molgen.constraints.scaffolds import Constraint
from molgen.constraints.span_lengths import LengthPool
from molgen.data.prior import PriorDraw
from molgen.errors import MolgenError
from molgen.guidance.predictor import NetworkPredictor
from molgen.molecules.smiles import BOND, CLOSING, LABEL, OPENING, kind
from molgen.sampling.recipe import Recipe
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.threads import workers

CANDIDATES = 8  # for each row
SINGLE = frozenset("-/\\")
"""Symbols of single bonds."""


@dataclass(frozen=True)
class ConstrainedRows(Rows):
    """Rows under constraints, and the cost of their templates.

    Attributes:
        which: index of each row's constraint, shape (rows,).
        forwards: of the network for the choice of templates, all rows together.
    """

    which: Ids
    forwards: int


class OpenRows:
    """Samples open rows by sample index; constraints are prepared once."""

    def __init__(
        self,
        recipe: Recipe,
        constraints: Sequence[Constraint],
        prior_draw: PriorDraw,
        seed: int = 0,
    ) -> None:
        """Prepare constraints.

        Args:
            recipe: of the draws.
            constraints: of ``k``, row ``i`` is under number ``i mod k``.
            prior_draw: lengths and conditions from the prior.
            seed: row ``i`` depends on the seed and ``i`` alone.

        Raises:
            MolgenError: if there is no constraint, or one does not fit the model; see
                :func:`molgen.constraints.template.templates`.
        """
        model = recipe.model
        if recipe.noise != "masked":
            raise MolgenError(
                f"model {model.name!r} is not a masked diffusion model, expected one: under a "
                "constraint, some tokens are fixed from the start"
            )
        if not constraints:
            raise MolgenError("scaffolds is empty, expected at least one")
        self.recipe, self.model, self.prior_draw, self.seed = recipe, model, prior_draw, seed
        self._pools = [LengthPool.of(item, model, prior_draw, seed) for item in constraints]
        self._expected: dict[int, Floats] = {}  # by length

    def __call__(self, n: int, first: int = 0) -> ConstrainedRows:
        """Return the input of a sampler for rows ``first`` to ``first + n - 1``."""
        return self.at(first + np.arange(n))

    def at(self, index: Ids) -> ConstrainedRows:
        """Return the input of a sampler for rows of sample indices, shape (rows,)."""
        which = index % len(self._pools)
        u = randomness.uniform(
            self.seed,
            randomness.SHUFFLE,
            index[:, None, None],
            np.arange(CANDIDATES)[:, None],
            np.arange(self.model.denoiser.max_length + 2),
        )
        candidates = [
            [self._pools[which[i]].choose(each) for each in u[i]] for i in range(len(index))
        ]
        lengths = {len(item.tokens) for several in candidates for item in several}
        new = sorted(lengths - self._expected.keys())
        self._expected |= _expected(self.recipe, new)
        last = randomness.uniform(self.seed, randomness.SHUFFLE, index, CANDIDATES)
        chosen = [_pick(candidates[i], self._expected, last[i]) for i in range(len(index))]
        rows = _laid_out(chosen, self.prior_draw, self.model, index)
        return ConstrainedRows(**vars(rows), which=which, forwards=len(new))


def _expected(recipe: Recipe, lengths: Sequence[int]) -> dict[int, Floats]:
    """Return ``log p(x_l | everything masked, L)`` for each length: (length, vocab)."""
    if not lengths:
        return {}
    denoiser, width = recipe.model.denoiser, max(lengths)
    wanted = np.arange(width) < np.array(lengths, dtype=np.int64)[:, None]
    tokens = np.where(wanted, denoiser.mask_id, denoiser.pad_id)
    with workers(recipe.settings.device) as pool:
        predictor = NetworkPredictor(recipe.network(), pool)
        p = predictor(tokens, wanted, None, np.zeros(len(lengths))).p
    log_p = np.log(np.maximum(p, np.finfo(np.float64).tiny))
    ends = np.cumsum(lengths)[:-1]
    return dict(zip(lengths, np.split(log_p, ends), strict=True))


def _pick(candidates: Sequence[Draft], expected: dict[int, Floats], u: float) -> Draft:
    """Sample a candidate in proportion to the probability of its fixed tokens."""
    scores = []
    for item in candidates:
        fixed = [at for at, span in enumerate(item.owner) if span < 0]
        scores.append(expected[len(item.tokens)][fixed, [item.tokens[at] for at in fixed]].sum())
    return candidates[int(randomness.choose(np.exp(np.array(scores) - max(scores)), u))]


def _laid_out(
    drafts: Sequence[Draft], prior_draw: PriorDraw, model: Checkpoint, index: Ids
) -> Rows:
    """Return chosen rows; bonds are barred at span ends next to a given bond."""
    kinds = [kind(token) if token not in SINGLE else -1 for token in model.tokenizer.vocab]
    never_first = np.isin(kinds, [BOND, OPENING, CLOSING, LABEL])
    never_last = np.isin(kinds, [BOND, OPENING])

    def bar_ends(i: int, span: Ids, barred: Mask) -> None:
        for k, rule in enumerate(drafts[i].template.spans):
            at = np.flatnonzero(span == k)
            if len(at):
                barred[at[0]] |= never_first & rule.after_kept
                barred[at[-1]] |= never_last & rule.before_kept

    return laid_out(drafts, model, prior_draw, bar_ends, index)

"""Joint draws: a denoiser's prediction with its joint block, guided as the product is.

    trunk, once  ->  for each token to draw, from left to right:
                     joint block  ->  classifier-free mixture  ->  tilts  ->  shaping  ->  draw

Every forward of the guidance has its own pass of the block, and their predictions of each token are
mixed as those of the product are. The tilt of a classifier is computed once a step, for ``x_t``: a
factor of each token's value that does not depend on the tokens drawn with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molgen.guidance.completions import Completions
from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.grammar_walk import Walk
from molgen.guidance.kernels import ClassifierFree, Guidance, nest
from molgen.guidance.predictor import NetworkPredictor
from molgen.guidance.prefixes import Prefixes, draw_one, until_alive
from molgen.guidance.shaping import Shaping
from molgen.guidance.smiles_grammar import Language
from molgen.nn.joint_block import JointBlock, Sweep
from molgen.nn.micro_batches import (
    filling,
    micro_batches,
    padded_lengths,
    precision,
    prepared,
    whole_rows,
)
from molgen.utils.arrays import Floats, Ids, Mask
from molgen.utils.randomness import normalised
from molgen.utils.threads import Workers

# Rows of a sweep are filled up to a multiple of WHOLE_ROWS and to LEAST_ROWS, for batch invariance:
# a matrix product of few rows sums in another order.
LEAST_ROWS, WHOLE_ROWS = 32, 8


class JointPredictor(NetworkPredictor):
    """A denoiser with a joint block, optional guidance and shaping; called, it is the product."""

    def __init__(
        self,
        network: MicroBatchedDenoiser,
        block: JointBlock,
        workers: Workers,
        guidance: ClassifierFree | None = None,
        shaping: Shaping = Shaping(),
        tilts: Sequence[Guidance] = (),
    ) -> None:
        """Prepare the block; the other arguments are those of :class:`NetworkPredictor`."""
        super().__init__(network, workers, guidance, shaping, tilts)
        self.block = prepared(block, network.device, network.dtype)

    def begin(
        self,
        tokens: Ids,
        wanted: Mask,
        condition: NDArray[np.float32] | None,
        alpha_t: Floats,
        rows: Ids | None = None,
        language: Language | None = None,
        allowed: Mask | None = None,
    ) -> JointStep:
        """Run the trunk.

        Args:
            tokens: noised ids with shape (rows, longest), padded.
            wanted: masked positions of which some are to be drawn, same shape.
            condition: property values with shape (rows, properties), NaN where left out.
            alpha_t: fraction kept at the step of each row, shape (rows,).
            rows: sample index of each row; not used, see :class:`Predictor`.
            language: of the texts to draw; None for any text.
            allowed: values that each token may have, (rows, longest, vocab); None for all.

        Raises:
            MolgenError: if there is guidance and no condition.
        """
        shape = tokens.shape
        lengths = padded_lengths((tokens != self.pad_id).sum(1), self.max_length)
        beyond = ((0, 0), (0, max(int(lengths.max(initial=0)) - shape[1], 0)))
        tokens = np.pad(tokens, beyond, constant_values=self.pad_id)
        wanted = np.pad(wanted, beyond)
        allowed = None if allowed is None else np.pad(allowed, (*beyond, (0, 0)))

        def run(rows: Ids) -> Part:
            length = int(lengths[rows[0]])
            return self._part(
                rows,
                torch.from_numpy(tokens[rows, :length]),
                torch.from_numpy(wanted[rows, :length]),
                None if condition is None else torch.from_numpy(condition[rows]),
                torch.from_numpy(alpha_t[rows]),
                None if allowed is None else allowed[rows, :length],
            )

        parts = self.workers.map(run, micro_batches(lengths, self.network.device))
        return JointStep(self, list(parts), shape, language)

    @torch.inference_mode()
    def _part(
        self,
        rows: Ids,
        tokens: Tensor,
        wanted: Tensor,
        condition: Tensor | None,
        alpha_t: Tensor,
        allowed: Mask | None,
    ) -> Part:
        """Return the prediction of a micro-batch."""
        count, network, both = len(rows), self.network, self.guidance is not None
        length = tokens.shape[1]
        fill = filling(count, length, network.device, whole_rows(length, self._whole))
        filled, alpha = tokens[fill], alpha_t[fill]
        given = None if condition is None else condition[fill]
        found = network.predict(filled, given, alpha, both, branches=True)
        log_p = self.mix(found.log_p, alpha)
        cost, offset = torch.zeros(len(fill), dtype=torch.int64), None
        if self.tilts:
            plain = self._step(log_p, filled, wanted[fill])
            log_p, cost = nest(self.tilts, plain, filled, alpha)
            offset = torch.where(plain > -torch.inf, log_p - plain, 0.0)[:count]
        assert found.branches is not None  # the network is a MoleculeDenoiser
        again = repeated(count, network.device)
        forwards = len(found.branches[0]) // len(fill)
        every = torch.cat([again + i * len(fill) for i in range(forwards)])
        own, read = (values[every.to(values.device)] for values in found.branches)
        given = None if condition is None else condition[again]
        return Part(
            rows, tokens, again, forwards, own, read, network.conditions(given, both),
            alpha_t[again], log_p[:count], offset, cost[:count].numpy(), allowed,
        )  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A micro-batch after the trunk; its rows are filled with copies of the last.

    Attributes:
        rows: of the batch, shape (rows,).
        tokens: ids of the rows, shape (rows, length).
        fill: the row of each filled row, shape (filled rows,).
        forwards: of the network for each row.
        own: logits of the denoiser, shape (forwards x filled rows, length, vocab).
        read: output of its trunk, shape (forwards x filled rows, length, hidden).
        conditions: of every forward, shape (forwards x filled rows, properties), or None.
        alpha_t: fraction kept, shape (filled rows,).
        log_p: the guided product, shape (rows, length, vocab).
        offset: what tilts add to log-probabilities, same shape; or None.
        classifier_forwards: of each row, shape (rows,).
        allowed: values that each token may have, (rows, length, vocab), or None.
    """

    rows: Ids
    tokens: Tensor
    fill: Tensor
    forwards: int
    own: Tensor
    read: Tensor
    conditions: Tensor | None
    alpha_t: Tensor
    log_p: Tensor
    offset: Tensor | None
    classifier_forwards: Ids
    allowed: Mask | None

    def of(self, chosen: Ids) -> Part:
        """Return the micro-batch of some of its rows, which are distinct; shape (rows,)."""
        fill = repeated(len(chosen), self.own.device)
        rows = torch.from_numpy(chosen)
        at = rows[fill]
        every = torch.cat([at + i * len(self.fill) for i in range(self.forwards)])
        own, read, conditions = (
            None if v is None else v[every.to(v.device)]
            for v in (self.own, self.read, self.conditions)
        )
        assert own is not None
        assert read is not None
        return Part(
            self.rows[chosen], self.tokens[rows], fill, self.forwards, own, read, conditions,
            self.alpha_t[at], self.log_p[rows], None if self.offset is None else self.offset[rows],
            self.classifier_forwards[chosen],
            None if self.allowed is None else self.allowed[chosen],
        )  # fmt: skip

    def filled(self, values: Tensor) -> Tensor:
        """Return values of each row for all forwards and filled rows."""
        repeated = values[self.fill]
        return repeated.repeat(self.forwards, *(1,) * (values.ndim - 1)).to(self.own.device)


class PartSweep:
    """A draw from a micro-batch, token by token; every row is at a position of its own."""

    def __init__(self, predictor: JointPredictor, part: Part, place: Mask) -> None:
        """Start a draw of the tokens of ``place``, shape (rows, length)."""
        self.predictor, self.part = predictor, part
        self._rows = torch.arange(len(part.rows))
        network = predictor.network
        with precision(network.device, network.dtype):
            self._sweep = Sweep(
                predictor.block,
                part.filled(part.tokens),
                part.read,
                part.filled(torch.from_numpy(place)),
                part.conditions,
            )

    def read(self, at: Ids) -> Floats:
        """Return the distribution of a token of each row, shape (rows, vocab).

        Args:
            at: its position, shape (rows,); all tokens to draw on its left have been put.
        """
        part, predictor, network = self.part, self.predictor, self.predictor.network
        position = torch.from_numpy(at)
        where = part.filled(position)
        with precision(network.device, network.dtype):
            change = self._sweep.read(where)
        logits = part.own[torch.arange(len(where), device=where.device), where] + change
        branches = network.combine(logits[:, None], len(part.fill))
        log_p = predictor.mix(branches, part.alpha_t)[: len(at), 0]
        if part.offset is not None:
            log_p = log_p + part.offset[self._rows, position]
        p: Floats = predictor.shaping(log_p).numpy()
        return p if part.allowed is None else restricted(p, part.allowed[self._rows, at])

    def put(self, at: Ids, token: Ids, use: Mask) -> None:
        """Set a token of each row that is used, all with shape (rows,)."""
        network = self.predictor.network
        with precision(network.device, network.dtype):
            self._sweep.put(*(self.part.filled(torch.from_numpy(v)) for v in (at, token, use)))


@dataclass(frozen=True)
class JointStep:
    """The distribution of masked tokens after a forward.

    Attributes:
        predictor: that ran the forward.
        parts: its micro-batches.
        shape: of the tokens, (rows, longest).
        language: of the texts to draw; None for any text.
        completions: of micro-batches, by their rows: an order reads marginals of the same ones that
            a draw follows.
    """

    quality: ClassVar[None] = None
    delta: ClassVar[None] = None
    predictor: JointPredictor
    parts: list[Part]
    shape: tuple[int, ...]
    language: Language | None = None
    completions: dict[bytes, Completions] = field(default_factory=dict, repr=False)

    @property
    def classifier_forwards(self) -> Ids:
        """Classifier forwards of each row, shape (rows,)."""
        found = np.zeros(self.shape[0], dtype=np.int64)
        for part in self.parts:
            found[part.rows] = part.classifier_forwards
        return found

    def marginals(self) -> Floats:
        """Return the guided product at masked tokens, given the language; 0 elsewhere.

        Its shape is (rows, longest, vocab).
        """
        found = np.zeros((*self.shape, self.predictor.network.classes))
        for part in self.parts:
            p = self._product(part) if self.language is None else self._given(part).marginals()
            found[part.rows, : p.shape[1]] = p[:, : self.shape[1]]
        return found

    def _product(self, part: Part) -> Floats:
        """Return the guided product at the masked tokens of a micro-batch."""
        masked = (part.tokens == self.predictor.mask_id).numpy()
        p = np.zeros(part.log_p.shape)
        p[masked] = self.predictor.shaping(part.log_p[torch.from_numpy(masked)]).numpy()
        return p if part.allowed is None else restricted(p, part.allowed)

    def _given(self, part: Part) -> Completions:
        """Return the completions of a micro-batch in the language."""
        assert self.language is not None
        rows = part.rows.tobytes()
        if rows not in self.completions:
            tokens = part.tokens.numpy()
            masked = tokens == self.predictor.mask_id
            self.completions[rows] = self.language.given(tokens, masked, self._product(part))
        return self.completions[rows]

    def _prefixes(self, part: Part) -> Prefixes | None:
        """Return the texts of a micro-batch from the left, if its language checks them."""
        if self.language is None:
            return None
        tokens = part.tokens.numpy()
        return self.language.prefixes(tokens, tokens == self.predictor.mask_id)

    def draw(self, place: Mask, quantile: Floats) -> tuple[Ids, Floats]:
        """Draw tokens jointly, from left to right.

        Args:
            place: the tokens to draw, shape (rows, longest).
            quantile: of each token in its distribution given the tokens to its left; in [0, 1),
                same shape.

        Returns:
            Tokens and their probabilities, both with the shape of ``place``; 0 elsewhere.
        """
        token, psi = np.zeros(self.shape, dtype=np.int64), np.zeros(self.shape)

        def run(part: Part) -> tuple[Ids, Floats]:
            beyond = ((0, 0), (0, max(part.tokens.shape[1] - self.shape[1], 0)))
            own, width = part.rows, part.tokens.shape[1]
            here = np.pad(place[own], beyond)[:, :width], np.pad(quantile[own], beyond)[:, :width]
            return self._draw(part, *here)

        found = self.predictor.workers.map(run, self.parts)
        for part, (drawn, chance) in zip(self.parts, found, strict=True):
            width = min(drawn.shape[1], self.shape[1])
            token[part.rows, :width], psi[part.rows, :width] = drawn[:, :width], chance[:, :width]
        return token, psi

    def _draw(self, part: Part, place: Mask, quantile: Floats) -> tuple[Ids, Floats]:
        """Draw the tokens of a micro-batch, those of a row again while they come to a dead end."""

        def draw(rows: Ids, u: Floats) -> tuple[Ids, Floats, Mask]:
            return self._draw_once(
                part if len(rows) == len(place) else part.of(rows), place[rows], u
            )

        return until_alive(draw, quantile)

    @torch.inference_mode()
    def _draw_once(self, part: Part, place: Mask, quantile: Floats) -> tuple[Ids, Floats, Mask]:
        """Draw the tokens of a micro-batch; also return which rows came to a dead end."""
        token, psi = np.zeros(place.shape, dtype=np.int64), np.zeros(place.shape)
        sweep, count = PartSweep(self.predictor, part, place), place.sum(1)
        order = np.argsort(~place, axis=1, kind="stable")  # the tokens to draw first
        walk = None if self.language is None else Walk(self._given(part))
        prefixes = self._prefixes(part)
        for i in range(int(count.max(initial=0))):
            at, use = order[:, i], i < count
            rows = np.flatnonzero(use)
            p = sweep.read(at)
            if walk is not None:
                p = walk.weigh(at, use, p)
            drawn, here = np.zeros(len(at), dtype=np.int64), (rows, at[use])
            drawn[use], psi[here] = draw_one(prefixes, *here, p[use], quantile[here])
            token[here] = drawn[use]
            sweep.put(at, drawn, use)
            if walk is not None:
                walk.put(at, drawn, use)
        dead = np.zeros(len(place), dtype=bool) if prefixes is None else prefixes.dead
        return token, psi, dead


def repeated(count: int, device: torch.device) -> Tensor:
    """Return the row of each filled row of a sweep over ``count`` rows."""
    least = LEAST_ROWS if device.type == "cpu" else 1
    return torch.arange(-(-max(count, least) // WHOLE_ROWS) * WHOLE_ROWS).clamp(max=count - 1)


def restricted(p: Floats, allowed: Mask) -> Floats:
    """Return distributions over allowed values alone, unchanged where those have no mass.

    Args:
        p: probabilities with shape (..., vocab).
        allowed: of at least as many values, shape (..., vocab).
    """
    return normalised(np.where(allowed[..., : p.shape[-1]], p, 0.0), p)

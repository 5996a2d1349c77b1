"""Self-correcting training: the network learns to correct its own draws and predict their errors.

    x_t  ->  p(x_0 | x_t)  ->  x_s: some of the masked tokens drawn from it  ->  p(x_0 | x_s), q

In addition to the loss of masked diffusion at ``x_t``, a second forward has ``x_s`` as its input,
in which draws of the network replace masks. It is trained at every position, so that a sampler can
correct placed tokens (ProSeCo), and its quality head learns the probability that each drawn token
is right given the others (PRISM), for remasking without a further forward. One run trains both in
the same weights, at twice the cost of a step.

In half of the rows every mask is filled, as in a complete molecule; in the others a part. Tokens
are drawn rather than taken at the mode, because a sampler has to correct draws.

References: Schiff et al., "Learn from your mistakes: self-correcting masked diffusion models"
(2026); Kim et al., "Fine-tuning masked diffusion for provable self-correction" (2025).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from molgen.diffusion import noise
from molgen.errors import MolgenError
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.training.batch import Batch, Noised

WHOLE = 0.5  # of the rows are filled completely


@dataclass(frozen=True)
class SelfCorrecting:
    """Masked diffusion, correction of the network's draws, and their quality.

    Attributes:
        mask_id: id of the mask.
        correction: weight of the cross-entropy at ``x_s`` over all positions.
        quality: weight of the quality head's cross-entropy, for a network that has one.
    """

    mask_id: int
    correction: float = 1.0
    quality: float = 1.0
    drops_values = True

    def corrupt(self, x_0: Tensor, real: Tensor, generator: torch.Generator) -> Noised:
        """Mask, and choose the masks that the network fills; see ``Corruption``."""
        counts = noise.exact_counts(real.sum(1), generator)
        masked = noise.mask_exactly(x_0, real, counts, generator)
        u = torch.rand((2, len(x_0)), generator=generator)
        part = (u[0] * counts).long() + 1
        filled = noise.mask_exactly(
            x_0, masked, torch.where(u[1] < WHOLE, counts, part.minimum(counts)), generator
        )
        return Noised(
            torch.where(masked, self.mask_id, x_0),
            x_s=torch.where(masked & ~filled, self.mask_id, x_0),
            u=torch.rand(x_0.shape, generator=generator),
        )

    def losses(self, model: MoleculeDenoiser, batch: Batch) -> Tensor:
        """Return each row's loss in nats, shape (batch,)."""
        if batch.x_s is None or batch.u is None:
            raise MolgenError("x_s or u is None, expected both for self-correction")
        real, masked = batch.x_0 != model.pad_id, batch.x_t == self.mask_id
        filled = masked & (batch.x_s != self.mask_id)
        log_p = model.logits(batch.x_t, batch.values).log_softmax(-1)
        # as in the bound: the cross-entropy of n of L masked tokens has weight L / n
        weight = real.sum(1) / masked.sum(1)
        loss = _nll(log_p, batch.x_0, masked).sum(1) * weight
        drawn = torch.where(filled, inverse_cdf(log_p.detach(), batch.u), batch.x_s)
        output = model.answer(drawn, batch.values)
        loss = (
            loss
            + self.correction * _nll(output.logits.log_softmax(-1), batch.x_0, real).sum(1) * weight
        )
        if output.quality is not None:
            right = (drawn == batch.x_0).float()
            entropy = F.binary_cross_entropy_with_logits(output.quality, right, reduction="none")
            mean = (entropy * filled).sum(1) / filled.sum(1)
            loss = loss + self.quality * mean * real.sum(1)
        return loss


def inverse_cdf(log_p: Tensor, u: Tensor) -> Tensor:
    """Return the token at each quantile.

    Args:
        log_p: log-probabilities with shape (batch, length, vocab).
        u: quantiles in [0, 1), shape (batch, length).

    Returns:
        Ids with the shape of ``u``; never a token of probability zero.
    """
    p = log_p.exp()
    cdf = p.cumsum(-1)
    token = (cdf <= u[..., None] * cdf[..., -1:]).sum(-1)
    last = p.shape[-1] - 1 - (p.flip(-1) > 0).int().argmax(-1)  # because of rounding
    return token.minimum(last)


def _nll(log_p: Tensor, x_0: Tensor, where: Tensor) -> Tensor:
    """Return ``-log p(x_0)`` at ``where`` and zero elsewhere, shape (batch, length)."""
    target = torch.where(where, x_0, 0)  # padding has log-probability -inf
    return torch.where(where, -log_p.gather(-1, target[..., None]).squeeze(-1), 0.0)

"""The published sampler as a plain loop: the reference for the speed of molgen's sampler.

    x = all masks;   for (alpha_t, alpha_s, sigma) in plan:   x ~ q(x_s | x_t = x)

The whole batch takes every step, padded to its longest row; every step runs the network over every
row, twice under classifier-free guidance, and draws every token again. No prediction is reused and
no row ends early. Same kernels, same weights and the same distribution as
:mod:`molgen.sampling.event_sampler`, as tested in ``tests/integration/test_plain_loop.py``; other
random numbers.

References: Wang et al., "Remasking Discrete Diffusion Models with Inference-Time Scaling" (2025),
algorithm 1; Schiff et al., "Simple Guidance Mechanisms for Discrete Diffusion Models" (2024).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molgen.diffusion.plan import Plan
from molgen.diffusion.posterior import masked_posterior, subs
from molgen.guidance.kernels import classifier_free
from molgen.nn.denoiser import Denoiser


@torch.inference_mode()
def plain_loop(
    denoiser: Denoiser,
    plan: Plan,
    lengths: NDArray[np.int64],
    condition: NDArray[np.float32] | None = None,
    gamma: float = 1.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> tuple[NDArray[np.int64], int]:
    """Draw one row for each length, all at once.

    Args:
        denoiser: the network, on the CPU.
        plan: the steps.
        lengths: tokens of each row, shape (rows,).
        condition: property values with shape (rows, properties), NaN where left out, or None.
        gamma: strength of classifier-free guidance; 1 is the conditional prediction itself.
        seed: of the draw.
        dtype: of the matrix products; all else is float64.

    Returns:
        Ids with shape (rows, longest), padded, and the forwards of the network that each row took.
    """
    generator = torch.Generator().manual_seed(seed)
    real = torch.arange(int(lengths.max())) < torch.from_numpy(lengths)[:, None]
    tokens = torch.where(real, denoiser.mask_id, denoiser.pad_id)
    given = None if condition is None else torch.from_numpy(condition)
    guided = given is not None and gamma != 1.0

    def log_p(values: Tensor | None, alpha: float) -> Tensor:
        clock = torch.full((len(tokens),), alpha)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            logits = denoiser.logits(tokens, values, clock if denoiser.time_input else None)
        return subs(logits.double(), tokens, denoiser.mask_id)

    for alpha_t, alpha_s, sigma in plan.rows():
        prediction = log_p(given, alpha_t)
        if guided:
            prediction = classifier_free(prediction, log_p(None, alpha_t), gamma)
        q = masked_posterior(prediction.exp(), tokens, alpha_t, alpha_s, sigma, denoiser.mask_id)
        drawn = torch.multinomial(q.flatten(0, 1), 1, generator=generator).view_as(tokens)
        tokens = torch.where(real, drawn, tokens)
    return tokens.numpy(), len(plan) * (2 if guided else 1)

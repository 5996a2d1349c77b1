"""Remasking strengths: the probability that a placed token is remasked in one step.

Any ``sigma`` with

    0 <= sigma <= sigma_max = min(1, (1 - alpha_s) / alpha_t)

keeps the marginals of a trained masked diffusion model, so a strategy is a choice of ``sigma`` for
the step ``alpha_t -> alpha_s``. Each function below is one such choice, in plain floats, and each
is within the bound. ``alpha`` is the fraction of tokens kept: 1 clean, 0 all mask.

References: Wang et al., "Remasking Discrete Diffusion Models with Inference-Time Scaling" (2025),
for all but the two correctors; Campbell et al., "A Continuous Time Framework for Discrete
Denoising Models" (2022), for forward-backward; Gat et al., "Discrete Flow Matching" (2024), for
the flow corrector.
"""

from __future__ import annotations

from molgen.errors import MolgenError


def sigma_max(alpha_t: float, alpha_s: float) -> float:
    """Return the largest sigma that keeps the marginals; 0 at ``alpha_t = 0``, all still masked."""
    return min(1.0, (1.0 - alpha_s) / alpha_t) if alpha_t > 0.0 else 0.0


def ancestral(alpha_t: float, alpha_s: float) -> float:
    """Return 0: a placed token stays (plain masked diffusion)."""
    return 0.0


def cap(alpha_t: float, alpha_s: float, eta: float) -> float:
    """Return ``min(eta, sigma_max)``, with ``eta`` in [0, 1]."""
    return min(_unit("eta", eta), sigma_max(alpha_t, alpha_s))


def rescale(alpha_t: float, alpha_s: float, eta: float, eta_cap: float = 1.0) -> float:
    """Return ``eta * min(eta_cap, sigma_max)``, with both etas in [0, 1]."""
    return _unit("eta", eta) * cap(alpha_t, alpha_s, _unit("eta_cap", eta_cap))


def forward_backward(alpha_t: float, alpha_s: float) -> float:
    """Return ``(alpha_s - alpha_t) / alpha_t``, capped: two reverse steps and one forward step.

    In early steps the formula exceeds the bound, and the published kernel has negative
    probabilities.
    """
    return discrete_flow(alpha_t, alpha_s, beta=1.0)


def discrete_flow(alpha_t: float, alpha_s: float, beta: float) -> float:
    """Return ``beta * (alpha_s - alpha_t) / alpha_t``, capped.

    ``beta >= 0`` is the corrector's rate and may change from step to step; 1 is forward-backward.
    """
    if not beta >= 0.0:
        raise MolgenError(f"beta must be at least 0, got {beta}")
    if alpha_t <= 0.0:
        return 0.0
    return min(beta * (alpha_s - alpha_t) / alpha_t, sigma_max(alpha_t, alpha_s))


def psi(alpha_t: float, alpha_s: float, kappa: float) -> float:
    """Return ``(1 - kappa) * (1 - alpha_s)``, with ``kappa`` in [0, 1].

    A token is drawn from the forward process with probability ``1 - kappa``, and by the ancestral
    step otherwise. It never exceeds the bound, since ``alpha_t <= 1``.
    """
    return (1.0 - _unit("kappa", kappa)) * (1.0 - alpha_s) if alpha_t > 0.0 else 0.0


def loop_alpha(t: float, t_on: float, t_off: float, alpha_on: float) -> float:
    """Return the schedule of the loop: up to ``alpha_on``, a plateau, and then up to 1.

    Linear in ``t`` from 0 at ``t = 1`` to ``alpha_on`` at ``t_on``, flat down to ``t_off``, and
    linear to 1 at ``t = 0``. It is continuous, so consecutive steps join even across an end of the
    plateau.

    Raises:
        MolgenError: unless ``0 < t_off <= t_on < 1`` and ``alpha_on`` is in [0, 1].
    """
    if not 0.0 < t_off <= t_on < 1.0:
        raise MolgenError(f"need 0 < t_off <= t_on < 1, got t_on={t_on} and t_off={t_off}")
    _unit("alpha_on", alpha_on)
    if t > t_on:
        return (1.0 - t) * alpha_on / (1.0 - t_on)
    return alpha_on if t > t_off else 1.0 - t * (1.0 - alpha_on) / t_off


def loop(
    t: float, s: float, eta: float, t_on: float, t_off: float, alpha_on: float
) -> tuple[float, float, float]:
    """Return the row ``(alpha_t, alpha_s, sigma)`` of a loop's step from time ``t`` to ``s < t``.

    On the plateau ``sigma = min(eta, sigma_max)``, and as many tokens are placed as remasked. A
    step that is not wholly on it is ancestral.
    """
    alpha_t = loop_alpha(t, t_on, t_off, alpha_on)
    alpha_s = loop_alpha(s, t_on, t_off, alpha_on)
    on_plateau = t <= t_on and s >= t_off
    return alpha_t, alpha_s, cap(alpha_t, alpha_s, eta) if on_plateau else 0.0


def _unit(name: str, value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise MolgenError(f"{name} must lie in [0, 1], got {value}")
    return value

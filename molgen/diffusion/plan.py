"""Plans: the steps of a sampler as a table of ``(alpha_t, alpha_s, sigma)``.

Every remasking strategy is the same posterior kernel with another table, so a strategy here is a
small frozen object that returns the table, and a :class:`Plan` is checked data: it can be printed,
plotted, compared. Row ``i`` goes from ``alpha_t[i]`` to ``alpha_s[i]``, each step starts where the
previous one ended, the first starts at 0 (all masked), the last ends at 1 (all placed), and
``sigma`` is at most ``min(1, (1 - alpha_s) / alpha_t)``, beyond which the marginals change.

References: Wang et al., "Remasking Discrete Diffusion Models with Inference-Time Scaling" (2025);
the strengths themselves are in :mod:`molgen.diffusion.remasking_rates`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from molgen.diffusion import remasking_rates as strength
from molgen.diffusion.continuous_plan import ContinuousPlan, Rate
from molgen.diffusion.noise import LogLinear, Schedule
from molgen.errors import MolgenError
from molgen.utils.options import UNBOUNDED

Row = tuple[float, float, float]
ROUNDING = 1e-12


@dataclass(frozen=True)
class Plan:
    """A checked table of steps.

    Attributes:
        alpha_t: fraction kept before each step, shape (steps,), float64.
        alpha_s: fraction kept after it, same shape.
        sigma: chance that a placed token is masked again, same shape.
    """

    alpha_t: NDArray[np.float64]
    alpha_s: NDArray[np.float64]
    sigma: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check the table.

        Raises:
            MolgenError: naming the first step that is out of range, and the reason.
        """
        a_t, a_s, sigma = self.alpha_t, self.alpha_s, self.sigma
        if not len(a_t) == len(a_s) == len(sigma) > 0:
            raise MolgenError(
                f"a plan needs columns of one length, got {len(a_t)}, {len(a_s)}, {len(sigma)}"
            )
        bound = np.array([strength.sigma_max(t, s) for t, s in zip(a_t, a_s, strict=True)])
        starts = np.concatenate([[0.0], a_s[:-1]])
        faults = {
            "has an entry that is no number": ~np.isfinite(a_t + a_s + sigma),
            "does not start where the step before ended": np.abs(a_t - starts) > ROUNDING,
            "goes back towards the noise": a_s < a_t - ROUNDING,
            "has a sigma outside [0, sigma_max]": (sigma < 0) | (sigma > bound + ROUNDING),
        }
        for fault, where in faults.items():
            if where.any():
                i = int(where.argmax())
                raise MolgenError(
                    f"step {i} {fault}: alpha {a_t[i]:.6g} -> {a_s[i]:.6g}, sigma {sigma[i]:.6g}"
                )
        if abs(a_s[-1] - 1) > ROUNDING:
            raise MolgenError(f"the last step ends at alpha {a_s[-1]:.6g}, expected 1")

    @classmethod
    def from_rows(cls, rows: Iterable[Row]) -> Plan:
        """Build from ``(alpha_t, alpha_s, sigma)`` rows."""
        table = np.array(list(rows), dtype=np.float64).reshape(-1, 3)
        return cls(*(np.ascontiguousarray(column) for column in table.T))

    def __len__(self) -> int:
        return len(self.alpha_t)

    @property
    def remasks(self) -> bool:
        """Whether tokens are remasked."""
        return bool(self.sigma.any())

    def start(self, placed: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the last step before which this fraction of tokens is kept, same shape."""
        return np.searchsorted(self.alpha_t, placed, side="right") - 1

    def rows(self) -> list[Row]:
        """Return the table as plain tuples."""
        columns = (self.alpha_t.tolist(), self.alpha_s.tolist(), self.sigma.tolist())
        return list(zip(*columns, strict=True))

    def __str__(self) -> str:
        lines = [f"{'step':>5} {'alpha_t':>9} {'alpha_s':>9} {'sigma':>9}"]
        lines += [f"{i:5d} {t:9.5f} {s:9.5f} {g:9.5f}" for i, (t, s, g) in enumerate(self.rows())]
        return "\n".join(lines)


class Strategy(Protocol):
    """A remasking strategy: a way to compute a plan."""

    def plan(self, steps: int, schedule: Schedule = ...) -> Plan:
        """Return the plan of ``steps`` steps."""
        ...

    def continuous(self, steps: int) -> ContinuousPlan:
        """Return the plan in continuous time with the remasking rates of ``steps`` steps."""
        ...


def grid(steps: int, schedule: Schedule) -> list[tuple[float, float, float]]:
    """Return ``(t, alpha_t, alpha_s)`` for ``steps`` equal steps of time from 1 to 0.

    Raises:
        MolgenError: if there is no step.
    """
    if steps < 1:
        raise MolgenError(f"steps is {steps}, expected at least 1")
    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    alphas = schedule.alpha(times).clamp(0, 1).tolist()
    alphas[0], alphas[-1] = 0.0, 1.0
    return list(zip(times.tolist(), alphas[:-1], alphas[1:], strict=False))


class _Stepwise:
    """Strategies that use the given schedule and choose a sigma for every step."""

    def sigma(self, t: float, alpha_t: float, alpha_s: float) -> float:
        raise AttributeError("a strategy defines sigma")

    def pieces(self, steps: int) -> list[tuple[float, Rate]]:
        """Return the ends and rates of the pieces of the plan in continuous time."""
        return [(1.0, Rate())]

    def continuous(self, steps: int) -> ContinuousPlan:
        """Return the plan in continuous time along ``alpha = u``."""
        return ContinuousPlan.linear(self.pieces(steps))

    def plan(self, steps: int, schedule: Schedule = LogLinear()) -> Plan:
        """Return the plan of ``steps`` steps along a schedule."""
        return Plan.from_rows((a, b, self.sigma(t, a, b)) for t, a, b in grid(steps, schedule))


@dataclass(frozen=True)
class Ancestral(_Stepwise):
    """Plain masked diffusion (MDLM): placed tokens are never remasked."""

    def sigma(self, t: float, alpha_t: float, alpha_s: float) -> float:
        """Return 0."""
        return strength.ancestral(alpha_t, alpha_s)


@dataclass(frozen=True)
class Cap(_Stepwise):
    """``min(eta, sigma_max)``."""

    eta: float = 0.02

    def sigma(self, t: float, alpha_t: float, alpha_s: float) -> float:
        """Return the capped strength."""
        return strength.cap(alpha_t, alpha_s, self.eta)

    def pieces(self, steps: int) -> list[tuple[float, Rate]]:
        """Return the capped rates."""
        return Rescale(1.0, self.eta).pieces(steps)


@dataclass(frozen=True)
class Rescale(_Stepwise):
    """``eta * min(cap, sigma_max)``; the plain form has ``cap = 1``."""

    eta: float = 0.1
    cap: float = 1.0

    def sigma(self, t: float, alpha_t: float, alpha_s: float) -> float:
        """Return the rescaled strength."""
        return strength.rescale(alpha_t, alpha_s, self.eta, self.cap)

    def pieces(self, steps: int) -> list[tuple[float, Rate]]:
        """Return the rescaled rates: ``sigma_max`` is below the cap from ``1 / (1 + cap)`` on."""
        most = self.eta * steps
        return [
            (1 / (1 + self.cap), Rate(constant=most * self.cap)),
            (1.0, Rate(constant=-most, inverse=most)),
        ]


@dataclass(frozen=True)
class ForwardBackward(_Stepwise):
    """Forward-backward corrector: a reverse step, then a step of the forward process."""

    def sigma(self, t: float, alpha_t: float, alpha_s: float) -> float:
        """Return the forward-backward strength."""
        return strength.forward_backward(alpha_t, alpha_s)

    def pieces(self, steps: int) -> list[tuple[float, Rate]]:
        """Return the rates of the discrete-flow corrector at 1."""
        return DiscreteFlow(1.0).pieces(steps)


@dataclass(frozen=True)
class DiscreteFlow(_Stepwise):
    """The discrete-flow corrector at rate ``beta``."""

    beta: float = field(default=1.0, metadata=UNBOUNDED)

    def sigma(self, t: float, alpha_t: float, alpha_s: float) -> float:
        """Return the corrector's strength."""
        return strength.discrete_flow(alpha_t, alpha_s, self.beta)

    def pieces(self, steps: int) -> list[tuple[float, Rate]]:
        """Return ``beta / alpha``, the limit of many steps."""
        return [(1.0, Rate(inverse=self.beta))]


@dataclass(frozen=True)
class Psi(_Stepwise):
    """A fresh forward draw with probability ``1 - kappa``."""

    kappa: float = 0.98

    def sigma(self, t: float, alpha_t: float, alpha_s: float) -> float:
        """Return ``(1 - kappa)(1 - alpha_s)``."""
        return strength.psi(alpha_t, alpha_s, self.kappa)

    def pieces(self, steps: int) -> list[tuple[float, Rate]]:
        """Return ``(1 - kappa)(1 - alpha)`` times the steps."""
        most = (1 - self.kappa) * steps
        return [(1.0, Rate(constant=most, linear=-most))]


@dataclass(frozen=True)
class Switch(_Stepwise):
    """Ancestral until ``t <= t_switch``, then another strategy."""

    t_switch: float = 0.5
    then: _Stepwise = field(default_factory=Rescale)

    def __post_init__(self) -> None:
        """Check the time.

        Raises:
            MolgenError: if it is out of range.
        """
        if not 0 <= self.t_switch <= 1:
            raise MolgenError(f"t_switch is {self.t_switch}, expected a number in [0, 1]")

    def sigma(self, t: float, alpha_t: float, alpha_s: float) -> float:
        """Return 0 early, the other strategy's strength late."""
        return self.then.sigma(t, alpha_t, alpha_s) if t <= self.t_switch + ROUNDING else 0.0

    def pieces(self, steps: int) -> list[tuple[float, Rate]]:
        """Return no rate early, the other strategy's rates late."""
        begin = 1 - self.t_switch
        late = [piece for piece in self.then.pieces(steps) if piece[0] > begin]
        return [(begin, Rate()), *late]


@dataclass(frozen=True)
class Loop:
    """Place up to ``alpha_on``, remask on a plateau at rate ``eta``, then place the rest.

    The ends of the plateau are rounded to the grid of steps: a step across one would change the
    marginal. The plateau replaces the schedule, so a given schedule is not used.
    """

    t_on: float = 0.55
    t_off: float = 0.05
    eta: float = 0.02
    alpha_on: float = 0.9

    def plan(self, steps: int, schedule: Schedule = LogLinear()) -> Plan:
        """Return the plan of ``steps`` steps.

        Raises:
            MolgenError: if the plateau is empty or there are too few steps for the three parts.
        """
        self._check()
        on, off = round(self.t_on * steps), round(self.t_off * steps)
        on, off = min(on, steps - 1), max(off, 1)
        if steps < 3:
            raise MolgenError(f"loop needs at least 3 steps for its three parts, got {steps}")
        if not off < on:
            raise MolgenError(
                f"loop's plateau from t_on={self.t_on} to t_off={self.t_off} is shorter than one "
                f"of {steps} steps"
            )
        t_on, t_off = on / steps, off / steps
        times = [i / steps for i in range(steps, -1, -1)]
        return Plan.from_rows(
            strength.loop(t, s, self.eta, t_on, t_off, self.alpha_on) for t, s in pairwise(times)
        )

    def continuous(self, steps: int) -> ContinuousPlan:
        """Return the plan in continuous time.

        Raises:
            MolgenError: if the plateau is empty.
        """
        self._check()
        progress, on = (0.0, 1 - self.t_on, 1 - self.t_off, 1.0), self.alpha_on
        rate = Rate(constant=steps * strength.cap(on, on, self.eta))
        return ContinuousPlan(progress, (0.0, on, on, 1.0), (Rate(), rate, Rate()))

    def _check(self) -> None:
        if not 0 < self.t_off < self.t_on < 1:
            raise MolgenError(
                f"loop needs 0 < t_off < t_on < 1, got t_on={self.t_on} and t_off={self.t_off}"
            )


STRATEGIES: dict[str, type[Strategy]] = {
    "ancestral": Ancestral,
    "cap": Cap,
    "rescale": Rescale,
    "switch": Switch,
    "loop": Loop,
    "forward-backward": ForwardBackward,
    "dfm": DiscreteFlow,
    "psi": Psi,
}

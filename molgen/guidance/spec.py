"""Steering: how targets act on the draw, as an object.

:class:`ClassifierFree` asks the network itself, with and without the targets (D-CFG); it serves
every network trained with conditions. :class:`ClassifierBased` asks a guide, a small network that
has learned what noised rows come to (D-CBG, and FUDGE for an autoregressive network); it serves
networks that know nothing of the property, too. How strongly is ``Settings.gamma``.

The kernels are in :mod:`molgen.guidance.kernels`; what puts them together is
:mod:`molgen.sampling.factory`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MIXES = ("clean", "posterior")
SCORES = ("amortised", "exact", "taylor")


@dataclass(frozen=True)
class ClassifierFree:
    """Classifier-free guidance.

    Attributes:
        mix: what is mixed under masked noise: ``"clean"``, the predictions ``log p(x_0 | x_t)``,
            which keeps the rate at which tokens are revealed, or ``"posterior"``, ``log q`` with
            its mask entry, which does not.
    """

    mix: str = "clean"

    def __post_init__(self) -> None:
        """Check the word.

        Raises:
            ValueError: if it is another one.
        """
        _check("mix", self.mix, MIXES)


@dataclass(frozen=True)
class ClassifierBased:
    """Classifier-based guidance by a guide of noised tokens.

    Attributes:
        scores: how candidates are scored: ``"amortised"``, all in one forward of the guide;
            ``"exact"``, one row each; ``"taylor"``, to first order.
        classifier: folder of the guide; the model's own if empty.
        tilt_mask: whether the mask entry of masked tokens is tilted too, as published, which
            changes how fast tokens are revealed.
        guided_remasking: whether that of placed tokens is, so that what holds the property back is
            taken off; a heuristic that changes the marginals.
        clamp: of Taylor scores: the most that one token is credited with, in nats.
        cfg: strength of classifier-free guidance underneath; 0 for none.
    """

    scores: str = "amortised"
    classifier: str = ""
    tilt_mask: bool = False
    guided_remasking: bool = False
    clamp: float = 10.0
    cfg: float = 0.0

    def __post_init__(self) -> None:
        """Check words and numbers.

        Raises:
            ValueError: naming what is out of line.
        """
        _check("scores", self.scores, SCORES)
        for name, least in (("clamp", 0.0), ("cfg", -math.inf)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f"{name} is {value}, expected a finite number")


GuidanceSpec = ClassifierFree | ClassifierBased


def takes_whole_steps(guidance: GuidanceSpec) -> bool:
    """Return whether the mask entry of masked noise takes part, and with it the rate of a step."""
    if isinstance(guidance, ClassifierBased):
        return guidance.tilt_mask or guidance.guided_remasking
    return guidance.mix == "posterior"


def _check(name: str, word: str, allowed: tuple[str, ...]) -> None:
    if word not in allowed:
        raise ValueError(f"{name} is {word!r}, expected one of {', '.join(allowed)}")

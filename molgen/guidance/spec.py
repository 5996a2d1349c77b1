"""Specification of the guidance, as an object.

:class:`ClassifierFree` mixes predictions of the network with and without the targets (D-CFG); it
needs a network trained with conditions. :class:`ClassifierBased` uses a noisy classifier, a small
network that predicts properties from noised rows (D-CBG, and FUDGE for an autoregressive network);
the denoiser need not be conditioned on the property. The strength is ``Settings.gamma``.

The kernels are in :mod:`molgen.guidance.kernels`; samplers are built from them by
:mod:`molgen.sampling.factory`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from molgen.errors import MolgenError
from molgen.utils.hints import one_of
from molgen.utils.options import UNBOUNDED

MIXES = ("clean", "posterior")
SCORES = ("amortised", "exact", "taylor")


@dataclass(frozen=True)
class ClassifierFree:
    """Classifier-free guidance.

    Attributes:
        mix: the mixed distributions under masked noise: ``"clean"``, the predictions
            ``log p(x_0 | x_t)``, which keeps the rate at which tokens are revealed, or
            ``"posterior"``, ``log q`` with its mask entry, which does not.
    """

    mix: str = "clean"

    def __post_init__(self) -> None:
        """Check the mixture.

        Raises:
            MolgenError: if ``mix`` is unknown.
        """
        _check("mix", self.mix, MIXES)


@dataclass(frozen=True)
class ClassifierBased:
    """Classifier-based guidance by a noisy classifier.

    Attributes:
        scores: how candidates are scored: ``"amortised"``, all in one forward of the classifier;
            ``"exact"``, one row each; ``"taylor"``, to first order.
        classifier: folder of the noisy classifier; the model's own if empty.
        tilt_mask: whether the mask entry of masked tokens is tilted too, as published, which
            changes how fast tokens are revealed.
        guided_remasking: whether the mask entry of placed tokens is tilted, so that tokens that
            lower the predicted property are remasked; a heuristic that changes the marginals.
        clamp: of Taylor scores: largest absolute change by one token, in nats.
        cfg: strength of the classifier-free guidance to combine with; 0 for none.
    """

    scores: str = "amortised"
    classifier: str = ""
    tilt_mask: bool = False
    guided_remasking: bool = False
    clamp: float = field(default=10.0, metadata=UNBOUNDED)
    cfg: float = field(default=0.0, metadata=UNBOUNDED)

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            MolgenError: naming the one that is unknown or out of range.
        """
        _check("scores", self.scores, SCORES)
        for name, least in (("clamp", 0.0), ("cfg", -math.inf)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise MolgenError(f"{name} is {value}, expected a finite number")


GuidanceSpec = ClassifierFree | ClassifierBased


def takes_whole_steps(guidance: GuidanceSpec) -> bool:
    """Return whether guidance acts on the mask entry, and so on the reveal rate of a step."""
    if isinstance(guidance, ClassifierBased):
        return guidance.tilt_mask or guidance.guided_remasking
    return guidance.mix == "posterior"


def _check(name: str, word: str, allowed: tuple[str, ...]) -> None:
    if word not in allowed:
        raise MolgenError(f"{name} is {word!r}, {one_of(word, allowed)}")

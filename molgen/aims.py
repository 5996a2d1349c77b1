"""What a guide is asked for: its own names of properties, where each is to go, and its weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from molgen.emphasis import scaled
from molgen.guidance import Strength
from molgen.targets import Target
from property_models.registry import MODEL

if TYPE_CHECKING:
    from property_models.classifiers.network import NoisyGuide


@dataclass(frozen=True)
class Aim:
    """One property to steer, where to, and how strongly against the others."""

    name: str
    """Of the property."""
    target: Target
    """A value, a range, ``"max"`` or ``"min"``."""
    gamma: Strength = 1.0
    """Weight of this property's log-probability."""


def aims(
    guide: NoisyGuide, targets: Mapping[str, Target], weights: Mapping[str, float]
) -> list[Aim]:
    """Return what a guide is to steer to.

    Args:
        guide: the network.
        targets: what is aimed at, in the caller's names.
        weights: of some of the properties; the others count 1. The largest is scaled to 1.
    """
    w = scaled(targets, weights)
    return [Aim(label(guide, name), target, w[name]) for name, target in targets.items()]


def label(guide: NoisyGuide, name: str) -> str:
    """Return what a guide calls a property.

    A learned property is named by where it lies now, and its guide, which tells nothing else, by
    where it was made.
    """
    alone = len(guide.properties) == 1 and name.startswith(MODEL)
    return guide.properties[0] if alone else name

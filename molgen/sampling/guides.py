"""The noisy classifier that goes with a checkpoint, aimed at targets.

The classes are in :mod:`molgen.guidance`, which knows neither checkpoints nor settings.
"""

from __future__ import annotations

from collections.abc import Mapping

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.guidance.classifier import PropertyClassifier, aims
from molgen.guidance.spec import ClassifierBased
from molgen.guidance.target_probability import Odds
from molgen.nn.denoiser import noise_of
from molgen.sampling.settings import Settings
from molgen.targets import Target


def classifier_of(
    model: Checkpoint,
    settings: Settings,
    targets: Mapping[str, Target],
    weights: Mapping[str, float],
) -> PropertyClassifier:
    """Return the guide that steers a model, aimed at targets.

    Args:
        model: with its guide.
        settings: where the guide runs, and which it is where guidance is done by one.
        targets: what is aimed at.
        weights: of some of them; see :func:`molgen.guidance.classifier.aims`.

    Raises:
        ValueError: if there is no guide, it was trained on another noise than the network, or it
            does not tell what is aimed at.
    """
    steering, noise = settings.steering, noise_of(model.denoiser)
    folder = steering.guide if isinstance(steering, ClassifierBased) else ""
    guide = model.guide_for(targets, folder)
    if guide.noise != noise:
        raise ValueError(
            f"the guide was trained on noise {guide.noise!r}, the network {model.name!r} on "
            f"{noise!r}"
        )
    asked = aims(guide, targets, weights)
    return PropertyClassifier(guide, asked, settings.device, settings.dtype)


def odds(
    model: Checkpoint,
    settings: Settings,
    targets: Mapping[str, Target],
    weights: Mapping[str, float] | None = None,
) -> Odds:
    """Return what a model's guide says of rows.

    Args:
        model: with its guide.
        settings: where the guide runs, and which it is where guidance is done by one.
        targets: what is asked for.
        weights: of the targets' log-probabilities; all alike if left out.

    Raises:
        ValueError: if there is no guide, it does not tell what is asked for, or it reads prefixes.
    """
    if noise_of(model.denoiser) == "none":
        raise ValueError(
            f"the guide of model {model.name!r} reads prefixes, expected one of noised rows: what "
            "it says of a row supposes that it goes on"
        )
    classifier = classifier_of(model, settings, targets, weights or {})
    return Odds(classifier, model.denoiser.pad_id, model.denoiser.mask_id)

"""A recipe: what a draw is made of, worked out once from a checkpoint, settings and targets.

Everything that takes part in a draw, samplers, checks, retries, search, reads it from here; nothing
reads a strategy, a mixture or a noisy classifier a second time.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.data.prior import Lent
from molgen.diffusion.plan import Plan
from molgen.guidance.candidate_scores import AmortisedScores, ExactScores, TaylorScores
from molgen.guidance.classifier import PropertyClassifier, aims, label
from molgen.guidance.kernels import CandidateScores, ClassifierFree, Guidance
from molgen.guidance.kernels import ClassifierBased as Tilt
from molgen.guidance.smiles_grammar import Language
from molgen.guidance.spec import ClassifierBased
from molgen.guidance.spec import ClassifierFree as Mixed
from molgen.guidance.target_probability import Odds
from molgen.guidance.weighted_conditions import Emphasis
from molgen.nn.denoiser import noise_of
from molgen.sampling.compatibility import check
from molgen.sampling.settings import Settings
from molgen.targets import Target
from property_models.classifiers.network import NoisyGuide


@dataclass(frozen=True, eq=False)
class Recipe:
    """What a draw is made of.

    Attributes:
        model: the network with its noisy classifier.
        settings: how to draw.
        targets: what is aimed at; none for an unguided draw.
        noise: that the network takes off: ``"masked"``, ``"uniform"``, ``"none"``.
        plan: of the steps.
        mixture: the classifier-free part of the guidance, None for the prediction as it is.
        emphasis: weights of the goals that the network itself is told.
        language: the texts that draws are conditioned on, None for all.
    """

    model: Checkpoint
    settings: Settings
    targets: Mapping[str, Target]
    noise: str
    plan: Plan
    mixture: ClassifierFree | None
    emphasis: Emphasis | None
    language: Language | None

    @property
    def told(self) -> bool:
        """Whether the network itself is told of the targets."""
        steering = self.settings.steering
        return isinstance(steering, Mixed) or bool(steering.cfg)

    def lend(self, n: int, seed: int, first: int = 0) -> Lent:
        """Return the lengths and conditions that training molecules lend to rows.

        Args:
            n: rows.
            seed: a row depends on the seed and its sample index alone.
            first: sample index of the first row.

        Raises:
            ValueError: if there are fewer than 0 rows, or no training molecule has what is aimed
                at.
        """
        if n < 0:
            raise ValueError(f"n is {n}, expected at least 0")
        prior, profile = self.model.prior, self.settings.conditions == "profile"
        # a classifier may know properties that the prior does not: they have no say in the length
        known = {name: t for name, t in self.targets.items() if name in prior.properties}
        lengths, condition = prior.draw(known, n, seed, first, profile)
        return Lent(lengths, condition if self.told else None)

    @functools.cached_property
    def guide(self) -> NoisyGuide:
        """The network of the noisy classifier for these targets.

        Raises:
            ValueError: if there is none, or it was trained on another noise than the network.
        """
        steering = self.settings.steering
        folder = steering.guide if isinstance(steering, ClassifierBased) else ""
        guide = self.model.guide_for(self.targets, folder)
        if guide.noise != self.noise:
            raise ValueError(
                f"the guide was trained on noise {guide.noise!r}, the network {self.model.name!r} "
                f"on {self.noise!r}"
            )
        return guide

    def classifier(self, weights: Mapping[str, float]) -> PropertyClassifier:
        """Return the noisy classifier, aimed at the targets.

        Args:
            weights: of some of them; see :func:`molgen.guidance.classifier.aims`.

        Raises:
            ValueError: if there is none, or it does not tell what is aimed at.
        """
        asked = aims(self.guide, self.targets, weights)
        return PropertyClassifier(self.guide, asked, self.settings.device, self.settings.dtype)

    @functools.cached_property
    def tilts(self) -> tuple[Guidance, ...]:
        """The classifier-based part of the guidance."""
        settings, steering = self.settings, self.settings.steering
        if not self.targets or not isinstance(steering, ClassifierBased):
            return ()
        mask_id = None if self.noise == "uniform" else self.model.denoiser.mask_id
        classifier = self.classifier(settings.emphasis)
        scores: CandidateScores
        if steering.scores == "exact":
            scores = ExactScores(classifier)
        elif steering.scores == "taylor":
            scores = TaylorScores(classifier, steering.clamp)
        else:
            scores = AmortisedScores(classifier, mask_id)
        whole = steering.tilt_mask, steering.guided_remasking
        return (Tilt(scores, settings.gamma, mask_id, *whole),)

    def odds(self, weights: Mapping[str, float] | None = None) -> Odds:
        """Return how probable the noisy classifier finds it that rows meet the targets.

        Args:
            weights: of the targets' log-probabilities; all alike if left out.

        Raises:
            ValueError: if there is no classifier, it does not tell what is asked for, or it reads
                prefixes.
        """
        if self.noise == "none":
            raise ValueError(
                f"the guide of model {self.model.name!r} reads prefixes, expected one of noised "
                "rows: what it says of a row supposes that it goes on"
            )
        denoiser = self.model.denoiser
        return Odds(self.classifier(weights or {}), denoiser.pad_id, denoiser.mask_id)


def resolve(model: Checkpoint, settings: Settings, targets: Mapping[str, Target]) -> Recipe:
    """Return the recipe of a draw.

    Args:
        model: the network with its noisy classifier.
        settings: how to draw.
        targets: what is aimed at, read; none for an unguided draw.

    Raises:
        ValueError: if the model cannot be guided in this way, or settings do not go with it or with
            each other.
    """
    check_targets(model, settings, targets)
    mixture, plan = _mixture(settings, targets), settings.strategy.plan(settings.steps)
    check(model, settings, plan, mixture)
    grammar = settings.grammar
    language = None if grammar is None else grammar.language(model.tokenizer.vocab)
    emphasis = Emphasis.of(model.properties, targets, settings.emphasis)
    noise = noise_of(model.denoiser)
    found = Recipe(model, settings, targets, noise, plan, mixture, emphasis, language)
    if settings.conditions == "profile" and not (found.told and model.properties):
        why = "the model is not conditioned" if found.told else "guidance is by the guide alone"
        raise ValueError(f"conditions is 'profile', but {why}: expected one that is told of it")
    return found


def check_targets(model: Checkpoint, settings: Settings, targets: Mapping[str, Target]) -> None:
    """Check that a model can be guided towards targets.

    Raises:
        ValueError: naming the target that neither the network's conditions nor, for guidance by
            classifiers, the noisy classifier knows of.
    """
    steering = settings.steering
    if targets and isinstance(steering, ClassifierBased):
        guide = model.guide_for(targets, steering.guide)
        for name, target in targets.items():
            guide.wanted(label(guide, name), target)
    if isinstance(steering, Mixed) or steering.cfg:
        model.prior.check(targets)


def _mixture(settings: Settings, targets: Mapping[str, Target]) -> ClassifierFree | None:
    """Return the classifier-free part of the guidance; strength 1 is the prediction as it is."""
    steering = settings.steering
    gamma = steering.cfg if isinstance(steering, ClassifierBased) else settings.gamma
    absent = isinstance(steering, ClassifierBased) and not steering.cfg
    return None if not targets or absent or gamma == 1.0 else ClassifierFree(gamma)

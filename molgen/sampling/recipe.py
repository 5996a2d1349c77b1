"""A recipe: what a draw is made of, worked out once from a checkpoint, settings and targets.

Everything that takes part in a draw, samplers, checks, retries, search, reads it from here; nothing
reads a strategy, a mixture or a noisy classifier a second time.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.data.prior import PriorDraw
from molgen.diffusion.plan import Plan
from molgen.guidance.candidate_scores import AmortisedScores, ExactScores, TaylorScores
from molgen.guidance.classifier import PropertyClassifier, classifier_targets, label
from molgen.guidance.kernels import CandidateScores, ClassifierFree, Guidance
from molgen.guidance.kernels import ClassifierBased as Tilt
from molgen.guidance.smiles_grammar import Language
from molgen.guidance.spec import ClassifierBased
from molgen.guidance.spec import ClassifierFree as Mixed
from molgen.guidance.target_probability import TargetProbability
from molgen.guidance.weighted_conditions import GoalWeights
from molgen.nn.denoiser import noise_of
from molgen.sampling.compatibility import check
from molgen.sampling.settings import Settings
from molgen.targets import Target
from property_models.classifiers.network import NoisyClassifier


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
        goal_weights: weights of the goals that the network itself is told.
        language: the texts that draws are conditioned on, None for all.
    """

    model: Checkpoint
    settings: Settings
    targets: Mapping[str, Target]
    noise: str
    plan: Plan
    mixture: ClassifierFree | None
    goal_weights: GoalWeights | None
    language: Language | None

    @property
    def told(self) -> bool:
        """Whether the network itself is told of the targets."""
        guidance = self.settings.guidance
        return isinstance(guidance, Mixed) or bool(guidance.cfg)

    def draw_prior(self, n: int, seed: int, first: int = 0) -> PriorDraw:
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
        return PriorDraw(lengths, condition if self.told else None)

    @functools.cached_property
    def noisy_classifier(self) -> NoisyClassifier:
        """The network of the noisy classifier for these targets.

        Raises:
            ValueError: if there is none, or it was trained on another noise than the network.
        """
        guidance = self.settings.guidance
        folder = guidance.classifier if isinstance(guidance, ClassifierBased) else ""
        noisy_classifier = self.model.classifier_for(self.targets, folder)
        if noisy_classifier.noise != self.noise:
            raise ValueError(
                f"the noisy classifier was trained on noise {noisy_classifier.noise!r}, the "
                f"network {self.model.name!r} on {self.noise!r}"
            )
        return noisy_classifier

    def classifier(self, weights: Mapping[str, float]) -> PropertyClassifier:
        """Return the noisy classifier, aimed at the targets.

        Args:
            weights: of some of them; see :func:`molgen.guidance.classifier.aims`.

        Raises:
            ValueError: if there is none, or it does not tell what is aimed at.
        """
        asked = classifier_targets(self.noisy_classifier, self.targets, weights)
        return PropertyClassifier(
            self.noisy_classifier, asked, self.settings.device, self.settings.dtype
        )

    @functools.cached_property
    def tilts(self) -> tuple[Guidance, ...]:
        """The classifier-based part of the guidance."""
        settings, guidance = self.settings, self.settings.guidance
        if not self.targets or not isinstance(guidance, ClassifierBased):
            return ()
        mask_id = None if self.noise == "uniform" else self.model.denoiser.mask_id
        classifier = self.classifier(settings.goal_weights)
        scores: CandidateScores
        if guidance.scores == "exact":
            scores = ExactScores(classifier)
        elif guidance.scores == "taylor":
            scores = TaylorScores(classifier, guidance.clamp)
        else:
            scores = AmortisedScores(classifier, mask_id)
        whole = guidance.tilt_mask, guidance.guided_remasking
        return (Tilt(scores, settings.gamma, mask_id, *whole),)

    def target_probability(self, weights: Mapping[str, float] | None = None) -> TargetProbability:
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
        return TargetProbability(self.classifier(weights or {}), denoiser.pad_id, denoiser.mask_id)


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
    mixture, plan = _mixture(settings, targets), settings.remask.plan(settings.steps)
    check(model, settings, plan, mixture)
    grammar = settings.grammar
    language = None if grammar is None else grammar.language(model.tokenizer.vocab)
    goal_weights = GoalWeights.of(model.properties, targets, settings.goal_weights)
    noise = noise_of(model.denoiser)
    found = Recipe(model, settings, targets, noise, plan, mixture, goal_weights, language)
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
    guidance = settings.guidance
    if targets and isinstance(guidance, ClassifierBased):
        noisy_classifier = model.classifier_for(targets, guidance.classifier)
        for name, target in targets.items():
            noisy_classifier.wanted(label(noisy_classifier, name), target)
    if isinstance(guidance, Mixed) or guidance.cfg:
        model.prior.check(targets)


def _mixture(settings: Settings, targets: Mapping[str, Target]) -> ClassifierFree | None:
    """Return the classifier-free part of the guidance; strength 1 is the prediction as it is."""
    guidance = settings.guidance
    gamma = guidance.cfg if isinstance(guidance, ClassifierBased) else settings.gamma
    absent = isinstance(guidance, ClassifierBased) and not guidance.cfg
    return None if not targets or absent or gamma == 1.0 else ClassifierFree(gamma)

"""The recipe of a draw: resolved once from a checkpoint, settings and targets.

Samplers, checks, retries and searches share it, so that plan, guidance and noisy classifier are
resolved only once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.data.prior import PriorDraw
from molgen.diffusion.continuous_plan import ContinuousPlan
from molgen.diffusion.plan import Plan
from molgen.errors import MolgenError
from molgen.guidance.candidate_scores import AmortisedScores, ExactScores, TaylorScores
from molgen.guidance.classifier import PropertyClassifier, classifier_targets, label
from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.kernels import CandidateScores, ClassifierFree, Guidance
from molgen.guidance.kernels import ClassifierBased as Tilt
from molgen.guidance.smiles_grammar import Language
from molgen.guidance.spec import ClassifierBased
from molgen.guidance.spec import ClassifierFree as Mixed
from molgen.guidance.target_probability import TargetProbability
from molgen.guidance.weighted_conditions import GoalWeights
from molgen.nn.denoiser import noise_of
from molgen.sampling.compatibility import check
from molgen.sampling.settings import MOST, Settings
from molgen.targets import Target
from property_models.classifiers.network import NoisyClassifier

LAST_ROW = 2**62  # a sample index is a 64-bit number, with room for the rows of a run


@dataclass(frozen=True, eq=False)
class Recipe:
    """The components of a draw.

    Attributes:
        model: the network with its noisy classifier.
        settings: of the draw.
        targets: of the guidance; empty for an unguided draw.
        noise: of the network: ``"masked"``, ``"uniform"``, ``"none"``.
        plan: the steps, or the rates of continuous time; of each block, where there are several.
        mixture: the classifier-free part of the guidance, None for the plain prediction.
        goal_weights: weights of the goals that the network is conditioned on.
        language: the language that draws are conditioned on, None for all texts.
    """

    model: Checkpoint
    settings: Settings
    targets: Mapping[str, Target]
    noise: str
    plan: Plan | ContinuousPlan
    mixture: ClassifierFree | None
    goal_weights: GoalWeights | None
    language: Language | None

    @property
    def conditioned(self) -> bool:
        """Whether the network itself is conditioned on the targets."""
        guidance = self.settings.guidance
        return isinstance(guidance, Mixed) or bool(guidance.cfg)

    @property
    def max_predictions(self) -> int:
        """The highest expected number of predictions for a row, of its first draw."""
        longest, plan = self.model.denoiser.max_length, self.plan
        if isinstance(plan, ContinuousPlan):
            return math.ceil(longest * (1 + plan.remasked))
        blocks = -(-longest // (self.settings.blocks or longest))
        return len(plan) * blocks if plan.remasks else longest

    def draw_prior(self, n: int, seed: int, first: int = 0) -> PriorDraw:
        """Draw the lengths and conditions of rows from the prior.

        Args:
            n: rows.
            seed: a row depends on the seed and its sample index alone.
            first: sample index of the first row.

        Raises:
            MolgenError: if there are fewer than 0 rows, or no training molecule meets the targets.
        """
        if not 0 <= n <= MOST:
            raise MolgenError(f"n is {n}, expected at least 0 and at most {MOST}")
        if not 0 <= first <= LAST_ROW:
            raise MolgenError(f"first is {first}, expected at least 0 and at most {LAST_ROW}")
        prior, profile = self.model.prior, self.settings.conditions == "profile"
        # a classifier may have properties that the prior lacks; the length does not depend on them
        targets = {name: t for name, t in self.targets.items() if name in prior.properties}
        lengths, condition = prior.draw(targets, n, seed, first, profile)
        return PriorDraw(lengths, condition if self.conditioned else None)

    @functools.cached_property
    def noisy_classifier(self) -> NoisyClassifier:
        """The network of the noisy classifier for these targets.

        Raises:
            MolgenError: if there is none, or it was trained on another noise than the network.
        """
        guidance = self.settings.guidance
        folder = guidance.classifier if isinstance(guidance, ClassifierBased) else ""
        noisy_classifier = self.model.classifier_for(self.targets, folder)
        if noisy_classifier.noise != self.noise:
            raise MolgenError(
                f"the noisy classifier was trained on noise {noisy_classifier.noise!r}, the "
                f"network {self.model.name!r} on {self.noise!r}"
            )
        return noisy_classifier

    def classifier(self, weights: Mapping[str, float]) -> PropertyClassifier:
        """Return the noisy classifier for the targets.

        Args:
            weights: of some of them; see :func:`molgen.guidance.classifier.classifier_targets`.

        Raises:
            MolgenError: if there is none, or it does not predict a target property.
        """
        targets = classifier_targets(self.noisy_classifier, self.targets, weights)
        return PropertyClassifier(
            self.noisy_classifier, targets, self.settings.device, self.settings.dtype
        )

    def network(
        self, goal_weights: GoalWeights | None = None, classes: int | None = None
    ) -> MicroBatchedDenoiser:
        """Return the network on its device; see :class:`MicroBatchedDenoiser`."""
        place = self.settings.device, self.settings.dtype
        return MicroBatchedDenoiser(self.model.denoiser, *place, classes, goal_weights)

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
        """Return the target probability of rows by the noisy classifier.

        Args:
            weights: of the targets' log-probabilities; equal if left out.

        Raises:
            MolgenError: if there is no classifier, it does not predict a target property, or it was
                trained on prefixes.
        """
        if self.noise == "none":
            raise MolgenError(
                f"the classifier of model {self.model.name!r} was trained on prefixes, expected "
                "one trained on noised rows: on a finished row it predicts continuations"
            )
        denoiser = self.model.denoiser
        return TargetProbability(self.classifier(weights or {}), denoiser.pad_id, denoiser.mask_id)


def resolve(model: Checkpoint, settings: Settings, targets: Mapping[str, Target]) -> Recipe:
    """Return the recipe of a draw.

    Args:
        model: the network with its noisy classifier.
        settings: of the draw.
        targets: of the guidance; empty for an unguided draw.

    Raises:
        MolgenError: if the model cannot be guided in this way, or settings are incompatible with it
            or with each other.
    """
    check_targets(model, settings, targets)
    mixture, plan = _mixture(settings, targets), settings.plan()
    check(model, settings, plan, mixture)
    grammar = settings.grammar
    language = None if grammar is None else grammar.language(model.tokenizer.vocab)
    goal_weights = GoalWeights.of(model.properties, targets, settings.goal_weights)
    noise = noise_of(model.denoiser)
    found = Recipe(model, settings, targets, noise, plan, mixture, goal_weights, language)
    if settings.conditions == "profile" and not (found.conditioned and model.properties):
        raise MolgenError(
            "conditions is 'profile', expected 'asked': the network has no conditions"
        )
    return found


def check_targets(model: Checkpoint, settings: Settings, targets: Mapping[str, Target]) -> None:
    """Check that a model can be guided towards targets.

    Raises:
        MolgenError: naming a target that is no condition of the network or, for classifier-based
            guidance, no property of the noisy classifier.
    """
    guidance = settings.guidance
    if targets and isinstance(guidance, ClassifierBased):
        noisy_classifier = model.classifier_for(targets, guidance.classifier)
        for name, target in targets.items():
            noisy_classifier.wanted(label(noisy_classifier, name), target)
    if isinstance(guidance, Mixed) or guidance.cfg:
        model.prior.check(targets)


def _mixture(settings: Settings, targets: Mapping[str, Target]) -> ClassifierFree | None:
    """Return the classifier-free part of the guidance; strength 1 is the plain prediction."""
    guidance = settings.guidance
    gamma = guidance.cfg if isinstance(guidance, ClassifierBased) else settings.gamma
    absent = isinstance(guidance, ClassifierBased) and not guidance.cfg
    return None if not targets or absent or gamma == 1.0 else ClassifierFree(gamma)

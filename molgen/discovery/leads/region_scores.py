"""Region scores: attribution of the target to regions of a molecule, without an oracle.

With a region S of a molecule masked, Bayes' rule gives

    log p(x_S | rest, y) - log p(x_S | rest)  =  log p(y | x) - log p(y | rest)

so the region with the lowest difference leaves the rest that fits ``y`` best. A network trained
with and without conditions computes it in two forwards a region, with the tokens of the region
treated as independent. A noisy classifier, used where the model has one, computes
``log p(y | rest)`` directly in one forward, for any number of masks in the region.

Of a complete molecule the classifier computes ``log p(y | x)``. As a surrogate of the oracle it
selects the molecule from which a lead is continued, and the top k of all molecules drawn.

References: Gruver et al., "Protein design with guided discrete diffusion" (2023), which chooses
positions to edit by the gradient of a value function; Stanton et al., "Accelerating Bayesian
optimization for biological sequence design with denoising autoencoders" (2022), where a learned
head selects among the samples of a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from molgen.constraints.masked_regions import MaskedRegion
from molgen.data.prior import PriorDraw
from molgen.data.tokenizer import Tokenizer, padded
from molgen.guidance.predictor import NetworkPredictor
from molgen.guidance.spec import ClassifierBased
from molgen.guidance.target_probability import TargetProbability
from molgen.sampling.recipe import Recipe
from molgen.utils.arrays import Floats
from molgen.utils.threads import Workers

CLIP = 6.0  # largest contribution of a token in nats: probabilities of rare tokens are inaccurate
TINY = 1e-12  # below the resolution of single precision


class RegionScores(Protocol):
    """Scores regions by how well the rest of the molecule fits the targets.

    Attributes:
        forwards: of the network, for each region.
        classifier_forwards: of the noisy classifier, for each region.
        overconfidence: divisor that calibrates the scores.
        lengths: candidate lengths for each region; 1 if scores do not depend on the length.
    """

    forwards: int
    classifier_forwards: int
    overconfidence: float
    lengths: int

    def __call__(self, regions: Sequence[MaskedRegion]) -> Floats:
        """Return ``log p(y | rest)`` up to a constant of the molecule, shape (regions,)."""
        ...


def region_scores(recipe: Recipe, prior_draw: PriorDraw, pool: Workers) -> RegionScores:
    """Return the scores of regions that a recipe allows.

    Args:
        recipe: of the draws; without targets, all regions score the same.
        prior_draw: conditions; their median represents the targets.
        pool: threads to run on.
    """
    model, settings, targets = recipe.model, recipe.settings, recipe.targets
    if targets and (
        isinstance(settings.guidance, ClassifierBased) or model.has_classifier(targets)
    ):
        probability = recipe.target_probability(settings.goal_weights)
        return ByClassifier(probability, model.denoiser.pad_id, model.denoiser.mask_id)
    if prior_draw.condition is None:
        return Uniform()
    return ByNetwork(NetworkPredictor(recipe.network(), pool), prior_draw.condition)


class Uniform:
    """The same score for every region."""

    forwards = classifier_forwards = 0
    overconfidence, lengths = 1.0, 1

    def __call__(self, regions: Sequence[MaskedRegion]) -> Floats:
        """Return zeros; see :class:`RegionScores`."""
        return np.zeros(len(regions))


class ByNetwork:
    """Compares predictions of the network with and without the condition."""

    forwards, classifier_forwards = 2, 0
    overconfidence, lengths = 2.0, 1  # tokens of a region are predicted independently

    def __init__(self, network: NetworkPredictor, conditions: NDArray[np.float32]) -> None:
        """Set the network and the condition.

        Args:
            network: without guidance.
            conditions: with shape (rows, properties), NaN where not conditioned on.
        """
        self._network = network
        given = ~np.isnan(conditions).all(0)
        self._condition = np.full(conditions.shape[1], np.nan, dtype=np.float32)
        self._condition[given] = np.nanmedian(conditions[:, given], axis=0)

    def __call__(self, regions: Sequence[MaskedRegion]) -> Floats:
        """Return minus the difference of the two predictions; see :class:`RegionScores`."""
        whole = padded([item.tokens for item in regions], self._network.pad_id)
        wanted = padded([item.masked for item in regions], False).astype(bool)
        lengths = [len(item.tokens) for item in regions]
        tokens = np.where(wanted, self._network.mask_id, whole)
        alpha = 1 - wanted.sum(1) / lengths
        at = np.arange(int(wanted.sum())), whole[wanted]
        with_y, without = (
            np.log(np.maximum(self._network(tokens, wanted, y, alpha).p[at], TINY))
            for y in (np.tile(self._condition, (len(regions), 1)), None)
        )
        difference = np.zeros(whole.shape)
        difference[wanted] = np.clip(with_y - without, -CLIP, CLIP)
        return np.asarray(-difference.sum(1))


class ByClassifier:
    """Target probabilities of a noisy classifier."""

    forwards, classifier_forwards = 0, 1
    overconfidence, lengths = 1.0, 4

    def __init__(self, probability: TargetProbability, pad_id: int, mask_id: int) -> None:
        """Set the classifier.

        Args:
            probability: of the targets, given noised rows.
            pad_id: id of padding.
            mask_id: id of the mask.
        """
        self.probability, self._pad_id, self._mask_id = probability, pad_id, mask_id

    def __call__(self, regions: Sequence[MaskedRegion]) -> Floats:
        """Return target probabilities; see :class:`RegionScores`."""
        return self.probability(padded([item.row(self._mask_id) for item in regions], self._pad_id))


class Surrogate:
    """Scores molecules of one lead, with a cache; one forward of the classifier for each."""

    def __init__(self, probability: TargetProbability, tokenizer: Tokenizer) -> None:
        self._probability, self._tokenizer = probability, tokenizer
        self._scores: dict[str, float] = {}

    @property
    def forwards(self) -> int:
        """Forwards of the classifier so far: molecules scored."""
        return len(self._scores)

    def has_scored(self, smiles: str) -> bool:
        """Return whether a molecule has been scored."""
        return smiles in self._scores

    def __call__(self, smiles: Sequence[str]) -> Floats:
        """Return ``log p(y | x)`` of molecules, shape (molecules,).

        Args:
            smiles: canonical, of tokens in the vocabulary.
        """
        new = [text for text in dict.fromkeys(smiles) if text not in self._scores]
        if new:
            rows = padded([self._tokenizer.encode(text) for text in new], self._tokenizer.pad_id)
            self._scores.update(zip(new, self._probability(rows).tolist(), strict=True))
        return np.array([self._scores[text] for text in smiles])

    def best(self, count: int, smiles: Sequence[str]) -> set[str]:
        """Return the ``count`` highest-scoring ones of scored molecules; ties keep the order."""
        others = list(dict.fromkeys(smiles))
        return set(sorted(others, key=self._scores.__getitem__, reverse=True)[:count])

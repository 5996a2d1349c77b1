"""Which part of a molecule holds a goal back: said without an oracle, before anything is drawn.

With a part S of a molecule masked, Bayes' rule gives

    log p(x_S | rest, y) - log p(x_S | rest)  =  log p(y | x) - log p(y | rest)

so of all parts the one with the lowest difference leaves the rest that fits ``y`` best. A network
that was trained with and without conditions tells it in a pair of forwards a part, each token's
prediction taken on its own. A guide, which is asked where a model has one, says ``log p(y | rest)``
itself in one of its own forwards, and of any length that the open part may become.

Of a finished molecule it says ``log p(y | x)``: as a surrogate it stands in the oracle's place
where nothing may be computed of a property, and says from which molecule a lead goes on, and in the
end which of all that were drawn are worth an assay: the proposals.

References: Gruver et al., "Protein design with guided discrete diffusion" (2023), which chooses
what to edit by the gradient of a value function; Stanton et al., "Accelerating Bayesian
optimization for biological sequence design with denoising autoencoders" (2022), where a learned
head chooses among what a network has drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from molgen.constraints.open_parts import OpenPart
from molgen.data.prior import PriorDraw
from molgen.data.tokenizer import Tokenizer, padded
from molgen.guidance.predictor import NetworkPredictor
from molgen.guidance.shaping import Shaping
from molgen.guidance.spec import ClassifierBased
from molgen.guidance.target_probability import TargetProbability
from molgen.sampling.recipe import Recipe
from molgen.utils.arrays import Floats
from molgen.utils.threads import Workers

CLIP = 6.0  # nats that one token is credited with at most: predictions of rare tokens are rough
TINY = 1e-12  # what single precision cannot tell from 0


class RegionScores(Protocol):
    """Says of parts how well what stays goes with what is asked for.

    Attributes:
        forwards: of the network, for each part.
        classifier_forwards: of a guide, for each part.
        exaggeration: by how much what it says is to be divided.
        lengths: that a part may take and that are worth asking of; 1 if it tells none apart.
    """

    forwards: int
    classifier_forwards: int
    exaggeration: float
    lengths: int

    def __call__(self, parts: Sequence[OpenPart]) -> Floats:
        """Return ``log p(y | rest)`` of each part, up to a constant of its molecule: (parts,)."""
        ...


def region_scores(recipe: Recipe, prior_draw: PriorDraw, pool: Workers) -> RegionScores:
    """Return what says which part holds a goal back.

    Args:
        recipe: of the draws; without targets, parts are all alike.
        prior_draw: conditions, the median of which stands for what is asked for.
        pool: threads to run on.
    """
    model, settings, targets = recipe.model, recipe.settings, recipe.targets
    if targets and (
        isinstance(settings.guidance, ClassifierBased) or model.has_classifier(targets)
    ):
        probability = recipe.target_probability(settings.goal_weights)
        return ByClassifier(probability, model.denoiser.pad_id, model.denoiser.mask_id)
    if prior_draw.condition is None:
        return Alike()
    place = settings.device, settings.dtype
    network = NetworkPredictor(model.denoiser, pool, None, Shaping(), *place)
    return ByNetwork(network, prior_draw.condition)


class Alike:
    """Says the same of every part."""

    forwards = classifier_forwards = 0
    exaggeration, lengths = 1.0, 1

    def __call__(self, parts: Sequence[OpenPart]) -> Floats:
        """Return zeros; see :class:`RegionScores`."""
        return np.zeros(len(parts))


class ByNetwork:
    """Asks the network with and without the condition."""

    forwards, classifier_forwards = 2, 0
    exaggeration, lengths = 2.0, 1  # tokens of a part are predicted apart

    def __init__(self, network: NetworkPredictor, conditions: NDArray[np.float32]) -> None:
        """Take the network.

        Args:
            network: without guidance.
            conditions: with shape (rows, properties), NaN where left out.
        """
        self._network = network
        told = ~np.isnan(conditions).all(0)
        self._wish = np.full(conditions.shape[1], np.nan, dtype=np.float32)
        self._wish[told] = np.nanmedian(conditions[:, told], axis=0)

    def __call__(self, parts: Sequence[OpenPart]) -> Floats:
        """Return minus the difference of the two predictions; see :class:`RegionScores`."""
        whole = padded([item.tokens for item in parts], self._network.pad_id)
        wanted = padded([item.masked for item in parts], False).astype(bool)
        lengths = [len(item.tokens) for item in parts]
        tokens = np.where(wanted, self._network.mask_id, whole)
        alpha = 1 - wanted.sum(1) / lengths
        at = np.arange(int(wanted.sum())), whole[wanted]
        with_y, without = (
            np.log(np.maximum(self._network(tokens, wanted, y, alpha).p[at], TINY))
            for y in (np.tile(self._wish, (len(parts), 1)), None)
        )
        held = np.zeros(whole.shape)
        held[wanted] = np.clip(with_y - without, -CLIP, CLIP)
        return np.asarray(-held.sum(1))


class ByClassifier:
    """Asks a guide of noised rows."""

    forwards, classifier_forwards = 0, 1
    exaggeration, lengths = 1.0, 4

    def __init__(self, probability: TargetProbability, pad_id: int, mask_id: int) -> None:
        """Take the guide.

        Args:
            probability: what it says of rows.
            pad_id: of the network that it steers.
            mask_id: likewise.
        """
        self.probability, self._pad_id, self._mask_id = probability, pad_id, mask_id

    def __call__(self, parts: Sequence[OpenPart]) -> Floats:
        """Return what the guide says; see :class:`RegionScores`."""
        return self.probability(padded([item.row(self._mask_id) for item in parts], self._pad_id))


class Surrogate:
    """Scores molecules of one lead and remembers; a forward of the guide for each."""

    def __init__(self, probability: TargetProbability, tokenizer: Tokenizer) -> None:
        self._says, self._tokenizer = probability, tokenizer
        self._known: dict[str, float] = {}

    def knows(self, smiles: str) -> bool:
        """Return whether it has scored a molecule."""
        return smiles in self._known

    def __call__(self, smiles: Sequence[str]) -> Floats:
        """Return ``log p(y | x)`` of molecules, shape (molecules,).

        Args:
            smiles: canonical, of tokens that the guide knows.
        """
        new = [text for text in dict.fromkeys(smiles) if text not in self._known]
        if new:
            rows = padded([self._tokenizer.encode(text) for text in new], self._tokenizer.pad_id)
            self._known.update(zip(new, self._says(rows).tolist(), strict=True))
        return np.array([self._known[text] for text in smiles])

    def best(self, count: int, lead: str) -> set[str]:
        """Return the ``count`` molecules of the highest score but the lead; the first of equals."""
        others = [text for text in self._known if text != lead]
        return set(sorted(others, key=self._known.__getitem__, reverse=True)[:count])

"""Training a noisy classifier: noised rows, bins of their properties, and two cross-entropies.

    loss = CE(p(y | x_t)) + mean over positions of CE(p(y | x_t, x_s at l))

summed over properties, without those that a molecule lacks. ``x_s`` and ``x_t`` are drawn as in the
sampler that the classifier guides:

masked     an exact count, uniform in 0..length, is masked; ``x_s`` is the clean row, and the
           positions are the masked ones. A share of the rows can have at most a quarter masked:
           there a property depends most on the tokens, and whole molecules are ranked.
uniform    ``x_s`` at ``alpha_s`` uniform in [0, 1], then ``x_t`` from it, with up to half of its
           tokens replaced; positions where the two differ have weight 1, others less.
none       prefixes: every position, with the next token as the candidate.

Training takes minutes (:func:`train_classifier`). It may go on from a trained classifier, or start
from the first layers of the network to be guided, which represent tokens in context already. The
last layers are specialised on missing tokens, so a few of the first are copied, in their
unconditional form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from molgen.data.dataset import TokenDataset
from molgen.diffusion import noise
from molgen.diffusion.losses import LEAST_NOISE, shifted
from molgen.errors import MolgenError
from molgen.nn.config import places
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.training import state
from molgen.training.batch import Batch, Noised
from molgen.training.recipe import TrainConfig, check_light_masks
from molgen.training.trainer import Trainer, train
from property_models.classifiers.bins import Bins
from property_models.classifiers.network import SIZES, NoisyClassifier, NoisyClassifierConfig

LARGEST_STEP = 0.5  # of uniform noise: part of the tokens that x_t may lose against x_s
LIGHT = 0.25  # of masked noise: largest part of a lightly masked row's tokens that is masked
UNCHANGED = 0.1  # weight of a position at which x_t equals the candidate
RECIPE: dict[str, float] = {"decay_fraction": 0.8, "weight_decay": 0.05}  # a short run decays early


@dataclass(frozen=True)
class ClassifierObjective:
    """Cross-entropy of both predictions of a classifier.

    Attributes:
        noise: of its inputs.
        pad_id: of the vocabulary.
        mask_id: of the vocabulary.
        bins: of each property.
        light_masks: share of the rows of which at most ``LIGHT`` is masked.
    """

    noise: str
    pad_id: int
    mask_id: int
    bins: tuple[Bins, ...]
    light_masks: float = 0.0
    drops_values = False

    def corrupt(self, x_0: Tensor, real: Tensor, generator: torch.Generator) -> Noised:
        """Noise clean rows; see :class:`molgen.training.batch.Corruption`."""
        if self.noise == "none":
            return Noised(shifted(x_0, self.mask_id), None, F.pad(x_0, (0, 1), value=self.pad_id))
        if self.noise == "uniform":
            return self._uniform(x_0, real, generator)
        u = torch.rand(len(x_0), generator=generator)
        if self.light_masks:
            light = torch.rand(len(x_0), generator=generator) < self.light_masks
            u = torch.where(light, LIGHT * u, u)
        counts = (u * (real.sum(1) + 1)).long().clamp(max=real.sum(1))
        masked = noise.mask_exactly(x_0, real, counts, generator)
        return Noised(torch.where(masked, self.mask_id, x_0), None, x_0)

    def _uniform(self, x_0: Tensor, real: Tensor, generator: torch.Generator) -> Noised:
        u = torch.rand((2, len(x_0)), generator=generator)
        alpha_s = 1 - u[0].clamp(min=LEAST_NOISE)
        kept = 1 - LARGEST_STEP * u[1]
        x_s = noise.corrupt_uniform(x_0, alpha_s[:, None], self.pad_id, generator)
        x_t = noise.corrupt_uniform(x_s, kept[:, None], self.pad_id, generator)
        return Noised(torch.where(real, x_t, x_0), alpha_s * kept, torch.where(real, x_s, x_0))

    def losses(self, model: NoisyClassifier, batch: Batch) -> Tensor:
        """Return each row's loss in nats, shape (batch,)."""
        if batch.x_s is None:
            raise MolgenError("x_s is None, expected tokens of the candidates")
        at_row, at_place = model.given(batch.x_t, batch.x_s, batch.alpha)
        weight = self._weights(batch.x_0, batch.x_s, batch.x_t)
        # prefixes have one prediction a position, noised rows one in all
        row_weight = weight if self.noise == "none" else torch.ones_like(weight[:, :1])
        bins = self.labels(batch.values)
        return _mean_nll(at_row, bins, row_weight) + _mean_nll(at_place, bins, weight)

    def labels(self, values: Tensor) -> Tensor:
        """Return each property's bin, -1 if it has no value, both (batch, properties)."""
        columns = [b.index(v) for b, v in zip(self.bins, values.cpu().numpy().T, strict=True)]
        return torch.from_numpy(np.stack(columns, axis=1)).to(values.device)

    def _weights(self, x_0: Tensor, x_s: Tensor, x_t: Tensor) -> Tensor:
        """Return the weight of each position, (batch, length of ``x_t``)."""
        real = x_0 != self.pad_id
        if self.noise == "none":
            places = torch.arange(x_t.shape[1], device=x_t.device)
            return (places <= real.sum(1, keepdim=True)).float()
        if self.noise == "masked":
            return (x_t == self.mask_id).float()
        return torch.where(x_t == x_s, UNCHANGED, 1.0) * real


def _mean_nll(log_p: Tensor, bins: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean over positions of ``-log p(bin)``, summed over properties.

    Args:
        log_p: log-probabilities with shape (batch, positions, properties, bins).
        bins: with shape (batch, properties), -1 if there is none.
        weight: of each position, shape (batch, positions); all zero if a row has none.

    Returns:
        Nats with shape (batch,).
    """
    index = bins.clamp(min=0)[:, None, :, None].expand(*log_p.shape[:3], 1)
    nll = -log_p.gather(-1, index).squeeze(-1)
    nll = torch.where(bins[:, None] >= 0, nll, 0.0).sum(-1)
    return (nll * weight).sum(1) / weight.sum(1).clamp(min=1e-6)


def new_classifier(
    data: TokenDataset,
    kind: str = "masked",
    seed: int = 0,
    sizes: Mapping[str, int] | None = None,
    network: MoleculeDenoiser | None = None,
) -> NoisyClassifier:
    """Return an untrained classifier for the properties of a data set.

    Args:
        data: its training part defines the bins.
        kind: noise of the classifier's inputs: ``"masked"``, ``"uniform"`` or ``"none"``.
        seed: of the weights.
        sizes: of the network, if not ``SIZES``; as in :class:`molgen.nn.config.DenoiserConfig`.
        network: to start from (:func:`start_from`), with its sizes; None for random weights.

    Raises:
        MolgenError: if the data has no properties, or one of them no values.
    """
    if not data.properties:
        raise MolgenError("the data has no properties, expected at least one to classify")
    if network is not None:
        sizes = sizes_of(network)
    bins = [Bins.of(column) for column in data.values[~data.held_out].T]
    config = NoisyClassifierConfig(
        labels=list(data.properties),
        edges=[b.edges.tolist() for b in bins],
        mass=[b.mass.tolist() for b in bins],
        vocab_size=len(data.vocab),
        max_position_embeddings=(
            places(data.tokens.shape[1], kind) if network is None else network.max_length
        ),
        noise=kind,
        time_input=kind == "uniform",
        sums=kind != "none",
        **{**SIZES, **(sizes or {})},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = NoisyClassifier(config)
    if network is not None:
        start_from(classifier, network)
    return classifier


def default_config(epochs: float = 6.0) -> TrainConfig:
    """Return the training of a classifier: an early decay of the learning rate."""
    return TrainConfig(epochs=epochs, **RECIPE)  # type: ignore[arg-type]


def train_classifier(
    data: TokenDataset,
    folder: str | Path,
    noise: str = "masked",
    config: TrainConfig | None = None,
    progress: bool = True,
    resume: bool = True,
    sizes: Mapping[str, int] | None = None,
    network: MoleculeDenoiser | None = None,
    init: NoisyClassifier | None = None,
) -> NoisyClassifier:
    """Train a classifier; the same call resumes an interrupted run.

    Args:
        data: tokenised molecules with property values, NaN where unknown.
        folder: for checkpoints and ``training_log.csv``.
        noise: see :func:`new_classifier`.
        config: of training; :func:`default_config` if omitted.
        progress: show progress.
        resume: from a checkpoint in the folder.
        sizes: see :func:`new_classifier`.
        network: see :func:`new_classifier`.
        init: a classifier to train further, in place of a new one; it keeps its bins.

    Returns:
        The classifier with averaged weights, in evaluation mode.

    Raises:
        MolgenError: if ``init`` has other properties or noise than requested; or as
            :func:`molgen.training.trainer.train`.
        FloatingPointError, OSError: as :func:`molgen.training.trainer.train`.
    """
    config = config or default_config()
    check_light_masks(config.light_masks, noise)
    if init is not None:
        check_same(init, data.properties, noise)
    classifier = init or new_classifier(data, noise, config.seed, sizes, network)
    objective = ClassifierObjective(
        noise, data.pad_id, data.mask_id, classifier.bins, config.light_masks
    )

    def end(trainer: Trainer) -> None:
        trainer.average.write(classifier)

    if not resume:
        state.remove(Path(folder))
    train(data, folder, classifier, config, progress, export=end, objective=objective)
    return classifier.eval()


def check_same(classifier: NoisyClassifier, properties: Sequence[str], noise: str) -> None:
    """Check that a classifier can be trained further.

    Args:
        classifier: to train further.
        properties: of the data set.
        noise: of the inputs.

    Raises:
        MolgenError: if its noise or its properties differ.
    """
    for name, own, asked in (
        ("noise", classifier.noise, noise),
        ("properties", list(classifier.properties), list(properties)),
    ):
        if own != asked:
            raise MolgenError(f"{name} of the classifier in init is {own!r}, expected {asked!r}")


LAYERS = 3  # copied, at most


def sizes_of(network: MoleculeDenoiser) -> dict[str, int]:
    """Return the shape of a classifier that can start from a network."""
    config = network.config
    names = "hidden_size", "num_heads", "condition_size", "mlp_ratio"
    return {name: getattr(config, name) for name in names} | {
        "num_layers": min(LAYERS, config.num_layers)
    }


@torch.no_grad()
def start_from(classifier: NoisyClassifier, network: MoleculeDenoiser) -> None:
    """Copy the first layers of a network into a classifier.

    Args:
        classifier: with the shape of :func:`sizes_of`, for the same noise and tokens.
        network: to start from.

    Raises:
        MolgenError: if the two differ in more than their heads and depth.
    """
    same = "vocab_size", "noise", "time_input", "max_position_embeddings", *sizes_of(network)
    for name in same[:-1]:
        value, expected = getattr(classifier.config, name), getattr(network.config, name)
        if value != expected:
            raise MolgenError(
                f"{name} of the classifier is {value}, expected the network's {expected}"
            )
    own = classifier.state_dict()
    for name, weight in network.state_dict().items():
        kept = name.startswith(("token.", "from_start.", "from_end.", "blocks.", "condition.time."))
        if kept and name in own:
            own[name].copy_(weight)
    embedding = network.condition
    own["condition.out.weight"].copy_(embedding.out.weight)
    if network.time_input:  # the vectors of absent conditions are added to the time's at any time
        own["condition.time.bias"] += embedding.absent.sum(0)
        own["condition.out.bias"].copy_(embedding.out.bias)
    else:
        own["condition.out.bias"].copy_(embedding.out(F.silu(embedding.absent.float().sum(0))))

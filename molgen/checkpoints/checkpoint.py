"""A checkpoint: a network with all that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from molgen.checkpoints.files import CLASSIFIER, CONFIG, INDEX, PRIOR, find
from molgen.checkpoints.folder import load_classifier, load_network
from molgen.checkpoints.hub import locate, resolve
from molgen.checkpoints.info import home, read_info
from molgen.data.prior import Prior
from molgen.data.tokenizer import Tokenizer
from molgen.guidance.classifier import label
from molgen.utils.arrays import Ids
from property_models.registry import MODEL

if TYPE_CHECKING:
    from molgen.molecules.training_index import TrainingIndex
    from molgen.nn.denoiser import Denoiser
    from molgen.targets import Target
    from property_models.classifiers.network import NoisyClassifier


@dataclass(frozen=True)
class Checkpoint:
    """A network with its tokenizer, its prior and its index of known molecules.

    Attributes:
        name: as it was asked for; of one of the hub, with its commit.
        denoiser: the network.
        tokenizer: text <-> ids.
        prior: lengths and property values of training molecules.
        known: canonical SMILES of everything given to training; None if the checkpoint has none.
        info: ``molgen.json``.
        folder: where it was loaded from, and where its guide is; None for one made in memory.
    """

    name: str
    denoiser: Denoiser
    tokenizer: Tokenizer
    prior: Prior
    training_index: TrainingIndex | None
    info: dict[str, Any] = field(repr=False)
    folder: Path | None = None

    @classmethod
    def load(cls, name: str | Path, folder: Path | None = None) -> Self:
        """Load a checkpoint.

        Args:
            name: a bundled name, a folder, or ``hf:owner/name[@revision]``.
            folder: where it lies, if it has been located.

        Raises:
            ValueError: if there is no such model or a file of it is missing or damaged.
        """
        name = resolve(name)
        folder = folder or locate(name)

        from molgen.molecules.training_index import TrainingIndex
        from molgen.nn.denoiser import MoleculeDenoiser

        try:
            info = read_info(folder)
            tokenizer = Tokenizer.load(folder)
            place = home(folder, info)
            prior = Prior.load(place / PRIOR)
            index = find(place, INDEX)
            known = TrainingIndex.load(index) if index.exists() else None
            denoiser = load_network(MoleculeDenoiser, folder)
        except (OSError, ValueError) as error:
            raise ValueError(f"model {name!r} cannot be read: {error}") from error
        longest = int(prior.lengths.max(initial=1))
        spelled = tokenizer.representation
        facts = {
            "representation": (info.get("representation", spelled), spelled),
            "tokens": (len(tokenizer), denoiser.vocab_size),
            "properties": (list(prior.properties), list(denoiser.config.properties)),
            "longest row": (longest, min(longest, denoiser.max_length)),
        }
        for what, (found, expected) in facts.items():
            if found != expected:
                raise ValueError(
                    f"model {name!r} is inconsistent: {what} {found}, the network has {expected}"
                )
        return cls(name, denoiser, tokenizer, prior, known, info, folder)

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties the network can be conditioned on."""
        return self.prior.properties

    def texts(self, tokens: Ids) -> list[str]:
        """Return the text of each row of ids, in the model's representation."""
        return [self.tokenizer.decode(row) for row in tokens]

    def classifier_for(self, targets: Mapping[str, Target], folder: str = "") -> NoisyClassifier:
        """Return the guide that steers towards targets.

        Args:
            targets: what is aimed at.
            folder: of the guide; if empty, that of the learned property aimed at (``model:DIR`` has
                it in ``DIR/classifier``), or else the model's own.

        Raises:
            ValueError: if there is none, or it does not fit the network.
        """
        own = find(self.folder, CLASSIFIER) if self.folder else None
        learned = [name.removeprefix(MODEL) for name in targets if name.startswith(MODEL)]
        if learned and not folder:
            own = find(Path(learned[0]), CLASSIFIER)
        place = Path(folder) if folder else own
        if place is None or not (place / CONFIG).is_file():
            raise ValueError(
                f"model {self.name!r} has no guide for {', '.join(targets)}: expected a folder"
                if not folder
                else f"no guide in {folder!r}: expected a folder with {CONFIG}"
            )
        return load_classifier(place, self.denoiser.vocab_size)

    def has_classifier(self, targets: Mapping[str, Target]) -> bool:
        """Return whether there is a guide of the model's own that tells all of some properties."""
        try:
            classifier = self.classifier_for(targets)
        except ValueError:
            return False
        return {label(classifier, name) for name in targets} <= set(classifier.properties)

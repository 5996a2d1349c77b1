"""A checkpoint: a network with its tokenizer, prior, training-set index and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from molgen.checkpoints.files import ALL, CARD, CLASSIFIER, CONFIG, INDEX, JOINT, PRIOR, find
from molgen.checkpoints.folder import load_classifier, load_joint_block, load_network
from molgen.checkpoints.hub import locate, resolve
from molgen.checkpoints.info import home, read_info
from molgen.data.prior import Prior
from molgen.data.tokenizer import Tokenizer
from molgen.errors import ModelError
from molgen.guidance.classifier import label
from molgen.utils.arrays import Ids
from molgen.utils.files import digest
from property_models.registry import MODEL

if TYPE_CHECKING:
    from molgen.molecules.training_index import TrainingIndex
    from molgen.nn.denoiser import Denoiser
    from molgen.nn.joint_block import JointBlock
    from molgen.targets import Target
    from property_models.classifiers.network import NoisyClassifier


@dataclass(frozen=True)
class Checkpoint:
    """A network with its tokenizer, its prior and its training-set index.

    Attributes:
        name: as requested; for a model of the hub, with its commit.
        denoiser: the network.
        tokenizer: text <-> ids.
        prior: lengths and property values of training molecules.
        training_index: canonical SMILES of all molecules given to training; None if there is none.
        info: ``molgen.json``.
        folder: that the checkpoint was loaded from and that has its classifier; None for a
            checkpoint made in memory.
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
            folder: of the checkpoint, if it has been located.

        Raises:
            MolgenError: if there is no such model, or one of its files is missing or damaged.
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
            training_index = TrainingIndex.load(index) if index.exists() else None
            denoiser = load_network(MoleculeDenoiser, folder)
        except (OSError, ValueError) as error:
            raise ModelError(f"model {name!r} cannot be read: {error}") from error
        longest = int(prior.lengths.max(initial=1))
        spelling = tokenizer.representation
        checks = {
            "representation": (info.get("representation", spelling), spelling),
            "tokens": (len(tokenizer), denoiser.vocab_size),
            "properties": (list(prior.properties), list(denoiser.config.properties)),
            "longest row": (longest, min(longest, denoiser.max_length)),
        }
        for quantity, (value, expected) in checks.items():
            if value != expected:
                raise ModelError(
                    f"model {name!r} is inconsistent: {quantity} is {value}, expected {expected}"
                )
        return cls(name, denoiser, tokenizer, prior, training_index, info, folder)

    def digest(self) -> str:
        """Return a digest of all files that rows depend on; empty for a checkpoint in memory."""
        if self.folder is None:
            return ""
        folders = dict.fromkeys([self.folder, home(self.folder, self.info)])
        names = sorted({*ALL} - {CARD})
        files = (folder / name for folder in folders for name in names)
        return digest(path for path in files if path.is_file())

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties the network can be conditioned on."""
        return self.prior.properties

    def texts(self, tokens: Ids) -> list[str]:
        """Return the text of each row of ids, in the model's representation."""
        return [self.tokenizer.decode(row) for row in tokens]

    def classifier_for(self, targets: Mapping[str, Target], folder: str = "") -> NoisyClassifier:
        """Return the noisy classifier that guides towards targets.

        Args:
            targets: of the properties to guide.
            folder: of the classifier; if empty, that of the learned property among the targets
                (``model:DIR`` has it in ``DIR/classifier``), otherwise the model's own.

        Raises:
            MolgenError: if there is none, or it does not fit the network.
        """
        own = find(self.folder, CLASSIFIER) if self.folder else None
        learned = [name.removeprefix(MODEL) for name in targets if name.startswith(MODEL)]
        if learned and not folder:
            own = find(Path(learned[0]), CLASSIFIER)
        place = Path(folder) if folder else own
        if place is None or not (place / CONFIG).is_file():
            raise ModelError(
                f"model {self.name!r} has no classifier for {', '.join(targets)}: expected a folder"
                if not folder
                else f"no classifier in {folder!r}: expected a folder with {CONFIG}"
            )
        return load_classifier(place, self.denoiser.vocab_size)

    def joint_block(self) -> JointBlock:
        """Return the joint block of the denoiser.

        Raises:
            MolgenError: if there is none, or it does not fit the network.
        """
        place = self.folder and self.folder / JOINT
        if place is None or not (place / CONFIG).is_file():
            raise ModelError(
                f"model {self.name!r} has no joint block: expected one trained by "
                f"`molgen train FILE --few-step {self.name} --out DIR`"
            )
        return load_joint_block(place, self.denoiser)

    def has_classifier(self, targets: Mapping[str, Target]) -> bool:
        """Return whether the model's own classifier predicts all properties of the targets."""
        try:
            classifier = self.classifier_for(targets)
        except ValueError:
            return False
        return {label(classifier, name) for name in targets} <= set(classifier.properties)

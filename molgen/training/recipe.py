"""The recipe of a training run: its hyperparameters in one frozen object.

The defaults are those of the bundled QM9 model: exact-count masking, Muon on the block matrices, a
plateau and linear decay of the learning rate, an exponential moving average of the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from molgen.errors import MolgenError
from molgen.utils.arguments import check_fields


@dataclass(frozen=True)
class TrainConfig:
    """Hyperparameters of training.

    Attributes:
        epochs: passes over the training part; may change on resume while the rate is constant.
        batch_size: molecules per step.
        peak_rate: learning rate of the plateau, for both Muon and AdamW.
        warmup: steps of the warm-up, at most a tenth of the run.
        decay_fraction: fraction of the run over which the rate decays to zero.
        weight_decay: of the block matrices.
        muon: whether Muon trains the block matrices.
        ema_decay: of the weight average.
        drop_all: probability that a row has no property; otherwise a keep rate is drawn uniformly
            for the row and every property is kept independently at that rate.
        self_correct: whether the network is also trained to correct its own draws and to predict
            their errors (:mod:`molgen.training.self_correction`), at twice the time.
        prefix_masks: share of the rows with every mask behind a clean prefix (masked noise).
        light_masks: of a classifier, share of the rows with at most a quarter masked.
        seed: of all random numbers.
        evaluate_every: steps between held-out estimates.
        checkpoint_every: steps between exact checkpoints.
        workers: CPU threads; 0 means one per core. Unused on a GPU.
        shard: molecules per micro-batch on a CPU.
        device: ``"cpu"``, ``"cuda"``, ...
        dtype: ``"bf16"``, ``"fp32"`` or ``"auto"``: of the matrix products.
    """

    epochs: float = 30.0
    batch_size: int = 256
    peak_rate: float = 2e-3
    warmup: int = 200
    decay_fraction: float = 0.5
    weight_decay: float = 0.01
    muon: bool = True
    ema_decay: float = 0.999
    drop_all: float = 0.35
    self_correct: bool = False
    prefix_masks: float = 0.0
    light_masks: float = 0.0
    seed: int = 0
    evaluate_every: int = 500
    checkpoint_every: int = 500
    workers: int = 0
    shard: int = 64
    device: str = "cpu"
    dtype: str = "auto"

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: if one is out of range.
        """
        check_fields(self)
        for name in ("epochs", "batch_size", "peak_rate", "evaluate_every", "checkpoint_every"):
            if not getattr(self, name) > 0:
                raise MolgenError(f"{name} is {getattr(self, name)}, expected more than 0")
        for name in ("seed", "workers", "warmup", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise MolgenError(f"{name} is {getattr(self, name)}, expected at least 0")
        check_prefix_masks(self.prefix_masks, self_correct=self.self_correct)
        check_light_masks(self.light_masks)


def check_light_masks(share: Any, noise: str = "masked") -> None:
    """Check that a classifier can be trained with a share of lightly masked rows.

    Raises:
        MolgenError: if it is not from 0 to 1, or above 0 for other noise than masking.
    """
    _check_share("light_masks", share)
    if share and noise != "masked":
        raise MolgenError(f"light_masks is {share}, expected 0 for noise {noise!r}")


def _check_share(name: str, share: Any) -> None:
    """Check a share of rows.

    Raises:
        MolgenError: if it is not a number from 0 to 1.
    """
    number = isinstance(share, int | float) and not isinstance(share, bool)
    if not (number and 0 <= share <= 1):
        raise MolgenError(f"{name} is {share!r}, expected a number from 0 to 1")


def check_prefix_masks(share: Any, noise: str = "masked", self_correct: bool = False) -> None:
    """Check that a network can be trained with a share of prefix masks.

    Raises:
        MolgenError: if it is not from 0 to 1, or above 0 for a network of other noise than masking
            or a self-correcting one.
    """
    _check_share("prefix_masks", share)
    if share and (noise != "masked" or self_correct):
        network = "a self-correcting network" if self_correct else f"noise {noise!r}"
        raise MolgenError(f"prefix_masks is {share}, expected 0 for {network}")


SERIES = 10_000  # maximum number of training molecules of a series for fine-tuning
PASSES, EPOCHS = 30_000, (4, 40)  # molecules of all steps, and the range of epochs
BATCH, STEPS_AN_EPOCH = 64, 8  # molecules in a step at most; steps in an epoch of a small series
RATE = 1e-4  # of 1e-3, 3e-4 and 1e-4 the best on 300 molecules, in learning and in forgetting


def for_series(training: int, batch_size: int | None = None) -> dict[str, Any]:
    """Return the recipe of fine-tuning on a series, as fields of ``TrainConfig``.

    Steps are small and many, with AdamW only: Muon's products cost more than the gradients of so
    few molecules. A batch always has two micro-batches, so that the result does not depend on the
    number of cores.

    Args:
        training: number of training molecules.
        batch_size: molecules in a step, if given.
    """
    batch = batch_size or int(np.clip(training // STEPS_AN_EPOCH, min(8, training), BATCH))
    epochs = float(np.clip(PASSES / training, *EPOCHS))
    each = max(1, round(training / batch))  # an evaluation at the end of every epoch
    return {
        "epochs": epochs,
        "batch_size": batch,
        "peak_rate": RATE,
        "muon": False,
        "decay_fraction": 1.0,
        "shard": max(1, batch // 2),
        "evaluate_every": each,
        "checkpoint_every": each,
    }

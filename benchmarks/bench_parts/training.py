"""A training step of the QM9 network against the loss alone, on the same batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import molgen
from bench_parts.part import Part, Seconds, molecules, scaled, timed
from molgen.data.dataset import TokenDataset
from molgen.nn.config import DenoiserConfig
from molgen.training.recipe import TrainConfig
from molgen.training.trainer import Trainer, new_model
from molgen.utils.threads import workers

BATCH = 256


def start(size: float) -> Callable[[int], Seconds]:
    """Return the measurement."""
    model, batch = molgen.load("qm9"), scaled(BATCH, size)
    shape, tokenizer = DenoiserConfig.from_pretrained(str(model.folder)), model.tokenizer
    encoded = [tokenizer.encode(text) for text in molecules(batch)]
    rng = np.random.default_rng(0)
    values = {
        name: rng.normal(mean, std, batch)
        for name, mean, std in zip(
            shape.properties, shape.property_mean, shape.property_std, strict=True
        )
    }
    data = TokenDataset.build(encoded, values, tokenizer.vocab, held_out_fraction=0)
    rows = np.arange(batch)

    def run(seed: int) -> Seconds:
        with workers() as pool:
            trainer = Trainer(data, new_model(shape, seed), TrainConfig(batch_size=batch), pool)
            trainer.train_step(rows)  # allocates
            return {
                "step": timed(lambda: trainer.train_step(rows), batch),
                "loss alone": timed(lambda: trainer.mean_loss(rows), batch),
            }

    return run


PART = Part("training", "molecule", start, {"loss alone against a step": ("loss alone", "step")})

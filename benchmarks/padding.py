"""Drawn lengths against learned padding: two equal networks, trained both ways.

    .venv/bin/molgen train data/qm9.csv.gz --out out/qm9 --prepare-only
    .venv/bin/python benchmarks/padding.py out/qm9/dataset.npz --minutes 10 --seeds 0,1,2

*drawn*: the method of molgen. A row has its own length, drawn from those of training, at a cost of
``-log p(length)`` in the bound. *padded*: every row is padded to the longest with ``[END]``, an
ordinary token that is masked, predicted and drawn like any other and is part of the bound; the
molecule ends before the first ``[END]``. Both bounds are of the same quantity, nats for the text of
a held-out molecule, so they can be compared.

The padded network is trained twice: for the same time, and on the same number of molecules.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from molgen.data.dataset import TokenDataset
from molgen.data.tokenizer import Tokenizer
from molgen.diffusion.likelihood import held_out_bound
from molgen.diffusion.plan import Ancestral
from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.predictor import NetworkPredictor
from molgen.molecules.conventions import count
from molgen.molecules.parsing import interpret_all
from molgen.nn.config import DenoiserConfig
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.sampling.event_sampler import Sampler
from molgen.sampling.sampler import Job
from molgen.training.recipe import TrainConfig
from molgen.training.trainer import Trainer, new_model
from molgen.utils.files import replacing
from molgen.utils.threads import Workers, workers

RESULTS = Path("out") / "benchmarks" / "padding.csv"
END = "[END]"
WARM_UP, PROBE = 10, 40  # steps before and in the measurement of the training speed


@dataclass(frozen=True)
class Outcome:
    """The result of one training run.

    Attributes:
        arm: kind of padding, and what was kept equal.
        seed: of weights, batches, masks and samples.
        minutes: of training alone.
        epochs: passes over the training molecules.
        trained_per_second: molecules a second in training.
        nats: held-out bound per molecule, its length included.
        error: standard error of it over molecules.
        length_nats: the part of it for the drawn length; NaN where it is not drawn.
        rows: samples drawn.
        valid: part of them that are valid molecules.
        unique: distinct valid molecules, over rows.
        after_end: part of them with an ordinary token after the first ``[END]``.
        nfe: forwards a row.
        drawn_per_second: molecules a second in sampling.
    """

    arm: str
    seed: int
    minutes: float
    epochs: float
    trained_per_second: float
    nats: float
    error: float
    length_nats: float
    rows: int
    valid: float
    unique: float
    after_end: float
    nfe: float
    drawn_per_second: float


def unconditional(data: TokenDataset) -> TokenDataset:
    """Return the data set without its properties."""
    return replace(data, values=np.zeros((len(data), 0), np.float32), properties=())


def padded(data: TokenDataset) -> TokenDataset:
    """Return the data set with every row padded to the longest with an ordinary ``[END]``.

    It is inserted between the ordinary tokens and the special ones, so its id is the former id of
    padding, and the arrays of ids are unchanged.
    """
    vocab = (*data.vocab[:-2], END, *data.vocab[-2:])
    return replace(data, lengths=np.full_like(data.lengths, data.tokens.shape[1]), vocab=vocab)


def shape(data: TokenDataset, options: argparse.Namespace) -> DenoiserConfig:
    """Return the network's shape: equal for both but for one row of the embedding."""
    return DenoiserConfig(
        vocab_size=len(data.vocab),
        max_position_embeddings=data.tokens.shape[1],
        hidden_size=options.hidden,
        num_layers=options.layers,
        num_heads=options.heads,
    )


def epochs_in(data: TokenDataset, options: argparse.Namespace, pool: Workers) -> float:
    """Return the number of epochs in the given time, from the speed of some steps."""
    trainer = Trainer(data, new_model(shape(data, options), 0), TrainConfig(), pool)
    batches = trainer.remaining_batches()
    for rows in islice(batches, WARM_UP):
        trainer.train_step(rows)
    start = time.perf_counter()
    molecules = 0
    for rows in islice(batches, PROBE):
        trainer.train_step(rows)
        molecules += len(rows)
    speed = molecules / (time.perf_counter() - start)
    return speed * 60 * options.minutes / int((~data.held_out).sum())


def run(
    arm: str,
    data: TokenDataset,
    epochs: float,
    seed: int,
    options: argparse.Namespace,
    pool: Workers,
) -> Outcome:
    """Train, then measure the averaged weights."""
    config = TrainConfig(epochs=epochs, seed=seed)
    trainer = Trainer(data, new_model(shape(data, options), seed), config, pool)
    start = time.perf_counter()
    molecules = 0
    for rows in trainer.remaining_batches():
        trainer.train_step(rows)
        molecules += len(rows)
    seconds = time.perf_counter() - start
    with trainer.average.applied(trainer.model):
        bound = held_out_bound(
            trainer.model, data, options.held_out, pool=pool, dtype=trainer.dtype
        )
        drawn = sample(trainer.model, data, seed, options.n, pool)
    learned = END in data.vocab
    return Outcome(
        arm=arm,
        seed=seed,
        minutes=seconds / 60,
        epochs=trainer.epoch,
        trained_per_second=molecules / seconds,
        nats=bound.nats - (bound.length_nats if learned else 0.0),
        error=bound.error,
        length_nats=float("nan") if learned else bound.length_nats,
        rows=options.n,
        **drawn,
    )


def sample(
    model: MoleculeDenoiser, data: TokenDataset, seed: int, n: int, pool: Workers
) -> dict[str, float]:
    """Draw rows, ancestral at T = 128, and count them."""
    lengths = np.random.default_rng(seed).choice(data.lengths[~data.held_out], n)
    start = time.perf_counter()
    samples = Sampler(
        NetworkPredictor(MicroBatchedDenoiser(model), pool), Ancestral().plan(128)
    ).run(Job(lengths, seed=seed))
    seconds = time.perf_counter() - start
    tokenizer = Tokenizer(list(data.vocab), data.representation)
    texts = [tokenizer.decode(row) for row in samples.tokens]
    raw = [tokenizer.smiles(text.partition(END)[0]) for text in texts]
    counted = count(interpret_all(raw))
    after_end = [bool(text.partition(END)[2].replace(END, "")) for text in texts]
    return {
        "valid": float(counted.valid.mean()),
        "unique": float(counted.unique.mean()),
        "after_end": float(np.mean(after_end)),
        "nfe": float(samples.nfe.mean()),
        "drawn_per_second": n / seconds,
    }


def outcomes(data: TokenDataset, options: argparse.Namespace) -> Iterator[Outcome]:
    """Yield the outcome of every run."""
    filled = padded(data)
    with workers() as pool:
        allowed, allowed_filled = (epochs_in(d, options, pool) for d in (data, filled))
        for seed in options.seeds:
            yield run("drawn", data, allowed, seed, options, pool)
            yield run("padded, same time", filled, allowed_filled, seed, options, pool)
            yield run("padded, same molecules", filled, allowed, seed, options, pool)


def write(found: list[Outcome], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.name for column in fields(Outcome)])
        for outcome in found:
            values = asdict(outcome).values()
            writer.writerow([f"{v:.5g}" if isinstance(v, float) else v for v in values])


def markdown(found: list[Outcome]) -> str:
    """Return means over seeds, with standard deviations where there are several."""
    columns = [c.name for c in fields(Outcome) if c.name not in ("arm", "seed")]
    lines = [" | ".join(["arm", *columns]), " | ".join("---" for _ in range(len(columns) + 1))]
    for arm in dict.fromkeys(outcome.arm for outcome in found):
        table = np.array([[getattr(o, c) for c in columns] for o in found if o.arm == arm])
        lines.append(" | ".join([arm, *map(mean_and_spread, table.T)]))
    return "\n".join(f"| {line} |" for line in lines)


def mean_and_spread(values: NDArray[np.float64]) -> str:
    spread = f" ± {values.std(ddof=1):.2g}" if len(values) > 1 and values.std() > 0 else ""
    return f"{values.mean():.4g}{spread}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="dataset.npz of `molgen train --prepare-only`")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, each run")
    parser.add_argument(
        "--seeds", default=[0], type=lambda text: [int(part) for part in text.split(",")]
    )
    parser.add_argument("--hidden", type=int, default=128, help="width of the network")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--n", type=int, default=1024, help="rows to sample")
    parser.add_argument("--held-out", type=int, default=2048, help="molecules of the bound")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    data = unconditional(TokenDataset.load(options.dataset))
    print(
        f"{len(data)} molecules of {data.lengths.mean():.1f} tokens, at most "
        f"{data.tokens.shape[1]}; {options.layers} layers of {options.hidden}; "
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    )
    found: list[Outcome] = []
    for outcome in outcomes(data, options):
        found.append(outcome)
        write(found, options.out)
        print(
            f"{outcome.arm}, seed {outcome.seed}: {outcome.epochs:.2f} epochs in "
            f"{outcome.minutes:.1f} minutes, {outcome.nats:.2f} nats, {outcome.valid:.1%} valid"
        )
    print(markdown(found))


if __name__ == "__main__":
    main()

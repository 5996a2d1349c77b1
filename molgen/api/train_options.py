"""The options of training as one request, and the objects made from it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.errors import MolgenError
from molgen.utils.numbers import whole

if TYPE_CHECKING:
    from molgen.model import Model
    from molgen.training.ingest import Options
    from molgen.training.recipe import TrainConfig

RATE = 2e-3
INIT_RATE = 5e-4  # trained weights are near an optimum, which the full rate would leave at once
EPOCHS, BATCH, CHECKPOINT = 30.0, 256, 500
LAYERS, WIDTH, HEADS = 6, 256, 4
LARGEST_SEED = 2**31 - 1
DATA = {
    "column": "column",
    "properties": "properties",
    "representation": "representation",
    "max_length": "max_tokens",
    "held_out": "held_out",
    "keep_salts": "keep_salts",
    "neutralise": "neutralise",
}
"""Fields of :class:`molgen.training.ingest.Options` by the names of the arguments."""


@dataclass(frozen=True)
class TrainRequest:
    """A request to train; None for the default. See :func:`molgen.api.train.train`."""

    column: str | None = None
    properties: tuple[str, ...] | None = None
    representation: str | None = None
    max_length: int | None = None
    held_out: float | None = None
    keep_salts: bool | None = None
    neutralise: bool | None = None
    epochs: float | None = None
    batch_size: int | None = None
    lr: float | None = None
    layers: int | None = None
    width: int | None = None
    heads: int | None = None
    noise: str | None = None
    self_correct: bool = False
    prefix_masks: float = 0.0
    seed: int = 0
    device: str | None = None
    dtype: str | None = None
    workers: int | None = None
    checkpoint_every: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: if one is out of range.
        """
        whole("seed", self.seed, 0, LARGEST_SEED)
        counts = ("max_length", "batch_size", "layers", "width", "heads", "workers")
        for name in (*counts, "checkpoint_every"):
            if (value := getattr(self, name)) is not None:
                whole(name, value)
        check_positive(self, "epochs", "lr")
        self.check_prefix_masks(self.noise or "masked")

    @property
    def processes(self) -> int:
        """Number of processes for chemistry."""
        return self.workers or os.cpu_count() or 1

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Layers, width and heads of a new network."""
        return self.layers or LAYERS, self.width or WIDTH, self.heads or HEADS

    @property
    def changes(self) -> dict[str, Any]:
        """The data options that were given, by their names in ``Options``."""
        given = {field: getattr(self, name) for name, field in DATA.items()}
        return {name: value for name, value in given.items() if value is not None}

    def check_prefix_masks(self, noise: str, self_correct: bool = False) -> None:
        """Check the share of prefix masks for a network's noise.

        Raises:
            MolgenError: as :func:`molgen.training.recipe.check_prefix_masks`.
        """
        from molgen.training.recipe import check_prefix_masks

        check_prefix_masks(self.prefix_masks, noise, self_correct or self.self_correct)

    def without_shape(self) -> None:
        """Check that no shape is given beside a model to start from.

        Raises:
            MolgenError: if one is.
        """
        for name in ("layers", "width", "heads", "noise"):
            if getattr(self, name) is not None:
                raise MolgenError(f"{name} is given, expected only init, whose model defines it")

    def recipe(self, init: bool = False, series: int = 0, correct: bool = False) -> TrainConfig:
        """Return the recipe of training.

        Args:
            init: whether a model is trained further.
            series: number of training molecules if it is fine-tuned on a series; else 0.
            correct: the network to start from is self-correcting, and is trained as such.
        """
        from molgen.training.recipe import TrainConfig, for_series

        own: dict[str, Any] = {
            "epochs": EPOCHS,
            "batch_size": BATCH,
            "peak_rate": INIT_RATE if init else RATE,
            "evaluate_every": CHECKPOINT,
            "checkpoint_every": CHECKPOINT,
        }
        own |= for_series(series, self.batch_size) if series else {}
        given = {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "peak_rate": self.lr,
            "evaluate_every": self.checkpoint_every,
            "checkpoint_every": self.checkpoint_every,
        }
        return TrainConfig(
            **{**own, **{name: value for name, value in given.items() if value is not None}},
            self_correct=self.self_correct or correct,
            prefix_masks=self.prefix_masks,
            seed=self.seed,
            workers=self.workers or 0,
            device=self.device or "cpu",
            dtype=self.dtype or "auto",
        )


NAMES = tuple(field.name for field in fields(TrainRequest))


def check_positive(given: object, *names: str) -> None:
    """Check numbers that may be fractions; None is not given.

    Raises:
        MolgenError: if one is not a finite number above 0.
    """
    for name in names:
        value = getattr(given, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and value > 0 and math.isfinite(value)):
            raise MolgenError(f"{name} is {value!r}, expected a number above 0")


def data_options(wanted: dict[str, Any], seed: int, init: Model | None) -> Options:
    """Return the options of reading a file; a model to start from defines most of them.

    Raises:
        MolgenError: if an option is out of range or contradicts the model.
    """
    from molgen.training.ingest import MAX_TOKENS, Options

    if init is None:
        return Options(**wanted, seed=seed)
    own = {"properties": init.properties, "representation": init.tokenizer.representation}
    if further := [p for p in wanted.get("properties", ()) if p not in init.properties]:
        raise MolgenError(
            f"properties is {', '.join(further)}, expected those of {init.name!r}: "
            f"{', '.join(init.properties) or 'none'}; for guidance by others use `molgen "
            "fit-property FILE --column C --classifier MODEL`"
        )
    for name, value in own.items():
        if wanted.get(name, value) != value:
            raise MolgenError(
                f"{name} is {wanted[name]!r}, expected {value!r} as in the model {init.name!r}"
            )
    longest = init.denoiser.max_length
    if wanted.get("max_tokens", 0) > longest:
        raise MolgenError(
            f"max_length is {wanted['max_tokens']}, expected at most {longest} as in the model "
            f"{init.name!r}"
        )
    usual = {"max_tokens": min(MAX_TOKENS, longest), "held_out": None}
    return Options(**{**usual, **wanted, **own}, seed=seed)


def source_of(file: Any, folder: Path) -> Path:
    """Return the file to train on; molecules in memory are written to one in the folder.

    Raises:
        MolgenError: if it does not exist, or they cannot be read.
    """
    if isinstance(file, Path) or (isinstance(file, str) and (os.path.isfile(file) or not file)):
        path = Path(file)
        if not path.is_file():
            raise MolgenError(f"no file {str(path)!r}")
        return path
    if isinstance(file, str):
        raise MolgenError(f"no file {file!r}")
    import pandas as pd

    from molgen.api.molecules import read_molecules
    from molgen.data.tables import write_table
    from molgen.sampling.result import Result

    table = file.table if isinstance(file, Result) else file
    if not isinstance(table, pd.DataFrame):
        table = pd.DataFrame({"smiles": read_molecules(table).raw})
    folder.mkdir(parents=True, exist_ok=True)
    write_table(table, folder / "molecules.csv")
    return folder / "molecules.csv"


def check_source(file: str | Path, folder: Path, written: Sequence[str]) -> None:
    """Check that a file to read is none of the tables that a run writes.

    Args:
        file: that is read.
        folder: of the run.
        written: names of the tables.

    Raises:
        MolgenError: if it is.
    """
    if Path(file).resolve() in [(folder / name).resolve() for name in written]:
        raise MolgenError(f"file is {str(file)!r}, which a run in {str(folder)!r} replaces")


def names_of(properties: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """Read names of properties, also with commas between them; ``none`` is an empty list."""
    if not isinstance(properties, str):
        return None if properties is None else tuple(properties)
    words = properties.strip()
    return () if words == "none" else tuple(name.strip() for name in words.split(","))

"""Reading ``config.json``: molgen's own keys only, each with a type and a range.

Sizes have upper limits, and the weights in the folder are compared with the shape before memory is
allocated (:mod:`molgen.nn.weights`). Other keys of a file (code to fetch, attention implementation,
loading options) are ignored.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from molgen.errors import MolgenError
from molgen.utils.json_files import read_json

CONFIG, WEIGHTS = "config.json", "model.safetensors"

Size = Annotated[int, Meta(ge=1, le=2**16)]
"""Of a vocabulary, a row, a layer: sixteen times the largest language models' rows and widths."""
Few = Annotated[int, Meta(ge=1, le=1024)]
"""Of layers, heads, or one layer in widths of another."""
Name = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,1000}$")]
"""Of a property: a text of one line that is never evaluated."""


class StoredShape(msgspec.Struct, kw_only=True):
    """The shape of a denoiser; see :class:`molgen.nn.config.DenoiserConfig` for each key."""

    model_type: Annotated[str, Meta(pattern="^molgen_denoiser$")]
    vocab_size: Annotated[int, Meta(ge=2, le=2**16)]
    max_position_embeddings: Size
    hidden_size: Size
    num_layers: Few
    num_heads: Few
    mlp_ratio: Few
    condition_size: Size
    properties: list[Name] = []
    property_mean: list[float] = []
    property_std: list[float] = []
    time_input: bool = False
    noise: Annotated[str, Meta(pattern="^(masked|uniform|none)$")] = "masked"
    quality: bool = False

    def __post_init__(self) -> None:
        """Check relations between keys.

        Raises:
            MolgenError: with the key's name.
        """
        if self.hidden_size % self.num_heads:
            raise MolgenError(
                f"hidden_size is {self.hidden_size}, expected a multiple of the {self.num_heads} "
                "num_heads"
            )
        if len(set(self.properties)) != len(self.properties):
            raise MolgenError("properties has a repeated name")
        for name in ("property_mean", "property_std"):
            moments = getattr(self, name)
            if len(moments) != len(self.properties) or not all(map(math.isfinite, moments)):
                raise MolgenError(
                    f"{name} is not one finite number for each of {len(self.properties)} properties"
                )
        if not all(std > 0 for std in self.property_std):
            raise MolgenError("property_std has a number that is not above 0")

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the configuration's class."""
        found = msgspec.structs.asdict(self)
        del found["model_type"]
        return found


Shape = TypeVar("Shape", bound=StoredShape)


def read_shape(folder: Path, kind: type[Shape]) -> Shape:
    """Return the shape that ``config.json`` of a folder describes.

    Raises:
        MolgenError: with the key, its value and the allowed values.
        OSError: if the file cannot be opened.
    """
    return read_json(folder / CONFIG, kind)

"""The shape of a denoiser: the content of ``config.json`` of a checkpoint."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

from molgen.errors import MolgenError
from molgen.utils.hints import one_of

NOISES = ("masked", "uniform", "none")

ROUND = 16  # the longest row of a network is a multiple of this many tokens


def places(longest: int, noise: str) -> int:
    """Return the number of positions of a network for rows of up to ``longest`` tokens.

    An autoregressive row starts with a token for its beginning.
    """
    return -(-(longest + (noise == "none")) // ROUND) * ROUND


class DenoiserConfig(PretrainedConfig):
    """Shape of a :class:`molgen.nn.denoiser.MoleculeDenoiser`, stored in ``config.json``."""

    model_type = "molgen_denoiser"

    def __init__(
        self,
        vocab_size: int = 32,
        max_position_embeddings: int = 32,
        hidden_size: int = 256,
        num_layers: int = 6,
        num_heads: int = 4,
        mlp_ratio: int = 4,
        condition_size: int = 64,
        properties: list[str] | None = None,
        property_mean: list[float] | None = None,
        property_std: list[float] | None = None,
        time_input: bool = False,
        noise: str = "masked",
        quality: bool = False,
        **kwargs: Any,
    ) -> None:
        """Set the shape.

        Args:
            vocab_size: tokens including ``[PAD]`` and ``[MASK]``, the last two ids.
            max_position_embeddings: longest row in tokens.
            hidden_size: width of the residual stream.
            num_layers: transformer blocks.
            num_heads: attention heads; must divide ``hidden_size``.
            mlp_ratio: width of the feed-forward layer over ``hidden_size``.
            condition_size: width of the condition vector.
            properties: names of the properties the network can be conditioned on.
            property_mean: their training means, in their own units.
            property_std: their training standard deviations.
            time_input: whether the network is conditioned on ``alpha_t``.
            noise: of training: ``"masked"``, ``"uniform"``, or ``"none"`` for an autoregressive
                network.
            quality: whether it has a head that predicts errors of placed tokens; trained by
                :mod:`molgen.training.self_correction`.
            **kwargs: passed to ``PretrainedConfig``.

        Raises:
            MolgenError: for another noise.
        """
        self.vocab_size = vocab_size
        self.max_position_embeddings = max_position_embeddings
        self.hidden_size, self.num_layers, self.num_heads = hidden_size, num_layers, num_heads
        self.mlp_ratio, self.condition_size = mlp_ratio, condition_size
        self.properties = properties or []
        self.property_mean = property_mean or [0.0] * len(self.properties)
        self.property_std = property_std or [1.0] * len(self.properties)
        if noise not in NOISES:
            raise MolgenError(f"noise is {noise!r}, {one_of(noise, NOISES)}")
        self.time_input, self.noise, self.quality = time_input, noise, quality
        kwargs.setdefault("pad_token_id", vocab_size - 2)
        super().__init__(**kwargs)

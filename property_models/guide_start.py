"""Where a guide starts: at the first layers of the network that it is to steer.

The network has learned from the same molecules what tokens mean next to each other, which a guide
would have to learn first. Its last layers have turned to the tokens that are missing, so the guide
goes on from a few of the first, as they are without a condition.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from molgen.nn.denoiser import MoleculeDenoiser
from property_models.classifiers.network import NoisyGuide

LAYERS = 3  # taken over, of a network that has as many


def sizes(network: MoleculeDenoiser) -> dict[str, int]:
    """Return the shape of a guide that can start from a network."""
    config = network.config
    names = "hidden_size", "num_heads", "condition_size", "mlp_ratio"
    return {name: getattr(config, name) for name in names} | {
        "num_layers": min(LAYERS, config.num_layers)
    }


@torch.no_grad()
def start(guide: NoisyGuide, network: MoleculeDenoiser) -> None:
    """Copy the first layers of a network into a guide.

    Args:
        guide: of the shape that :func:`sizes` gives, for the same noise and tokens.
        network: to start from.

    Raises:
        ValueError: if the two differ in more than their heads and depth.
    """
    same = "vocab_size", "noise", "time_input", "max_position_embeddings", *sizes(network)
    for name in same[:-1]:
        mine, theirs = getattr(guide.config, name), getattr(network.config, name)
        if mine != theirs:
            raise ValueError(f"{name} of the guide is {mine}, expected the network's {theirs}")
    own = guide.state_dict()
    for name, weight in network.state_dict().items():
        kept = name.startswith(("token.", "from_start.", "from_end.", "blocks.", "condition.time."))
        if kept and name in own:
            own[name].copy_(weight)
    told = network.condition
    own["condition.out.weight"].copy_(told.out.weight)
    if network.time_input:  # what stands for absent conditions is part of every clock reading
        own["condition.time.bias"] += told.absent.sum(0)
        own["condition.out.bias"].copy_(told.out.bias)
    else:
        own["condition.out.bias"].copy_(told.out(F.silu(told.absent.float().sum(0))))

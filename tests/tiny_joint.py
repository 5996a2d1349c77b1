"""A random joint block for the tiny network."""

from __future__ import annotations

from pathlib import Path

import torch

import tiny
from molgen.checkpoints.files import JOINT
from molgen.checkpoints.folder import save_network
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.nn.joint_block import JointBlock, shape_for


def block(denoiser: MoleculeDenoiser) -> JointBlock:
    """A joint block with random parameters, so that its output depends on all inputs."""
    found = JointBlock(shape_for(denoiser.config))
    generator = torch.Generator().manual_seed(1)
    for parameter in found.parameters():
        spread = 1.2 * parameter.shape[-1] ** -0.5
        parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    return found.eval()


def save(folder: Path) -> Path:
    """Write the tiny checkpoint with a joint block."""
    tiny.save(folder)
    save_network(block(tiny.network()), folder / JOINT)
    return folder

"""Loading weights of a file into a network, without allocating memory before they fit it.

    shapes of the network's parameters (on the meta device)  =  shapes in the file's header

Weights are read from safetensors only, without another library's loader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from molgen.errors import MolgenError
from molgen.utils.array_files import Layout, reason, safetensors_layout

KINDS = ("f", "BF16")

Network = TypeVar("Network", bound=nn.Module)


def with_weights(make: Callable[[], Network], path: Path) -> Network:
    """Return a network with the weights of a file, in single precision and in evaluation mode.

    Args:
        make: returns the network; called on the meta device, where tensors take no memory.
        path: of the weights.

    Raises:
        MolgenError: if they do not fit the network, or are not finite.
        OSError: if the file cannot be opened.
    """
    with torch.device("meta"):
        network = make()
    expected = network.state_dict()
    check_weights(safetensors_layout(path), expected, path)
    state = read_tensors(path)
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise MolgenError(f"{path} is damaged: {name} has a value that is not finite")
        state[name] = tensor.to(torch.float32, copy=True)  # the file may be deleted
    network.load_state_dict(state, assign=True)
    return network.eval()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, on the CPU.

    Raises:
        MolgenError: if it is not safetensors, or is damaged.
        OSError: if it cannot be opened.
    """
    safetensors_layout(path)
    with readable(path), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise errors of safetensors with the file's name.

    Raises:
        MolgenError: if the file cannot be read.
    """
    try:
        yield
    except SafetensorError as error:
        raise MolgenError(f"{path} is damaged, expected safetensors: {reason(error)}") from error


def check_weights(found: Mapping[str, Layout], expected: Mapping[str, Any], source: Path) -> None:
    """Check names, shapes and types of a file's tensors.

    Args:
        found: layout of the file's tensors by name.
        expected: by name, any object with a ``shape``.
        source: the file.

    Raises:
        MolgenError: with the tensors that are missing, unknown, or of another shape or type.
    """
    faults = {
        "missing": sorted(expected.keys() - found.keys()),
        "unknown": sorted(found.keys() - expected.keys()),
        "of the wrong shape": [
            f"{name} is {found[name].shape}, not {tuple(expected[name].shape)}"
            for name in sorted(found.keys() & expected.keys())
            if found[name].shape != tuple(expected[name].shape)
        ],
        "of the wrong type": [
            f"{name} is {layout.kind}"
            for name, layout in sorted(found.items())
            if layout.kind not in KINDS
        ],
    }
    reasons = [f"{fault}: {_few(names)}" for fault, names in faults.items() if names]
    if reasons:
        raise MolgenError(f"{source} does not fit its config.json; {'; '.join(reasons)}")


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more

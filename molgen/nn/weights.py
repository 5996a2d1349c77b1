"""Weights of a file, put into a network that takes no memory before they fit it.

    shapes that the network calls for (on the meta device)  =  shapes in the file's first bytes

Weights come from safetensors alone, and no other library's loader has a say in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from molgen.utils.array_files import Layout, reason, safetensors_layout

KINDS = ("f", "BF16")

Network = TypeVar("Network", bound=nn.Module)


def with_weights(make: Callable[[], Network], path: Path) -> Network:
    """Return a network with the weights of a file, in single precision and in evaluation mode.

    Args:
        make: returns the network; it is called where tensors take no memory.
        path: of the weights.

    Raises:
        ValueError: if they are not those that the network calls for, or hold no numbers.
        OSError: if the file cannot be opened.
    """
    with torch.device("meta"):
        network = make()
    expected = network.state_dict()
    check_weights(safetensors_layout(path), expected, path)
    state = read_tensors(path)
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"{path} is damaged: {name} holds a value that is no finite number")
        state[name] = tensor.to(torch.float32, copy=True)  # the file may go away
    network.load_state_dict(state, assign=True)
    return network.eval()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, on the CPU.

    Raises:
        ValueError: if it is none, or was cut short.
        OSError: if it cannot be opened.
    """
    safetensors_layout(path)
    with readable(path), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say of which file it is if it cannot be read as safetensors.

    Raises:
        ValueError: naming it.
    """
    try:
        yield
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, expected safetensors: {reason(error)}") from error


def check_weights(found: Mapping[str, Layout], expected: Mapping[str, Any], source: Path) -> None:
    """Check what a file says of its tensors.

    Args:
        found: what the file says.
        expected: by name, anything with a ``shape``.
        source: the file.

    Raises:
        ValueError: naming the tensors that are missing, unknown, or of another shape or type.
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
    told = [f"{what}: {_few(names)}" for what, names in faults.items() if names]
    if told:
        raise ValueError(f"{source} does not fit its config.json; {'; '.join(told)}")


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more

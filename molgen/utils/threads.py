"""Worker threads with one core each.

The matrices of a small denoiser are too small for several threads inside each operation: on two
cores, two workers that each run whole micro-batches on one core are faster than one operation split
in two, and they do not stall while another process uses a core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from molgen.errors import MolgenError
from molgen.utils.hints import one_of

In = TypeVar("In")
Out = TypeVar("Out")


def bf16_is_fast(device: str = "cpu") -> bool:
    """Return whether matrix products in bfloat16 are native on this device."""
    if device.startswith("cpu"):
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        return bool(supported())
    return True


def wide(values: Tensor) -> Tensor:
    """Return values in float32 or wider, for sums and exponentials."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def resolve_dtype(dtype: str, device: str) -> torch.dtype:
    """Return the type of the matrix products for ``"auto"``, ``"bf16"``, ``"fp32"`` or ``"fp64"``.

    In fp64 the whole network runs in double precision: slow, but with rounding errors so small that
    all processors draw the same rows.

    Raises:
        MolgenError: for another word.
    """
    choices = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp64": torch.float64}
    choices["auto"] = torch.bfloat16 if bf16_is_fast(device) else torch.float32
    if dtype not in choices:
        raise MolgenError(f"dtype is {dtype!r}, {one_of(dtype, choices)}")
    return choices[dtype]


def check_device(device: str) -> None:
    """Check that a device is available.

    Raises:
        MolgenError: if it is not, with those that are.
    """
    try:
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0].partition(" device type at")[0]
        unknown = reason.startswith("Expected one of")  # of all that torch was ever built for
        found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        found += ["mps"] if torch.backends.mps.is_available() else []
        raise MolgenError(
            f"device {device!r} cannot be used, expected {' or '.join(found)}"
            + ("" if unknown else f": {reason}")
        ) from error


class Workers:
    """Threads that run one operation on one core each; a plain loop on a GPU."""

    def __init__(self, device: str = "cpu", count: int = 0) -> None:
        """Start the threads.

        Args:
            device: of the tensors; only a CPU gets threads.
            count: number of threads; 0 means one per core.
        """
        self.count = (count or torch.get_num_threads()) if device.startswith("cpu") else 1
        self._pool = (
            ThreadPoolExecutor(self.count, initializer=lambda: torch.set_num_threads(1))
            if device.startswith("cpu")
            else None
        )

    def map(self, function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
        """Apply a function to every item; results come in the order of the items."""
        return map(function, items) if self._pool is None else self._pool.map(function, items)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()


@contextmanager
def workers(device: str = "cpu", count: int = 0) -> Iterator[Workers]:
    """Yield workers for a block, in which the caller's own operations use one thread.

    Threads waiting inside the calling thread would compete with the workers for the cores.
    """
    check_device(device)
    before = torch.get_num_threads()
    pool = Workers(device, count)
    if device.startswith("cpu"):
        torch.set_num_threads(1)
    try:
        yield pool
    finally:
        pool.close()
        torch.set_num_threads(before)

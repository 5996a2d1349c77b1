"""ChemNet: the network of the Fréchet ChemNet distance.

An LSTM over SMILES that was trained to predict assays (Preuer et al., "Fréchet ChemNet distance: a
metric for generative models for molecules in drug discovery", 2018), from the package ``fcd_torch``
(extra ``fcd``), with which MOSES computed its published values. Its weights are a file of
``torch.save`` in that package, which torch reads as plain tensors (``weights_only``, its default
since 2.6): no code in it runs. Only the network and its input encoding are used, because the
package's other functions need removed functions of NumPy (2.5) and SciPy (1.18).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.utils.arrays import Floats
from molgen.utils.imports import installed

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 512  # rows of one forward; each takes 0.1 MB as one-hot characters


def available() -> bool:
    """Return whether the extra is installed."""
    return installed("fcd_torch")


def chemnet(device: str = "cpu") -> Callable[[Sequence[str], str], Iterator[Floats]]:
    """Return ChemNet's last hidden layer as a function of molecules.

    Args:
        device: of the network; on a CPU every core runs separate batches.

    Returns:
        From canonical SMILES and the label of a progress bar (empty for none) to activations,
        batch by batch, with shape (batch, features).
    """
    network: list[Callable[[Sequence[str]], Floats]] = []  # loaded once it is needed

    def activations(smiles: Sequence[str], progress: str = "") -> Iterator[Floats]:
        from molgen.utils.progress import Bar
        from molgen.utils.threads import workers

        if not smiles:
            return
        if not network:
            network.append(_network(device))
        batches = [smiles[i : i + BATCH] for i in range(0, len(smiles), BATCH)]
        with (
            workers(device) as pool,
            Bar(len(smiles), label=progress, shown=bool(progress)) as bar,
        ):
            # A few batches at a time, so that an interruption does not wait for all.
            for i in range(0, len(batches), 2 * pool.count):
                for rows in pool.map(network[0], batches[i : i + 2 * pool.count]):
                    bar.add(len(rows))
                    yield rows

    return activations


def _network(device: str) -> Callable[[Sequence[str]], Floats]:
    """Return ChemNet as a function of a batch of SMILES."""
    import torch
    from fcd_torch import FCD
    from fcd_torch.utils import SmilesDataset

    model: Any = FCD(device=device, canonize=False).model.to(device)

    def exact() -> Any:
        """Disable TF32, which rounds the LSTM's products to ten bits on a GPU."""
        if device.startswith("cpu"):
            return nullcontext()
        return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)

    def run(smiles: Sequence[str]) -> Floats:
        encoded = SmilesDataset(smiles, canonize=False)
        x = np.stack([encoded[i].astype(np.float32) for i in range(len(smiles))])
        with torch.no_grad(), exact():
            rows: Tensor = model(torch.from_numpy(x).transpose(1, 2).to(device))
        return rows.double().cpu().numpy()

    return run

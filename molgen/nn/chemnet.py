"""ChemNet: the network by which the Fréchet ChemNet distance sees molecules.

An LSTM over SMILES that was trained to predict assays (Preuer et al., "Fréchet ChemNet distance: a
metric for generative models for molecules in drug discovery", 2018), that of the package
``fcd_torch`` (extra ``fcd``), which is also the one MOSES computed its published values with. Its
weights lie in that package as a file of ``torch.save``, which torch reads as plain tensors
(``weights_only``, its default since 2.6): no code in it runs. Only the network and its input
encoding are used, because the package's other calls need functions that NumPy 2.5 and SciPy 1.18 no
longer have.
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
        device: where the network runs; on a CPU every core takes batches of its own.

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
            # A few batches at a time: an interruption then waits for those, and not for all.
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
        """Without this, a GPU's tensor cores round the LSTM's products to ten bits."""
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

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from molgen.nn.published import SMALLEST_ALPHA, PublishedConfig, PublishedDenoiser, Rotary, _rotate
from paths import VECTORS

CHECKPOINTS = VECTORS / "checkpoints"
CONFIG = {
    "vocab_size": 7,
    "model_length": 6,
    "hidden_dim": 16,
    "cond_dim": 8,
    "n_blocks": 2,
    "n_heads": 2,
    "time_conditioning": True,
    "cfg": True,
    "cfg_num_classes": 2,
}
TOKENS = torch.tensor([[0, 1, 2, 3], [6, 6, 5, 4]])


def make(folder: Path, weights: dict[str, Tensor] | None = None, **changes: object) -> Path:
    """Return a folder in the published layout with given weights."""
    config = {**CONFIG, **changes}
    network = PublishedDenoiser(PublishedConfig(**config))  # type: ignore[arg-type]
    state = network.state_dict()
    for i, (name, tensor) in enumerate(state.items()):
        if name != "backbone.rotary_emb.inv_freq":
            waves = torch.arange(tensor.numel(), dtype=torch.float32).add(i).mul(1.9).sin()
            state[name] = (0.3 * waves).reshape(tensor.shape)
    state.update(weights or {})
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "udlm"}))
    save_file(state, folder / "model.safetensors")
    return folder


@pytest.mark.skipif(not CHECKPOINTS.is_dir(), reason="the reference checkpoints are not available")
@pytest.mark.parametrize("name", ["published_layout_masked", "published_layout_uniform"])
def test_the_published_logits_are_reproduced(name: str) -> None:
    network = PublishedDenoiser.from_folder(CHECKPOINTS / name)
    expected = np.load(CHECKPOINTS / name / "expected.npz")
    logits = network(
        torch.from_numpy(expected["input_ids"]).long(),
        torch.from_numpy(expected["timesteps"]).neg().exp(),
        torch.from_numpy(expected["cond"]) if "cond" in expected else None,
    )
    torch.testing.assert_close(logits, torch.from_numpy(expected["logits"]), rtol=0, atol=1e-5)


def test_no_class_is_the_dropped_class(tmp_path: Path) -> None:
    network = PublishedDenoiser.from_folder(make(tmp_path / "model"))
    none = network(TOKENS, 0.5)
    torch.testing.assert_close(none, network(TOKENS, 0.5, torch.tensor([2, 2])))
    assert not torch.allclose(none, network(TOKENS, 0.5, torch.tensor([0, 1])))


def test_rows_have_their_own_alpha_and_it_may_be_0(tmp_path: Path) -> None:
    network = PublishedDenoiser.from_folder(make(tmp_path / "model"))
    together = network(TOKENS, torch.tensor([0.9, 0.0]))
    torch.testing.assert_close(together[:1], network(TOKENS[:1], 0.9), rtol=0, atol=1e-6)
    torch.testing.assert_close(together[1:], network(TOKENS[1:], SMALLEST_ALPHA), rtol=0, atol=1e-6)
    assert not torch.allclose(network(TOKENS, 0.9), network(TOKENS, 0.1))


def test_without_time_conditioning_alpha_does_not_matter(tmp_path: Path) -> None:
    folder = make(tmp_path / "model", time_conditioning=False, cfg=False, cfg_num_classes=-1)
    network = PublishedDenoiser.from_folder(folder)
    torch.testing.assert_close(network(TOKENS), network(TOKENS, 0.3))
    with pytest.raises(ValueError, match="condition is given, expected None"):
        network(TOKENS, condition=torch.tensor([0, 1]))


def test_wrong_calls_are_errors(tmp_path: Path) -> None:
    network = PublishedDenoiser.from_folder(make(tmp_path / "model"))
    with pytest.raises(ValueError, match="alpha is None"):
        network(TOKENS)
    with pytest.raises(ValueError, match="rows of 7, expected at most 6"):
        network(torch.zeros(1, 7, dtype=torch.long), 0.5)


def test_attention_depends_on_distance_only(tmp_path: Path) -> None:
    """Rotations of query and key depend on the difference of their positions only."""
    cos, sin = Rotary(8)(6)
    q, k = torch.arange(8.0).sin(), torch.arange(8.0).cos()

    def score(i: int, j: int) -> float:
        turned = [
            _rotate(v.reshape(1, 8), (cos[[place]], sin[[place]])) for v, place in ((q, i), (k, j))
        ]
        return float((turned[0] * turned[1]).sum())

    assert score(3, 1) == pytest.approx(score(5, 3), abs=1e-5)
    assert not math.isclose(score(3, 1), score(1, 3), abs_tol=1e-2)


def test_tensors_that_do_not_fit_are_errors(tmp_path: Path) -> None:
    extra = make(tmp_path / "extra", {"backbone.surprise": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"unknown: backbone\.surprise$"):
        PublishedDenoiser.from_folder(extra)
    bias = "backbone.output_layer.linear.bias"
    misfit = make(tmp_path / "misfit", {bias: torch.zeros(3)})
    with pytest.raises(ValueError, match=r"of the wrong shape: .*bias is \(3,\), not \(7,\)$"):
        PublishedDenoiser.from_folder(misfit)
    deeper = make(tmp_path / "deeper")
    (deeper / "config.json").write_text(json.dumps({**CONFIG, "model_type": "udlm", "n_blocks": 3}))
    with pytest.raises(ValueError, match=r"missing: backbone\.blocks\.2\.adaLN_modulation\.bias"):
        PublishedDenoiser.from_folder(deeper)


def test_files_that_cannot_be_read_are_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PublishedDenoiser.from_folder(tmp_path)
    folder = make(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"not this")
    with pytest.raises(ValueError, match="expected safetensors"):
        PublishedDenoiser.from_folder(folder)
    (folder / "config.json").write_text('{"vocab_size": 7, "model_type": "udlm"}')
    with pytest.raises(ValueError, match="lacks the key model_length"):
        PublishedDenoiser.from_folder(folder)
    (folder / "config.json").write_text(json.dumps({**CONFIG, "model_type": "bert"}))
    with pytest.raises(ValueError, match="model_type is 'bert', expected one of mdlm, udlm"):
        PublishedDenoiser.from_folder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="expected JSON"):
        PublishedDenoiser.from_folder(folder)

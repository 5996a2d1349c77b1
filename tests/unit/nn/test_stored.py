from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from molgen.checkpoints.folder import load_network, save_network
from molgen.nn.denoiser import MoleculeDenoiser
from molgen.nn.stored import CONFIG, WEIGHTS
from property_models.classifiers.network import NoisyClassifier, NoisyClassifierConfig

GIGABYTE = 2**20  # in the units of getrusage

CONFIGS: dict[str, list[Any]] = {
    "mlp_ratio": [1_000_000, 0, 1.5, "4", None, 8],
    "hidden_size": [2**31, 33, -1, [], 64],
    "num_layers": [10**9, "2", 3],
    "num_heads": [0, 3, 2**40],
    "vocab_size": [1, 2**40, 8],
    "max_position_embeddings": [0, 2**40, 13],
    "condition_size": [10**12, 17],
    "properties": ["qed", [1, 2, 3], ["qed", "qed", "logp"], ["qed"], None],
    "property_mean": [[1.0], ["a"] * 3, [float("nan")] * 3],
    "property_std": [[0.0] * 3, [float("inf")] * 3, {}],
    "noise": ["none", "white", 3],
    "time_input": [1, True, "no"],
    "quality": [True, None],
    "model_type": ["bert", "molgen_guide", None],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("network")
    save_network(tiny.network(), place)
    return place


def changed(folder: Path, place: Path, **changes: Any) -> Path:
    config = {**json.loads((folder / CONFIG).read_text()), **changes}
    (place / CONFIG).write_text(json.dumps(config))
    (place / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes())
    return place


@pytest.mark.parametrize("key", CONFIGS)
def test_a_shape_that_is_not_that_of_the_weights_takes_no_memory(
    folder: Path, tmp_path: Path, key: str
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for value in CONFIGS[key]:
        with pytest.raises(ValueError, match=f"{key}|does not fit its config.json") as caught:
            load_network(MoleculeDenoiser, changed(folder, tmp_path, **{key: value}))
        assert CONFIG in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GIGABYTE / 2


def test_other_keys_are_ignored(folder: Path, tmp_path: Path) -> None:
    keys = {
        "auto_map": {"AutoModel": "evil.Evil"},
        "trust_remote_code": True,
        "attn_implementation": "owner/kernel",
        "_attn_implementation": "owner/kernel",
        "quantization_config": {"quant_method": "bitsandbytes"},
        "torch_dtype": "float8",
        "transformers_weights": "pytorch_model.bin",
    }
    network = load_network(MoleculeDenoiser, changed(folder, tmp_path, **keys))
    held = network.config.to_dict()
    assert all(held.get(key) in (None, {}) for key in keys)
    own = load_file(folder / WEIGHTS)
    assert all(torch.equal(p, own[name].float()) for name, p in network.named_parameters())


def test_weights_are_read_from_safetensors_only(folder: Path, tmp_path: Path) -> None:
    changed(folder, tmp_path)
    torch.save(load_file(folder / WEIGHTS), tmp_path / "pytorch_model.bin")
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(OSError, match=WEIGHTS):
        load_network(MoleculeDenoiser, tmp_path)


def test_weights_that_are_not_finite_are_errors(folder: Path, tmp_path: Path) -> None:
    own = load_file(folder / WEIGHTS)
    for tensor, message in (
        (own["head.bias"] * float("nan"), "head.bias has a value that is not finite"),
        (own["head.bias"].to(torch.int32), "of the wrong type: head.bias is i"),
    ):
        changed(folder, tmp_path)
        save_file({**own, "head.bias": tensor}, tmp_path / WEIGHTS)
        with pytest.raises(ValueError, match=message):
            load_network(MoleculeDenoiser, tmp_path)


GUIDES: dict[str, list[Any]] = {
    "labels": [["qed", "qed"], ["qed"], "qed"],
    "edges": [[[0.0, 1.0]], [[0.0, 1.0, 0.5], [0.0, 1.0]], [["a"], []], [[0, 1, float("inf")]] * 2],
    "mass": [[[1.0]], [[0.5, -0.5], [1.0]], None],
    "sums": [1, True],
}


@pytest.mark.parametrize("key", GUIDES)
def test_a_classifier_is_checked_too(tmp_path: Path, key: str) -> None:
    edges, mass = [[0.0, 1.0, 2.0], [0.0, 1.0]], [[0.5, 0.5], [1.0]]
    sizes: dict[str, Any] = {"hidden_size": 16, "num_layers": 1, "max_position_embeddings": 8}
    config = NoisyClassifierConfig(["qed", "logp"], edges, mass, vocab_size=7, **sizes)
    save_network(NoisyClassifier(config), tmp_path)
    assert load_network(NoisyClassifier, tmp_path).properties == ("qed", "logp")
    for value in GUIDES[key]:
        with pytest.raises(ValueError, match=f"{key}|edges|does not fit its config.json"):
            load_network(NoisyClassifier, changed(tmp_path, tmp_path, **{key: value}))
        changed(tmp_path, tmp_path, labels=["qed", "logp"], edges=edges, mass=mass, sums=False)

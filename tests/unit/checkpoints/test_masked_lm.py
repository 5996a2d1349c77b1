from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel

import molgen
import tiny_masked
from molgen.checkpoints.masked_lm import FILES
from molgen.nn.masked_lm import MODEL_TYPES

TEMPLATE = "AC[MASK*5]G[MASK]"
COMMIT = "0123456789" * 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_masked.save(tmp_path_factory.mktemp("whole") / "model")


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_a_folder_draws_what_its_model_and_tokenizer_draw(kind: str, tmp_path: Path) -> None:
    folder = tiny_masked.save(tmp_path / kind, kind)
    here = molgen.denoiser_from(tiny_masked.network(kind), tiny_masked.tokenizer())
    texts = [
        model.sample(20, TEMPLATE, steps=4, dtype="fp32", progress=False)["raw"].tolist()
        for model in (here, molgen.denoiser_from(folder))
    ]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 10
    assert {text[:2] + text[7] for text in texts[0]} == {"ACG"}


def test_a_model_of_the_hub_is_fetched_by_its_commit(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(repository: str, revision: str, allow_patterns: list[str]) -> str:
        assert (repository, revision) == ("owner/name", COMMIT)
        assert allow_patterns == list(FILES)
        return str(whole)

    api = SimpleNamespace(model_info=lambda *_, **__: SimpleNamespace(sha=COMMIT))
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    model = molgen.denoiser_from("hf:owner/name")
    assert model.name == f"hf:owner/name@{COMMIT}"
    assert model.digest() == molgen.denoiser_from(whole).digest()
    assert not [name for name in FILES if name.endswith((".py", ".bin")) or "*" in name]


def config(key: str, value: Any, name: str = "config.json") -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    return change


def without_head(folder: Path) -> None:
    path = folder / "model.safetensors"
    kept = {k: v for k, v in load_file(path).items() if "transform" not in k}
    save_file(kept, path, metadata={"format": "pt"})


def pickled(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (config("model_type", "gpt2"), "model_type is 'gpt2', expected one of albert, bert"),
        (config("model_type", "t5/../x"), "model_type"),
        (config("vocab_size", 10**9), "vocab_size"),
        (config("hidden_size", "64"), "hidden_size"),
        (config("hidden_size", 64), "mismatch"),
        (config("num_attention_heads", 0), "zero"),
        (config("layer_norm_eps", {}), "layer_norm_eps"),
        (config("model", {}, "tokenizer.json"), "tokenizer"),
        (config("unk_token", "", "tokenizer_config.json"), "tokenizer"),
        (config("model_max_length", float("nan"), "tokenizer_config.json"), "model_max_length"),
        (without_head, "cls.predictions.transform"),
        (pickled, "model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99), "safetensors"),
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer"),
    ],
)
def test_a_damaged_folder_is_one_line(
    whole: Path, tmp_path: Path, change: Callable[[Path], object], part: str
) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "model"))
    change(folder)
    with pytest.raises(ValueError, match=r"model|tokenizer") as caught:
        molgen.denoiser_from(folder)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_code_and_kernels_that_a_folder_names_are_not_used(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "model"))
    (folder / "evil.py").write_text("raise SystemExit('ran')\n")
    config("auto_map", {"AutoConfig": "evil.X", "AutoModelForMaskedLM": "evil.X"})(folder)
    config("attn_implementation", "owner/kernels")(folder)
    config("quantization_config", {"quant_method": "bitsandbytes"})(folder)
    own = json.loads((folder / "tokenizer_config.json").read_text())
    own["auto_map"] = {"AutoTokenizer": ["evil.X", None]}
    (folder / "tokenizer_config.json").write_text(json.dumps(own))
    texts = [
        molgen.denoiser_from(each).sample(9, TEMPLATE, steps=3, progress=False)["raw"].tolist()
        for each in (whole, folder)
    ]
    assert texts[0] == texts[1]


def test_other_objects_are_refused_by_name() -> None:
    tokenizer = tiny_masked.tokenizer()
    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=9, n_embd=8, n_layer=1, n_head=1, n_positions=8))
    sizes: dict[str, Any] = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    classifier = BertForSequenceClassification(BertConfig(vocab_size=9, **sizes))
    refused: list[tuple[Any, str]] = [
        (gpt, "gpt2"),
        (classifier, "expected BertForMaskedLM"),
        (3, "int"),
    ]
    for model, part in refused:
        with pytest.raises(ValueError, match="model") as caught:
            molgen.denoiser_from(model, tokenizer)
        assert part in str(caught.value)
    with pytest.raises(ValueError, match="tokenizer is NoneType"):
        molgen.denoiser_from(tiny_masked.network())
    with pytest.raises(ValueError, match="'qm9' is a model of molecules"):
        molgen.denoiser_from("qm9")


def test_load_names_the_way_to_a_masked_language_model(whole: Path) -> None:
    with pytest.raises(ValueError, match=r"molgen\.denoiser_from"):
        molgen.load(whole)

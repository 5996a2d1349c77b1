"""Texts of a masked language model: distribution, contract, and words that are errors."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import molgen
import tiny_masked
from molgen.diffusion.plan import STRATEGIES
from molgen.diffusion.unmasking_order import ORDERS
from molgen.nn.published import PublishedConfig, PublishedDenoiser
from molgen.sampling.sequence_model import SequenceModel

TEMPLATE = "AC[MASK*6]G[MASK]D"
QUIET: dict[str, Any] = {"progress": False, "dtype": "fp64"}


@pytest.fixture(scope="module")
def masked() -> SequenceModel:
    return molgen.denoiser_from(tiny_masked.network(), tiny_masked.tokenizer())


def texts(model: SequenceModel, *args: Any, **words: Any) -> list[str]:
    return list(model.sample(*args, **{**QUIET, **words})["raw"])


def prediction(model: SequenceModel, ids: list[int], position: int) -> dict[int, float]:
    """The network's distribution at a position, without a sampler."""
    logits = model.denoiser.logits(torch.tensor([ids]))[0, position]
    p = logits.double().softmax(-1).tolist()
    return {i: p[i] for i in range(len(tiny_masked.SPECIAL), len(p))}


def exact(model: SequenceModel, at_once: bool) -> dict[str, float]:
    """The distribution of two masks: placed at once, or one after another in a random order."""
    ids = model.tokenizer.encode("A[MASK]C[MASK]")
    first, second = prediction(model, ids, 2), prediction(model, ids, 4)
    found = {}
    for a, b in itertools.product(first, second):
        if at_once:
            p = first[a] * second[b]
        else:
            after_a = prediction(model, [*ids[:2], a, *ids[3:]], 4)
            after_b = prediction(model, [*ids[:4], b, *ids[5:]], 2)
            p = 0.5 * first[a] * after_a[b] + 0.5 * second[b] * after_b[a]
        found[model.tokenizer.decode([ids[1], a, ids[3], b])] = p
    return found


@pytest.mark.parametrize("at_once", [True, False])
def test_two_masks_have_the_distribution_of_the_network(
    masked: SequenceModel, at_once: bool, small_shards: None
) -> None:
    n = 4000
    settings = {"steps": 1} if at_once else {"order": "random"}
    drawn = texts(masked, n, "A[MASK]C[MASK]", **settings)
    expected = exact(masked, at_once)
    assert sum(expected.values()) == pytest.approx(1, abs=1e-5)
    counts = np.array([drawn.count(text) for text in expected])
    p = np.array(list(expected.values()))
    usual = p * n >= 5
    chi_square = ((counts - p * n)[usual] ** 2 / (p * n)[usual]).sum()
    freedom = usual.sum() - 1
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)  # five standard deviations
    other = np.array(list(exact(masked, not at_once).values()))
    assert ((counts - other * n)[usual] ** 2 / (other * n)[usual]).sum() > 2 * chi_square


def test_a_row_depends_on_the_seed_and_its_index_alone(masked: SequenceModel) -> None:
    words: dict[str, Any] = {"remask": "rescale:eta=.4", "steps": 8}
    templates = [TEMPLATE, "G[MASK*3]", "[MASK]AA[MASK*9]"]
    every = texts(masked, 6, templates, **words)
    assert texts(masked, 4, templates, **words) == every[:12]
    assert texts(masked, 6, templates, batch_size=3, **words) == every
    assert texts(masked, 2, templates, first=7, **words) == every[7:13]
    assert texts(masked, 6, templates, seed=1, **words) != every
    assert [text[0] for text in every[1::3]] == ["G"] * 6


@pytest.mark.parametrize(
    "words",
    [
        *({"remask": name, "steps": 6} for name in STRATEGIES),
        *({"order": name} for name in ORDERS),
        {"remask": "rescale:eta=.5", "steps": 6, "remask_weights": "confidence"},
        {"context": "hide:share=.3,strength=2", "steps": 4},
        {"temperature": 0.5, "top_p": 0.8, "steps": 4},
        {"adapt": "remask:until=unique,budget=20", "steps": 4},
    ],
    ids=str,
)
def test_context_is_kept_and_no_special_token_is_drawn(
    masked: SequenceModel, words: dict[str, Any]
) -> None:
    ids = np.array(masked.tokenizer.encode(TEMPLATE))
    given = ids != masked.tokenizer.mask_id
    drawn = masked.sample(10, TEMPLATE, **{**QUIET, **words})
    for text in drawn["raw"]:
        row = np.array(masked.tokenizer.encode(text))
        assert (row[given] == ids[given]).all()
        assert (row[~given] >= len(tiny_masked.SPECIAL)).all()
    assert list(drawn)[:3] == ["index", "raw", "nfe"]
    assert (drawn["nfe"] > 0).all()


def test_a_length_is_a_row_of_masks(masked: SequenceModel) -> None:
    drawn = masked.sample(9, length=7, steps=100, **QUIET)
    assert drawn["raw"].str.len().tolist() == [7] * 9
    assert drawn["nfe"].max() <= 7
    assert drawn.counts.drawn == drawn.asked == 9
    assert drawn.counts.forwards == drawn["nfe"].sum()
    assert texts(masked, 9, "[MASK*7]", steps=100) == drawn["raw"].tolist()


def test_rows_are_retried_until_they_are_unique_or_pass_a_check(masked: SequenceModel) -> None:
    plain = masked.sample(8, "A[MASK*2]", steps=1, **QUIET)
    assert plain.counts.distinct < 8
    unique = masked.sample(8, "A[MASK*2]", adapt="restart:until=unique,budget=60", steps=1, **QUIET)
    assert unique.counts.distinct == unique["raw"].nunique() == 8
    assert unique["tries"].max() > 1

    def check(text: str) -> bool:
        return "G" in text

    retry = "remask:share=.5,until=valid,budget=80"
    found = masked.sample(12, "C[MASK*3]", check=check, adapt=retry, steps=3, **QUIET)
    first = texts(masked, 12, "C[MASK*3]", steps=3)
    assert not all(map(check, first))
    assert all(map(check, found["raw"]))
    assert [a == b for a, b in zip(first, found["raw"], strict=True)] == list(map(check, first))
    assert (found["nfe"] >= found["tries"]).all()


def test_nothing_is_parsed_as_a_molecule(
    masked: SequenceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rdkit import Chem

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a text was parsed")

    for name in ("MolFromSmiles", "SanitizeMol", "MolFromSmarts"):
        monkeypatch.setattr(Chem, name, refuse)
    assert len(texts(masked, 4, TEMPLATE, adapt="remask:until=unique,budget=20")) == 4


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ({"template": None}, "neither is"),
        ({"length": 3}, "both are"),
        ({"template": "ACG"}, "no mask"),
        ({"template": ["[MASK]", "ACB[MASK]"]}, "'B'"),
        ({"template": "[MASK*30]"}, "32 tokens, expected at most 24"),
        ({"template": []}, "template"),
        ({"template": None, "length": 0}, "length is 0"),
        ({"n": -1}, "n is -1"),
        ({"gamma": 2}, "gamma"),
        ({"guidance": "cbg"}, "guidance"),
        ({"grammar": "smiles"}, "grammar"),
        ({"corrector": "likeliest"}, "corrector"),
        ({"conditions": "profile"}, "conditions"),
        ({"goal_weights": {"qed": 2.0}}, "goal_weights"),
        ({"remask": "rescale:eta=.1", "remask_weights": "quality"}, "quality head"),
        ({"remask": "rescale:eta=.1", "order": "random"}, "order"),
        ({"adapt": "remask:budget=9"}, "until is valid+unique+novel"),
        ({"adapt": "remask:budget=9,until=valid"}, "until is valid"),
        ({"check": str.isupper}, "check is given"),
    ],
    ids=str,
)
def test_what_makes_no_sense_for_texts_is_one_line(
    masked: SequenceModel, words: dict[str, Any], part: str
) -> None:
    call = {"n": 2, "template": TEMPLATE, **words}
    with pytest.raises(ValueError, match=r"expected|given|needs") as caught:
        masked.sample(call.pop("n"), **{**QUIET, **call})
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def published(folder: Path, kind: str, time_input: bool) -> Path:
    """Write a network in the published layout, whose mask is behind the tokens of the tokenizer."""
    config = {
        **{"vocab_size": 8, "model_length": 9, "hidden_dim": 16, "cond_dim": 8, "n_blocks": 1},
        **{"n_heads": 2, "cfg": False, "cfg_num_classes": -1, "time_conditioning": time_input},
    }
    network = PublishedDenoiser(PublishedConfig(**config))  # type: ignore[arg-type]
    torch.manual_seed(0)
    state = {name: torch.randn(x.shape) * 0.15 for name, x in network.state_dict().items()}
    folder.mkdir()
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**config, "model_type": kind}))
    return folder


def plain_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({token: i for i, token in enumerate("ABCDEFG")}))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend)


@pytest.mark.parametrize("time_input", [True, False])
def test_the_published_layout_is_drawn_from_without_padding_or_a_mask_of_the_tokenizer(
    tmp_path: Path, time_input: bool
) -> None:
    folder = published(tmp_path / "mdlm", "mdlm", time_input)
    tokenizer = plain_tokenizer()
    model = molgen.denoiser_from(folder, tokenizer)
    assert model.denoiser.time_input == time_input
    assert tokenizer.mask_token is None
    drawn = texts(model, 20, "AB[MASK*5]C", steps=5)
    assert {text[:2] + text[7:] for text in drawn} == {"ABC"}
    assert len(set(drawn)) > 10
    assert texts(model, 5, "AB[MASK*5]C", steps=5, first=9, batch_size=2) == drawn[9:14]
    with pytest.raises(ValueError, match="10 tokens, expected at most 9"):
        model.sample(1, length=10)


def test_uniform_noise_of_the_published_layout_is_refused(tmp_path: Path) -> None:
    folder = published(tmp_path / "udlm", "udlm", True)
    with pytest.raises(ValueError, match="model_type is 'udlm', expected"):
        molgen.denoiser_from(folder, plain_tokenizer())


@pytest.mark.parametrize("end", [2, 5])
def test_after_an_interrupt_there_are_the_rows_that_have_ended(
    masked: SequenceModel, end: int, interrupt_after: Callable[[int], Any]
) -> None:
    words: dict[str, Any] = {"steps": 3, "batch_size": 1}
    every = masked.sample(8, TEMPLATE, **{**QUIET, **words})
    with interrupt_after(end):
        found = masked.sample(8, TEMPLATE, **{**QUIET, **words})
    assert found.reason == "interrupted"
    assert found.asked == 8
    assert len(found) == end
    for index, text in zip(found["index"], found["raw"], strict=True):
        assert every["raw"][index] == text


@pytest.fixture
def interrupt_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Any]:
    """Return a context in which a run is interrupted as soon as that many rows have ended."""
    from contextlib import contextmanager

    from molgen.sampling.finished import Finished

    @contextmanager
    def context(count: int) -> Any:
        ended, add = [0], Finished.add

        def counted(self: Finished, rows: Any, samples: Any) -> None:
            add(self, rows, samples)
            ended[0] += len(rows)
            if ended[0] >= count:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Finished, "add", counted)
            yield

    return context

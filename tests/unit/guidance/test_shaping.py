"""Shaping of a distribution before a token is drawn from it, computed by hand."""

from __future__ import annotations

import pytest
import torch

from molgen.cli import build_parser
from molgen.frontiers.method import Method
from molgen.frontiers.plan import settings_for
from molgen.guidance.shaping import Shaping
from molgen.model import Model
from molgen.sampling.preset_file import check_sampling
from molgen.sampling.settings import from_words, to_words

LOG_P = torch.tensor([[0.5, 0.3, 0.15, 0.05, 0.0], [0.1, 0.1, 0.1, 0.7, 0.0]]).double().log()


def test_temperature_by_hand() -> None:
    p = Shaping(temperature=0.5)(LOG_P)
    squares = LOG_P.exp() ** 2
    torch.testing.assert_close(p, squares / squares.sum(-1, keepdim=True))
    torch.testing.assert_close(Shaping()(LOG_P), LOG_P.exp())
    for extreme in (1e-300, 5e-324):
        assert Shaping(temperature=extreme)(LOG_P).tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 1, 0]]
    warm = Shaping(temperature=1e300)(LOG_P)
    torch.testing.assert_close(warm, torch.tensor([[0.25] * 4 + [0.0]] * 2).double())


def test_nucleus_by_hand() -> None:
    assert Shaping(top_p=0.79)(LOG_P)[0].tolist() == pytest.approx([0.625, 0.375, 0, 0, 0])
    assert Shaping(top_p=0.81)(LOG_P)[0, 2] > 0
    assert Shaping(top_p=1e-300)(LOG_P).tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 1, 0]]
    kept = Shaping(top_p=0.75)(LOG_P)[1]
    assert int((kept > 0).sum()) == 2, "of equals, just enough"
    assert Shaping(temperature=0.5, top_p=0.68)(LOG_P)[0].tolist() == [1, 0, 0, 0, 0]


def test_min_p_by_hand() -> None:
    assert Shaping(min_p=0.5)(LOG_P)[0].tolist() == pytest.approx([0.625, 0.375, 0, 0, 0])
    assert Shaping(min_p=0.5)(LOG_P)[1].tolist() == [0, 0, 0, 1, 0]
    assert Shaping(min_p=1.0)(LOG_P).tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 1, 0]]
    torch.testing.assert_close(Shaping(min_p=0.0)(LOG_P), LOG_P.exp())
    # after the temperature: 0.3 is 0.6 of the largest, and its square 0.36 of that one's
    assert Shaping(temperature=0.5, min_p=0.5)(LOG_P)[0].tolist() == [1, 0, 0, 0, 0]
    with pytest.raises(ValueError, match=r"min_p is 1\.5"):
        Shaping(min_p=1.5)


def test_min_p_is_a_setting_like_any_other(tiny: Model) -> None:
    options = build_parser().parse_args(
        ["sample", "qm9", "--n", "1", "--out", "x", "--min-p", ".3"]
    )
    assert options.min_p == 0.3
    settings = from_words({"min_p": 0.3})
    assert settings.shaping == Shaping(min_p=0.3)
    assert to_words(settings)["min_p"] == 0.3
    check_sampling({"remask": "cap:eta=.1", "min_p": 0.3})
    method = Method.parse("kept; min_p=.3", tiny.name)
    assert settings_for(tiny, method, 1.0, 8).shaping.min_p == 0.3
    free, kept = (tiny.sample(40, seed=1, min_p=share)["raw"] for share in (0.0, 0.9))
    assert kept.nunique() < free.nunique()


@pytest.mark.parametrize(
    ("temperature", "top_p", "message"),
    [
        (0.0, 1.0, "temperature is 0.0, expected more than 0 and finite"),
        (-1.0, 1.0, "temperature is -1.0"),
        (float("nan"), 1.0, "temperature is nan"),
        (float("inf"), 1.0, "temperature is inf"),
        (1.0, 0.0, "top_p is 0.0, expected more than 0 and at most 1"),
        (1.0, 1.1, "top_p is 1.1"),
        (1.0, float("nan"), "top_p is nan"),
    ],
)
def test_shaping_out_of_range(temperature: float, top_p: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shaping(temperature, top_p)

"""Retries: how many tokens of a failed row are remasked, which first, and invalid parameters."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from molgen.data.tokenizer import Tokenizer, padded
from molgen.guidance.target_probability import TargetProbability
from molgen.molecules.fate import Fate
from molgen.molecules.training_index import TrainingIndex
from molgen.sampling.acceptance import (
    CheckResult,
    MoleculeCheck,
)
from molgen.sampling.retry import Failed, Remask, Restart
from molgen.utils import randomness
from molgen.utils.arrays import Floats, Ids, Mask
from tiny import CHARACTERS

ROWS, LONGEST = 4000, 8


def uniforms(rows: int = ROWS) -> NDArray[np.float64]:
    row, position = np.arange(rows)[:, None], np.arange(LONGEST)
    return randomness.uniform(3, randomness.SHUFFLE, row, position)


def failed(
    length: int = LONGEST, reason: Fate = Fate.INVALID, tries: int = 1, rows: int = ROWS
) -> Failed:
    """Rows of one length with token quality from 0.1 to 0.9, increasing."""
    open = np.tile(np.arange(LONGEST) < length, (rows, 1))
    quality = np.tile(np.linspace(0.1, 0.9, LONGEST), (rows, 1))
    return Failed(open, quality, [reason] * rows, np.full(rows, tries))


def chosen(retry: Remask, rows: Failed) -> Mask:
    found = retry.choose(rows, uniforms(len(rows.failures)))
    assert not found[~rows.open].any(), "padding and fixed tokens stay"
    return found


def test_a_restart_remasks_all_open_tokens() -> None:
    rows = failed(length=5)
    assert (Restart().choose(rows, uniforms()) == rows.open).all()


@pytest.mark.parametrize(
    ("share", "length", "count"), [(0.4, 5, 2), (0.4, 6, 3), (0.2, 5, 1), (0.01, 8, 1), (1, 7, 7)]
)
def test_the_share_is_rounded_up(share: float, length: int, count: int) -> None:
    assert (chosen(Remask(share), failed(length)).sum(1) == count).all()


def test_a_random_order_is_uniform() -> None:
    for retry in (Remask(0.5, by="random"), Remask(0.5, tau=1e9)):
        often = chosen(retry, failed()).mean(0)
        np.testing.assert_allclose(often, 0.5, atol=4 * 0.5 / np.sqrt(ROWS))


def test_the_first_token_is_drawn_in_proportion_to_the_inverse_quality() -> None:
    rows = failed()
    for tau in (1.0, 0.5):
        often = chosen(Remask(0.1, tau=tau), rows).mean(0)
        weight = rows.quality[0] ** (-1 / tau)
        expected = weight / weight.sum()
        error = np.sqrt(expected * (1 - expected) / ROWS)
        assert (np.abs(often - expected) < 4.5 * error).all()


def test_near_zero_the_lowest_quality_is_always_remasked() -> None:
    assert (chosen(Remask(0.5, tau=1e-4), failed()) == (np.arange(LONGEST) < LONGEST / 2)).all()


@pytest.mark.parametrize("reason", [Fate.IN_TRAINING_SET, Fate.DUPLICATE])
def test_a_valid_row_has_its_own_share_at_random(reason: Fate) -> None:
    found = chosen(Remask(0.9, tau=1e-4, move=0.25), failed(reason=reason))
    assert (found.sum(1) == 2).all()
    np.testing.assert_allclose(found.mean(0), 0.25, atol=4.5 * np.sqrt(0.25 * 0.75 / ROWS))


def test_a_rising_share_ends_in_a_restart() -> None:
    counts = [
        int(chosen(Remask(0.3, rising=True), failed(tries=tries, rows=1)).sum())
        for tries in (1, 2, 3, 4, 50)
    ]
    assert counts == [3, 5, 8, 8, 8]


def test_extreme_uniforms_and_qualities() -> None:
    rows = Failed(
        np.ones((1, 4), bool), np.array([[0.0, 1.0, 0.0, 1.0]]), [Fate.INVALID], np.ones(1, int)
    )
    for u in (np.zeros((1, 4)), np.full((1, 4), 1 - 2.0**-53)):
        assert Remask(0.5, tau=1e-3).choose(rows, u).tolist() == [[True, False, True, False]]
    none = Failed(np.zeros((0, 4), bool), np.ones((0, 4)), [], np.zeros(0, int))
    assert Remask().choose(none, np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": 0.0}, "share is 0.0, expected more than 0 and at most 1"),
        ({"move": 1.5}, "move is 1.5, expected more than 0 and at most 1"),
        ({"tau": 0.0}, "tau is 0.0, expected more than 0"),
        ({"by": "luck"}, "by is 'luck', expected psi, quality or random"),
    ],
)
def test_bad_parameters_are_named(change: dict[str, float | str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Remask(**change)  # type: ignore[arg-type]


def test_molecules_are_parsed_and_compared_with_the_index() -> None:
    tokenizer = Tokenizer(CHARACTERS)
    texts = ["OCC", "C(", "NCN", "CCO", ""]
    tokens = padded([tokenizer.encode(text) for text in texts], tokenizer.pad_id, 5)
    check = MoleculeCheck(tokenizer, TrainingIndex.from_smiles(["CCO"]))
    expected = [
        ("CCO", Fate.IN_TRAINING_SET),
        ("", Fate.INVALID),
        ("NCN", Fate.ACCEPTED),
        ("CCO", Fate.IN_TRAINING_SET),
        ("", Fate.INVALID),
    ]
    assert check(tokens, np.arange(len(tokens))) == [CheckResult(*pair) for pair in expected]
    rows = np.arange(len(tokens)) + 7
    assert MoleculeCheck(tokenizer)(tokens, rows)[0] == CheckResult("CCO")
    calls: list[tuple[int, str]] = []

    def keeps(row: int, smiles: str) -> bool:
        calls.append((row, smiles))
        return row != 9

    found = MoleculeCheck(tokenizer, check.training_index, keeps)(tokens, rows)
    assert [result.fate for result in found] == [
        Fate.IN_TRAINING_SET,
        Fate.INVALID,
        Fate.CONSTRAINT_LOST,
        Fate.IN_TRAINING_SET,
        Fate.INVALID,
    ]
    assert calls == [(7, "CCO"), (9, "NCN"), (10, "CCO")], "of molecules, by their row"


def test_the_classifier_scores_rows_that_pass_the_other_checks() -> None:
    tokenizer = Tokenizer(CHARACTERS)
    texts = ["CC", "C(", "CO", "CN", "CCO"]
    tokens = padded([tokenizer.encode(text) for text in texts], tokenizer.pad_id, 3)
    calls: list[int] = []

    class ByHand(TargetProbability):
        def __init__(self) -> None:
            pass

        def __call__(self, tokens: Ids) -> Floats:
            calls.extend(range(len(tokens)))
            return np.log([0.9, 0.1, 0.7])

    check = MoleculeCheck(tokenizer, TrainingIndex.from_smiles(["CCO"]), None, ByHand(), 0.5)
    found = check(tokens, np.arange(5))
    assert [result.fate for result in found] == [
        Fate.ACCEPTED,
        Fate.INVALID,
        Fate.UNLIKELY,
        Fate.ACCEPTED,
        Fate.IN_TRAINING_SET,
    ]
    assert [result.classifier_forwards for result in found] == [1, 0, 1, 1, 0]
    assert len(calls) == 3
    np.testing.assert_allclose([v.log_probability for v in found], np.log([0.9, 1, 0.1, 0.7, 1]))
    assert MoleculeCheck(tokenizer, None, None, ByHand())(tokens[1:2], np.zeros(1, int))
    assert len(calls) == 3, "no forward for nothing"

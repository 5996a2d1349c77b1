from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molgen.data.dataset import TokenDataset
from small_data import SMILES, dataset


def test_rows_are_padded_and_spell_their_molecules() -> None:
    data = dataset()
    vocab = np.array(data.vocab)
    for row, length, smiles in zip(data.tokens, data.lengths, SMILES, strict=True):
        assert "".join(vocab[row[:length]]) == smiles
        assert (row[length:] == data.pad_id).all()
    assert data.tokens.dtype == np.uint8
    assert data.vocab[data.mask_id] == "[MASK]"


def test_a_large_vocabulary_takes_two_bytes() -> None:
    vocab = [f"[{i}]" for i in range(300)] + ["[PAD]", "[MASK]"]
    data = TokenDataset.build([[299], [0, 1]], {}, vocab)
    assert data.tokens.dtype == np.uint16
    assert data.tokens.tolist() == [[299, 300], [0, 1]]


def test_the_split_depends_on_the_seed_alone() -> None:
    encoded = [[0]] * 100
    vocab = ["C", "[PAD]", "[MASK]"]

    def split(seed: int) -> list[bool]:
        return TokenDataset.build(encoded, {}, vocab, "smiles", seed).held_out.tolist()

    assert split(1) == split(1) != split(2)
    assert sum(split(1)) == 5


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2.0, float("nan")])
def test_a_part_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="held_out_fraction"):
        TokenDataset.build([[0]], {}, ["C", "[PAD]", "[MASK]"], held_out_fraction=fraction)


def test_one_molecule_at_least_is_trained_on() -> None:
    data = TokenDataset.build([[0], [0]], {}, ["C", "[PAD]", "[MASK]"], held_out_fraction=0.99)
    assert data.held_out.sum() == 1


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="no molecules"):
        TokenDataset.build([], {}, ["C"])
    with pytest.raises(ValueError, match="qed has 1 values for 2 molecules"):
        TokenDataset.build([[0], [0]], {"qed": np.ones(1)}, ["C", "[PAD]", "[MASK]"])


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=60),
    batch_size=st.integers(1, 20),
    epoch=st.integers(0, 3),
    seed=st.integers(0, 3),
)
def test_an_epoch_is_every_training_row_once(
    lengths: list[int], batch_size: int, epoch: int, seed: int
) -> None:
    encoded = [[0] * n for n in lengths]
    data = TokenDataset.build(encoded, {}, ["C", "[PAD]", "[MASK]"], held_out_fraction=0.3)
    batches = list(data.batches(batch_size, seed, epoch))
    rows = np.concatenate(batches)
    assert sorted(rows) == np.flatnonzero(~data.held_out).tolist()
    assert len(batches) == data.batches_per_epoch(batch_size)
    assert max(map(len, batches)) <= batch_size
    mixed = [b for b in batches if len(set(data.lengths[b])) > 1]
    left = sum(n % batch_size for n in np.bincount(data.lengths[~data.held_out]))
    assert len(mixed) <= -(-left // batch_size), "only what is left over is mixed"


def test_epochs_differ_and_can_be_repeated() -> None:
    data = dataset()
    first, again, second = (
        np.concatenate(list(data.batches(4, 0, epoch))).tolist() for epoch in (0, 0, 1)
    )
    assert first == again != second


def test_save_and_load_are_inverse(tmp_path: Path) -> None:
    data = dataset()
    data.save(tmp_path / "d.npz")
    again = TokenDataset.load(tmp_path / "d.npz")
    for name, value in vars(data).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert again.fingerprint() == data.fingerprint()
    assert [p.name for p in tmp_path.iterdir()] == ["d.npz"]


def test_the_fingerprint_sees_every_field() -> None:
    data = dataset()
    held_out = data.held_out.copy()
    held_out[0] ^= True
    others = [
        replace(data, held_out=held_out),
        replace(data, values=data.values + 1),
        replace(data, tokens=data.tokens[:, ::-1]),
        replace(data, properties=("a", "b")),
        replace(data, representation="selfies"),
    ]
    found = {other.fingerprint() for other in [data, *others]}
    assert len(found) == 6


@pytest.mark.parametrize("content", [b"", b"smiles\nC\n", b"PK\x03\x04rest", b"\x80\x04N."])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "d.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"d\.npz is damaged"):
        TokenDataset.load(path)


def test_a_damaged_or_foreign_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    data = dataset()
    data.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        TokenDataset.load(path)
    np.savez(path, other=np.arange(3))
    with pytest.raises(ValueError, match="lacks 'tokens' and has other"):
        TokenDataset.load(path)
    np.savez(path, tokens=np.array([{"pickled": 1}], dtype=object))
    with pytest.raises(ValueError, match="tokens has O"):
        TokenDataset.load(path)
    for wrong in (
        replace(data, lengths=data.lengths + 1),
        replace(data, tokens=data.tokens + 40),
        replace(data, held_out=np.ones_like(data.held_out)),
        replace(data, properties=("a",) * len(data.properties)),
        replace(data, vocab=data.vocab[:-1]),
        replace(data, vocab=(data.vocab[1], *data.vocab[1:])),
        replace(data, vocab=("[C", *data.vocab[1:])),
        replace(data, representation="inchi"),
        replace(data, representation="selfies"),
    ):
        wrong.save(path)
        with pytest.raises(ValueError, match=r"do not fit|not a molgen tokenizer|twice|no token"):
            TokenDataset.load(path)
    with pytest.raises(FileNotFoundError):
        TokenDataset.load(tmp_path / "none.npz")


def test_moments_leave_out_what_is_unknown() -> None:
    nan = np.nan
    values = {"a": np.array([1.0, nan, 3.0, nan]), "b": np.full(4, 7.0)}
    vocab = ["C", "[PAD]", "[MASK]"]
    data = TokenDataset.build([[0]] * 4, values, vocab, held_out_fraction=0)
    assert data.moments() == ([2.0, 7.0], [1.0, 1.0])
    assert dataset(properties=0).moments() == ([], [])


def test_every_length_up_to_the_longest_is_possible() -> None:
    data = dataset()
    log_p = data.length_log_probability()
    assert log_p[0] == -np.inf
    assert np.isfinite(log_p[1:]).all()
    assert np.exp(log_p).sum() == pytest.approx(1)

"""Rows stay the same: what every kind of sampler drew when it was recorded, it draws today."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import record

RECORDED = record.read()
RELEASE = "2.13.0"  # of torch, with which the bundled models' rows were recorded


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("record")
    record.models(path)
    return path


def test_every_case_is_recorded() -> None:
    assert list(RECORDED) == [*record.TINY, *record.BUNDLED]


@pytest.mark.usefixtures("small_shards")  # rows in double precision do not notice
@pytest.mark.parametrize("case", record.TINY)
def test_tiny_models_in_double_precision(case: str, folder: Path) -> None:
    assert record.rows(record.TINY[case], folder) == RECORDED[case]


@pytest.mark.skipif(not torch.__version__.startswith(RELEASE), reason=f"needs torch {RELEASE}")
@pytest.mark.parametrize("case", record.BUNDLED)
def test_bundled_models_but_for_last_bits(case: str, folder: Path) -> None:
    """Half of the rows: they are the first of those that were recorded."""
    expected = RECORDED[case][: len(RECORDED[case]) // 2]
    found = record.rows(f"{record.BUNDLED[case]} --n {len(expected)}", folder)
    other = sum(a != b for a, b in zip(found, expected, strict=True))
    assert other <= max(1, len(expected) // 10)

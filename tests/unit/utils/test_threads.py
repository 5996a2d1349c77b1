from __future__ import annotations

import threading
import time

import pytest
import torch

from molgen.utils.threads import Workers, bf16_is_fast, resolve_dtype, workers


def test_results_come_in_the_order_of_the_items() -> None:
    def slow(item: int) -> tuple[int, str]:
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item, threading.current_thread().name

    with workers(count=3) as pool:
        found = list(pool.map(slow, range(12)))
    assert [item for item, _ in found] == list(range(12))
    assert threading.current_thread().name not in {name for _, name in found}


def test_every_worker_has_one_thread_and_the_callers_count_is_restored() -> None:
    before = torch.get_num_threads()
    with workers(count=2) as pool:
        assert torch.get_num_threads() == 1
        assert set(pool.map(lambda _: torch.get_num_threads(), range(4))) == {1}
    assert torch.get_num_threads() == before


def test_an_error_in_a_worker_is_raised_in_the_caller() -> None:
    before = torch.get_num_threads()
    alive = threading.active_count()

    def fail(item: int) -> int:
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 0"), workers(count=2) as pool:
        list(pool.map(fail, range(3)))
    assert torch.get_num_threads() == before
    assert threading.active_count() == alive


def test_other_devices_get_a_plain_loop() -> None:
    pool = Workers("cuda", 8)
    assert pool.count == 1
    assert list(pool.map(lambda _: threading.current_thread(), [0])) == [threading.main_thread()]
    pool.close()


def test_dtypes() -> None:
    assert resolve_dtype("bf16", "cpu") is torch.bfloat16
    assert resolve_dtype("fp32", "cpu") is torch.float32
    assert resolve_dtype("auto", "cuda:1") is torch.bfloat16
    assert resolve_dtype("auto", "cpu") is (torch.bfloat16 if bf16_is_fast() else torch.float32)
    with pytest.raises(ValueError, match=r"dtype is 'fp8'"):
        resolve_dtype("fp8", "cpu")

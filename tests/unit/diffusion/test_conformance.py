from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import conformance
from molgen.diffusion import posterior
from paths import VECTORS

at_hand = pytest.mark.skipif(
    not (VECTORS / "vectors.json").is_file(), reason="the reference vectors are not at hand"
)


def write(folder: Path, error: float = 0.0, **changes: Any) -> Path:
    """A folder of one case, ancestral, whose expected posterior is off by ``error``."""
    x, logits = np.array([[0, 2, 2]]), np.arange(9.0).reshape(1, 3, 3)
    log_p = posterior.subs(torch.from_numpy(logits), torch.from_numpy(x), 2)
    q = posterior.masked_posterior(log_p.exp(), torch.from_numpy(x), 0.5, 0.75, 0.0, 2)
    case = {"id": "0", "kind": "remasking", "sampler": "mdlm", "t": 0.5, "s": 0.25, "mask_id": 2}
    (folder / "vectors.json").write_text(json.dumps([{**case, **changes}]))
    arrays: dict[str, Any] = {"0_x": x, "0_logits": logits, "0_posterior": q + error}
    np.savez(folder / "vectors.npz", **arrays)
    return folder


@at_hand
def test_every_published_case_is_met(capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main([str(VECTORS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    kinds = {case["kind"] for case in json.loads((VECTORS / "vectors.json").read_text())}
    assert {line.split(":")[0] for line in lines} == kinds


@at_hand
def test_a_perturbed_kernel_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = posterior.masked_posterior

    def perturbed(p: Tensor, *rest: Tensor | float | int) -> Tensor:
        return exact(p, *rest) + 1e-8  # type: ignore[arg-type]

    monkeypatch.setattr(posterior, "masked_posterior", perturbed)
    assert conformance.main([str(VECTORS)]) == 1


@pytest.mark.parametrize(("error", "status"), [(0.0, 0), (5e-10, 0), (2e-9, 1), (np.nan, 1)])
def test_the_tolerance_is_absolute(tmp_path: Path, error: float, status: int) -> None:
    assert conformance.main([str(write(tmp_path, error))]) == status


@pytest.mark.parametrize("change", [{"kind": "telepathy"}, {"sampler": "mind-reading"}])
def test_what_is_not_covered_fails(
    tmp_path: Path, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert conformance.main([str(write(tmp_path, **change))]) == 1
    assert "not covered" in capsys.readouterr().out


def damage(folder: Path, how: str) -> None:
    write(folder)
    if how == "no folder":
        (folder / "vectors.json").unlink()
    elif how == "no JSON":
        (folder / "vectors.json").write_text("[")
    elif how == "no cases":
        (folder / "vectors.json").write_text("[]")
    elif how == "a case without a name":
        (folder / "vectors.json").write_text('[{"kind": "remasking"}]')
    elif how == "no archive":
        (folder / "vectors.npz").write_bytes(b"nothing of the sort")
    elif how == "an empty archive":
        (folder / "vectors.npz").write_bytes(b"")
    elif how == "a single array":
        with (folder / "vectors.npz").open("wb") as file:
            np.save(file, np.zeros(3))
    elif how == "an array short":
        np.savez(folder / "vectors.npz", other=np.zeros(3))


@pytest.mark.parametrize(
    "how",
    [
        "no folder",
        "no JSON",
        "no cases",
        "a case without a name",
        "no archive",
        "an empty archive",
        "a single array",
        "an array short",
    ],
)
def test_an_unreadable_folder_is_one_line_on_stderr(
    tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(tmp_path, how)
    assert conformance.main([str(tmp_path)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1


def test_one_folder_is_expected(capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main([]) == 2
    assert "usage" in capsys.readouterr().err

"""Conformance with published numbers: every case of a folder of reference vectors, in float64.

    python tests/conformance.py ../shared/reference_vectors

Reads ``vectors.json`` and ``vectors.npz``, evaluates molgen's own kernels on each case and prints
one line per kind with the largest absolute error. Exit status 1 if an error exceeds 1e-9 or a
kind is not covered, 2 if the folder cannot be read.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout, whatever is installed

from molgen.diffusion import losses, noise, posterior, remasking_rates, token_weights
from molgen.guidance import candidate_scores, kernels

TOLERANCE = 1e-9

Row = tuple[float, float, float | Tensor]
"""alpha_t, alpha_s and sigma of one step."""


class Uncovered(Exception):
    """A case asks for something that molgen has no kernel for."""


@dataclass(frozen=True)
class Case:
    """One entry of ``vectors.json`` with its arrays, in float64 and int64."""

    fields: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    def __getattr__(self, name: str) -> Any:
        if name in self.fields:
            return self.fields[name]
        key = f"{self.fields['id']}_{name}"
        if key not in self.arrays:
            raise ValueError(f"case {self.fields['id']} lacks {name}")
        array = self.arrays[key]
        dtype = torch.float64 if array.dtype.kind == "f" else torch.int64
        return torch.from_numpy(array).to(dtype)

    @property
    def alphas(self) -> tuple[float, float]:
        """alpha_t and alpha_s of the linear schedule."""
        return 1 - self.t, 1 - self.s

    @property
    def masked(self) -> bool:
        """Whether the noise is masked rather than uniform."""
        if self.diffusion not in ("absorbing_state", "uniform"):
            raise Uncovered(f"diffusion {self.diffusion!r}")
        return bool(self.diffusion == "absorbing_state")


def _confidence(case: Case) -> Row:
    """Sigma shared out by how unsure each token was when it was placed."""
    alphas = case.alphas
    weights = token_weights.confidence_weights(-case.conf, case.x != case.mask_id, normalise="sum")
    bound = np.asarray(remasking_rates.sigma_max(*alphas))
    return *alphas, torch.from_numpy(token_weights.token_sigma(bound, weights.numpy(), bound))


SAMPLERS: dict[str, Callable[[Case], Row]] = {
    "mdlm": lambda case: (*case.alphas, remasking_rates.ancestral(*case.alphas)),
    "remdm-cap": lambda case: (*case.alphas, remasking_rates.cap(*case.alphas, case.eta)),
    "remdm-rescale": lambda case: (*case.alphas, remasking_rates.rescale(*case.alphas, case.eta)),
    "remdm-conf": _confidence,
    "remdm-loop": lambda case: remasking_rates.loop(
        case.t, case.s, case.eta, case.t_on, case.t_off, case.alpha_on
    ),
    "forward-backward": lambda case: (*case.alphas, remasking_rates.forward_backward(*case.alphas)),
}


def _remasking(case: Case) -> tuple[Tensor, Tensor]:
    if case.sampler not in SAMPLERS:
        raise Uncovered(f"sampler {case.sampler!r}")
    p = posterior.subs(case.logits, case.x, case.mask_id).exp()
    row = SAMPLERS[case.sampler](case)
    return posterior.masked_posterior(p, case.x, *row, case.mask_id), case.posterior


def _uniform_posterior(case: Case) -> tuple[Tensor, Tensor]:
    p = case.logits.softmax(-1)
    return posterior.uniform_posterior(p, case.x, *case.alphas), case.posterior


def _classifier_free(case: Case) -> tuple[Tensor, Tensor]:
    if case.masked:
        cond = posterior.subs(case.logits, case.x, case.mask_id)
        uncond = posterior.subs(case.logits_uncond, case.x, case.mask_id)
        classifier = kernels.ClassifierFree(case.gamma)
        p = classifier.combine(cond, uncond, case.alphas[0]).exp()
        q = posterior.masked_posterior(p, case.x, *case.alphas, 0.0, case.mask_id)
    else:
        cond, uncond = (
            posterior.uniform_posterior(logits.softmax(-1), case.x, *case.alphas).log()
            for logits in (case.logits, case.logits_uncond)
        )
        q = kernels.classifier_free(cond, uncond, case.gamma).exp()
    return q, case.posterior


def _classifier_based(case: Case) -> tuple[Tensor, Tensor]:
    def soft(onehot: Tensor, _: Tensor) -> Tensor:
        logits = torch.einsum("blv,lvy->by", onehot, case.classifier_weight)
        return logits.log_softmax(-1)[:, case.target_class]

    def hard(tokens: Tensor, alpha: Tensor) -> Tensor:
        vocab = case.classifier_weight.shape[1]
        return soft(torch.nn.functional.one_hot(tokens, vocab).to(torch.float64), alpha)

    ways: dict[str, kernels.CandidateScores] = {
        "exact": candidate_scores.ExactScores(hard),
        "taylor": candidate_scores.TaylorScores(soft),
    }
    if case.approx not in ways:
        raise Uncovered(f"approx {case.approx!r}")
    if case.masked:
        log_p = posterior.subs(case.logits, case.x, case.mask_id)
        log_q = posterior.log_masked_posterior(log_p, case.x, *case.alphas, 0.0, case.mask_id)
    else:
        p = case.logits.softmax(-1)
        log_q = posterior.uniform_posterior(p, case.x, *case.alphas).log()
    classifier = kernels.ClassifierBased(
        ways[case.approx], case.gamma, case.mask_id, tilt_mask=True
    )
    return classifier(log_q, case.x, case.alphas[0]).exp(), case.posterior


def _nelbo(case: Case) -> tuple[Tensor, Tensor]:
    schedule, t = noise.LogLinear(), case.t[:, None]
    alpha, alpha_prime = schedule.alpha(t), schedule.alpha_prime(t)
    if case.masked:
        log_p = posterior.subs(case.logits, case.x, case.mask_id)
        loss = losses.masked_nelbo(log_p, case.x0, case.x, alpha, alpha_prime, case.mask_id)
    else:
        log_p = case.logits.log_softmax(-1)
        loss = losses.uniform_nelbo(log_p, case.x0, case.x, alpha, alpha_prime)
    return loss, case.loss


KINDS: dict[str, Callable[[Case], tuple[Tensor, Tensor]]] = {
    "remasking": _remasking,
    "uniform_posterior": _uniform_posterior,
    "classifier_free": _classifier_free,
    "classifier_based": _classifier_based,
    "nelbo": _nelbo,
}


def load(folder: Path) -> dict[str, list[Case]]:
    """Read a folder of reference vectors.

    Returns:
        The cases of each kind, in the order of the file.

    Raises:
        OSError: if a file is not there.
        ValueError: if a file is not what it should be.
    """
    entries = json.loads((folder / "vectors.json").read_text())
    named = isinstance(entries, list) and all(
        isinstance(entry, dict) and {"id", "kind"} <= entry.keys() for entry in entries
    )
    if not named or not entries:
        raise ValueError("vectors.json is not a list of cases with an id and a kind")
    file = np.load(folder / "vectors.npz")
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise ValueError("vectors.npz is a single array, not an archive of them")
    with file:
        arrays = dict(file)
    kinds: dict[str, list[Case]] = {}
    for entry in entries:
        kinds.setdefault(entry["kind"], []).append(Case(entry, arrays))
    return kinds


def largest_error(kind: str, cases: list[Case]) -> float:
    """Return the largest absolute error over the cases of a kind, infinite where a result is not
    finite.

    Raises:
        Uncovered: if molgen has no kernel for a case.
        ValueError: if a case lacks a parameter or an array.
    """
    if kind not in KINDS:
        raise Uncovered("no kernel for this kind")
    errors = [torch.sub(*KINDS[kind](case)).abs().max() for case in cases]
    return float(torch.stack(errors).nan_to_num(nan=torch.inf, posinf=torch.inf).max())


def main(arguments: list[str]) -> int:
    """Run the command; see the module's first lines for its exit status."""
    if len(arguments) != 1:
        print("usage: python tests/conformance.py DIR", file=sys.stderr)
        return 2
    try:
        kinds = load(Path(arguments[0]))
        passed = True
        for kind, cases in kinds.items():
            try:
                error = largest_error(kind, cases)
            except Uncovered as gap:
                print(f"{kind}: not covered: {gap}")
                passed = False
                continue
            verdict = "ok" if error <= TOLERANCE else f"exceeds {TOLERANCE:g}"
            print(f"{kind}: {len(cases)} cases, max abs error {error:.2e}, {verdict}")
            passed = passed and error <= TOLERANCE
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        print(f"{arguments[0]}: cannot evaluate the reference vectors: {reason}", file=sys.stderr)
        return 2
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

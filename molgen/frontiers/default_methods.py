"""The default methods of a comparison: those of a model, and those of its baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from molgen.checkpoints.files import CLASSIFIER, find
from molgen.checkpoints.hub import bundled_names
from molgen.frontiers.method import METHOD, Method
from molgen.nn.denoiser import noise_of

if TYPE_CHECKING:
    from molgen.model import Model

REMASKING = "rescale:eta=.1"  # where a model recommends none
LOOP, LOOP_WEIGHTS = "loop:t_on=.55,t_off=.05,eta=.05", "sharpened:tau=1"
FEW = ("MDLM", "ReMDM")
BASELINES = ("ar",)  # bundled as MODEL-ar
LABELS = {"none": "AR", "uniform": "UDLM"}  # of a baseline, by the noise it was trained on


def of(model: Model) -> list[Method]:
    """Return the default methods of a model."""
    if noise_of(model.denoiser) != "masked":
        return of_baseline(model)
    own = model.preset()
    remask, weights = own.get("remask", "ancestral"), own.get("weights", "uniform")
    if remask == "ancestral":
        remask, weights = REMASKING, "uniform"
    methods = [
        Method("MDLM", model.name),
        Method("ReMDM", model.name, remask, weights),
        Method("ReMDM rescale", model.name, REMASKING),
        Method("ReMDM loop", model.name, LOOP, LOOP_WEIGHTS),
        Method("Forward-backward", model.name, "forward-backward"),
        Method("DFM corrector", model.name, "dfm"),
    ]
    if has_classifier(model):
        methods.append(Method("MDLM D-CBG", model.name, guidance="cbg"))
        methods.append(Method("ReMDM D-CBG", model.name, LOOP, LOOP_WEIGHTS, "cbg"))
    plain = (remask, weights) == (REMASKING, "uniform")
    return [method for method in methods if not (plain and method.label == "ReMDM rescale")]


def few(methods: Sequence[Method], baselines: Sequence[str]) -> list[Method]:
    """Return the methods of a small comparison: plain, remasking as recommended, and baselines.

    Those guided by classifiers are left out.
    """
    plain = [method for method in methods if method.guidance == METHOD["guidance"]]
    return [m for m in plain if m.label in FEW or m.model in baselines] or plain[:2]


def baselines(model: str, named: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the baselines of a model, and a note for each default one that is left out.

    Args:
        model: name of the model.
        named: baselines named by the user, which must exist.
    """
    bundled, found, notes = bundled_names(), list(named), []
    for name in (f"{model}-{kind}" for kind in BASELINES):
        if name in bundled and name not in found:
            found.append(name)
        elif name not in bundled and model in bundled:
            notes.append(f"baseline {name} is not bundled: left out")
    return found, notes


def of_baseline(model: Model) -> list[Method]:
    """Return a model's unmodified method, named after its kind, and the one with its classifier."""
    label = LABELS.get(noise_of(model.denoiser), Path(model.name).name)
    guided = ("FUDGE", "fudge") if noise_of(model.denoiser) == "none" else ("D-CBG", "cbg")
    methods = [Method(label, model.name)]
    if has_classifier(model):
        methods.append(Method(f"{label} {guided[0]}", model.name, guidance=guided[1]))
    return methods


def has_classifier(model: Model) -> bool:
    """Return whether a model has a noisy classifier in its folder."""
    return model.folder is not None and (find(model.folder, CLASSIFIER) / "config.json").is_file()

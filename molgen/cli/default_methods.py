"""The arms of a comparison for which none were named: a model's own, and those of its baselines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from molgen.frontiers.method import Arm
    from molgen.model import Model

REMASKING = "rescale:eta=.1"  # where a model recommends none
LOOP, LOOP_WEIGHTS = "loop:t_on=.55,t_off=.05,eta=.05", "sharpened:tau=1"
BASELINES = ("ar",)  # bundled as MODEL-ar
LABELS = {"none": "AR", "uniform": "UDLM"}  # of a baseline, by the noise it was trained on


def of(model: Model) -> list[Arm]:
    """Return the arms of a model for which none were named."""
    from molgen.frontiers.method import Arm
    from molgen.nn.denoiser import noise_of

    if noise_of(model.denoiser) != "masked":
        return of_baseline(model)
    own = model.preset()
    remask, weights = own.get("remask", "ancestral"), own.get("weights", "uniform")
    if remask == "ancestral":
        remask, weights = REMASKING, "uniform"
    arms = [
        Arm("MDLM", model.name),
        Arm("ReMDM", model.name, remask, weights),
        Arm("ReMDM rescale", model.name, REMASKING),
        Arm("ReMDM loop", model.name, LOOP, LOOP_WEIGHTS),
        Arm("Forward-backward", model.name, "forward-backward"),
        Arm("DFM corrector", model.name, "dfm"),
    ]
    if has_classifier(model):
        arms.append(Arm("MDLM D-CBG", model.name, guidance="cbg"))
        arms.append(Arm("ReMDM D-CBG", model.name, LOOP, LOOP_WEIGHTS, "cbg"))
    plain = (remask, weights) == (REMASKING, "uniform")
    return [arm for arm in arms if not (plain and arm.label == "ReMDM rescale")]


def baselines(model: str, asked: Sequence[str]) -> list[str]:
    """Return the models that stand beside one; of those that come with it, what is missing is said.

    Args:
        model: name of the model.
        asked: names that were asked for, which must be there.
    """
    import molgen

    bundled = molgen.models()
    found = list(asked)
    for name in (f"{model}-{kind}" for kind in BASELINES):
        if name in bundled and name not in found:
            found.append(name)
        elif name not in bundled and model in bundled:
            print(f"baseline {name} is not bundled: left out", file=sys.stderr)
    return found


def of_baseline(model: Model) -> list[Arm]:
    """Return a model's plainest arm, named after its kind, and the one that its guide steers."""
    from molgen.frontiers.method import Arm
    from molgen.nn.denoiser import noise_of

    label = LABELS.get(noise_of(model.denoiser), Path(model.name).name)
    guided = ("FUDGE", "fudge") if noise_of(model.denoiser) == "none" else ("D-CBG", "cbg")
    arms = [Arm(label, model.name)]
    if has_classifier(model):
        arms.append(Arm(f"{label} {guided[0]}", model.name, guidance=guided[1]))
    return arms


def has_classifier(model: Model) -> bool:
    """Return whether a model brings a guide along."""
    from molgen.checkpoints.files import CLASSIFIER, find

    return model.folder is not None and (find(model.folder, CLASSIFIER) / "config.json").is_file()

"""The plan of a sweep: which points there are, and what determines each draw.

    points = seeds x steps x arms x gammas

Seeds come first and few steps before many, so that whatever is finished when a run is interrupted
is a whole, if rougher, picture. Where budgets are an axis, arms that go on with failed rows are
swept over them instead of over steps: the budget is their one knob. Everything asked is checked
here, before anything is drawn.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.checkpoints.files import CLASSIFIER, FORMER, INFO, find
from molgen.frontiers.method import METHOD, OWN, SHAPING, Arm
from molgen.frontiers.store import Point, Record
from molgen.frontiers.task import TOP, Task
from molgen.guidance.shaping import Shaping
from molgen.sampling.settings import OPTIONS
from molgen.targets import Range, Target, parse_target, read_targets

if TYPE_CHECKING:
    from molgen.model import Model
    from molgen.sampling.settings import Settings


@dataclass(frozen=True)
class Sweep:
    """What is to be drawn.

    Attributes:
        task: property, target, rows a point.
        arms: ways of sampling, with distinct labels.
        gammas: strengths of guidance.
        steps: numbers of steps.
        seeds: of the draws.
        budgets: of forwards a row, for adaptive arms, which then take the most steps alone; empty
            for the budget that each arm speaks of.
        speed: settings that change nothing but speed (batch size, device), and the number format.
    """

    task: Task
    arms: tuple[Arm, ...]
    gammas: tuple[float, ...]
    steps: tuple[int, ...]
    seeds: tuple[int, ...] = (0,)
    budgets: tuple[int, ...] = ()
    speed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the axes.

        Raises:
            ValueError: if one is empty, or two arms have one label.
        """
        for name in ("arms", "gammas", "steps", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty, expected at least one")
        labels = [arm.label for arm in self.arms]
        twice = {label for label in labels if labels.count(label) > 1}
        if twice:
            raise ValueError(f"two arms are called {twice.pop()}: labels must differ")
        if self.budgets and not any(arm.adaptive for arm in self.arms):
            raise ValueError("budgets are an axis of arms with adapt=..., and there is none")

    def cells(self) -> list[tuple[Arm, Point]]:
        """Return every point and its arm, in the order they are drawn."""
        return [
            (arm, Point(dataclasses.asdict(arm), float(gamma), steps, seed, budget))
            for seed in dict.fromkeys(self.seeds)
            for steps in sorted(set(self.steps))
            for arm in self.arms
            for gamma in dict.fromkeys(self.gammas)
            for budget in self._budgets(arm, steps)
        ]

    def _budgets(self, arm: Arm, steps: int) -> tuple[int | None, ...]:
        """Return the budgets of an arm at a number of steps; there may be none."""
        if not (self.budgets and arm.adaptive):
            return (None,)
        return tuple(sorted(set(self.budgets))) if steps == max(self.steps) else ()


def plan(sweep: Sweep, models: Mapping[str, Model]) -> list[Record]:
    """Return every point to be drawn, as a record without figures; nothing is drawn.

    Args:
        sweep: what is asked.
        models: by the names that the arms give.

    Raises:
        ValueError: if an arm, a setting or a model does not fit the task.
    """
    for arm in sweep.arms:
        model = models[arm.model]
        if model.training_index is None:
            raise ValueError(
                f"arm {arm.label}: model {arm.model} has no index of known molecules, so nothing "
                "can be called novel"
            )
        settings = settings_for(model, arm, sweep.gammas[0], sweep.steps[0], **sweep.speed)
        try:
            model.check(guided_targets(sweep.task, arm), settings)
        except ValueError as error:
            raise ValueError(f"arm {arm.label}: {error}") from error
    records = []
    for arm, point in sweep.cells():
        model = models[arm.model]
        settings = settings_at(model, arm, point, **sweep.speed)
        records.append(Record(sweep.task, point, origin(model, settings), {}))
    return records


def guided_targets(task: Task, arm: Arm) -> dict[str, Target]:
    """Return the targets that an arm is steered to."""
    return read_targets({task.property: task.target}) if task.target and arm.guided else {}


def origin(model: Model, settings: Settings) -> dict[str, Any]:
    """Return what a draw depends on beside what was asked; its speed is no part of that."""
    import rdkit

    from molgen.checkpoints.hub import locate
    from molgen.guidance.spec import ClassifierBased
    from molgen.version import __version__

    guidance, classifier = settings.guidance, None
    folder = model.folder or locate(model.name)
    if isinstance(guidance, ClassifierBased):
        classifier = digest(
            Path(guidance.classifier) if guidance.classifier else find(folder, CLASSIFIER)
        )
    return {
        "model digest": digest(folder),
        "guide digest": classifier,
        **_shaped(settings.shaping),
        "dtype": settings.dtype,
        "molgen": __version__,
        "rdkit": rdkit.__version__,
    }


@cache
def digest(folder: Path) -> str:
    """Return a digest of a network's files, whatever its folder is called.

    What the model card and ``molgen.json`` say is left out: settings are told apart one by one. A
    file counts by the first name it had, so that a renamed one is the same.
    """
    kept = {
        FORMER.get(path.name, path.name): path
        for path in folder.iterdir()
        if path.suffix in (".safetensors", ".json") and path.name != INFO
    }
    total = hashlib.sha256()
    for name, path in sorted(kept.items()):
        total.update(name.encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def _shaped(shaping: Shaping) -> dict[str, float]:
    """Return what shapes a draw; an option that came later is told where it is used alone."""
    values = dataclasses.asdict(shaping)
    return {
        k: v for k, v in values.items() if k in ("temperature", "top_p") or v != SHAPING[k].default
    }


def settings_for(model: Model, arm: Arm, gamma: float, steps: int, **changes: Any) -> Settings:
    """Return the settings of a point: the only place where an arm's words become objects.

    What the arm does not speak of (the nucleus) is as the model recommends.

    Args:
        model: the arm's.
        arm: the words.
        gamma: strength of the guidance.
        steps: of the plan.
        **changes: further settings; of speed (batch size, device, number format) as a rule.

    Raises:
        ValueError: naming the arm and what is wrong with it.
    """
    wanted = {key: getattr(arm, key) for key in (*METHOD, *SHAPING)}
    if not arm.guided:
        del wanted["guidance"]
    try:
        for key, text in wanted.items():
            if text != OWN:
                changes[OPTIONS[key].name] = OPTIONS[key].read(text)
        return model.settings(gamma=gamma, steps=steps, **changes)
    except ValueError as error:
        raise ValueError(f"arm {arm.label}: {error}") from error


def settings_at(model: Model, arm: Arm, point: Point, **changes: Any) -> Settings:
    """Return the settings of a point of a sweep; see :func:`settings_for`."""
    settings = settings_for(model, arm, point.gamma, point.steps, **changes)
    if point.budget is None or settings.adapt is None:
        return settings
    adapt = dataclasses.replace(settings.adapt, budget=point.budget)
    return dataclasses.replace(settings, adapt=adapt)


def task_for(model: Model, name: str, target: str | None, n: int) -> Task:
    """Return the task of a property.

    More is better unless the target says otherwise: it is ``min``, or a number or a range whose
    middle lies below the data's mean. The default target is the top tenth of the data.

    Args:
        model: lends the data's mean and, for the default, its extremes.
        name: of the property.
        target: ``max``, ``min``, a number, ``LO..HI``, ``none`` for unguided draws, or None for
            the default.
        n: rows a point.

    Raises:
        ValueError: if the model does not know the property, or the target cannot be read.
    """
    from property_models import get

    get(name)
    model.prior.check({name: "max"})
    mean = model.prior.mean[name]
    words = top_tenth(model, name) if target is None else target.strip()
    if words == "none":
        return Task(name, "", n, mean, -1 if get(name).direction == "min" else 1)
    try:
        wanted = parse_target(words)
    except ValueError as error:
        raise ValueError(f"target {name}: {error}") from error
    if isinstance(wanted, str):
        sign = 1 if wanted == "max" else -1
    else:
        middle = (wanted.low + wanted.high) / 2 if isinstance(wanted, Range) else wanted
        sign = -1 if middle < mean else 1
    return Task(name, words, n, mean, sign)


def top_tenth(model: Model, name: str) -> str:
    """Return the range of the best tenth of the training data, or of what is nearest below it.

    This is the condition of Schiff et al., "Simple guidance mechanisms for discrete diffusion
    models" (2025): beyond the 90th percentile. Of whole numbers it is strictly beyond, so that it
    is less than a tenth: four rings and more in QM9.
    """
    from property_models import get

    sign = -1 if get(name).direction == "min" else 1
    column = model.prior.values[:, model.prior.properties.index(name)]
    known = ~np.isnan(column)
    levels, level = np.unique(sign * column[known], return_inverse=True)
    weight = np.bincount(level, model.prior.weight[known])
    share = np.cumsum(weight[::-1])[::-1] / weight.sum()  # of the data at this level or beyond
    within = np.flatnonzero(share <= TOP)
    low, high = levels[within[0] if len(within) else -1], levels[-1]
    return f"{low:g}..{high:g}" if sign == 1 else f"{-high:g}..{-low:g}"

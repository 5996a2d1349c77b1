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

from molgen.arm import Arm, settings_at, settings_for
from molgen.sweep_store import Point, Record
from molgen.sweep_task import Task
from molgen.targets import Target, read_targets

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
        if model.known is None:
            raise ValueError(
                f"arm {arm.label}: model {arm.model} has no index of known molecules, so nothing "
                "can be called novel"
            )
        settings = settings_for(model, arm, sweep.gammas[0], sweep.steps[0], **sweep.speed)
        try:
            model.check(aims(sweep.task, arm), settings)
        except ValueError as error:
            raise ValueError(f"arm {arm.label}: {error}") from error
    records = []
    for arm, point in sweep.cells():
        model = models[arm.model]
        settings = settings_at(model, arm, point, **sweep.speed)
        records.append(Record(sweep.task, point, origin(model, settings), {}))
    return records


def aims(task: Task, arm: Arm) -> dict[str, Target]:
    """Return the targets that an arm is steered to."""
    return read_targets({task.property: task.target}) if task.target and arm.guided else {}


def origin(model: Model, settings: Settings) -> dict[str, Any]:
    """Return what a draw depends on beside what was asked; its speed is no part of that."""
    import rdkit

    from molgen import __version__
    from molgen.checkpoints.folder import GUIDE
    from molgen.checkpoints.hub import locate
    from molgen.guidance.spec import ClassifierBased

    steering, guide = settings.steering, None
    folder = model.folder or locate(model.name)
    if isinstance(steering, ClassifierBased):
        guide = digest(Path(steering.guide) if steering.guide else folder / GUIDE)
    return {
        "model digest": digest(folder),
        "guide digest": guide,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "dtype": settings.dtype,
        "molgen": __version__,
        "rdkit": rdkit.__version__,
    }


@cache
def digest(folder: Path) -> str:
    """Return a digest of a network's files, whatever its folder is called.

    What the model card and ``molgen.json`` say is left out: settings are told apart one by one.
    """
    kept = [p for p in folder.iterdir() if p.suffix in (".safetensors", ".json")]
    total = hashlib.sha256()
    for path in sorted(p for p in kept if p.name != "molgen.json"):
        total.update(path.name.encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]

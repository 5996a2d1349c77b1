"""The plan of a sweep: its runs, and all that determines each draw.

    runs = seeds x steps x methods x gammas

Seeds come first and few steps before many, so that the finished part of an interrupted sweep is a
complete, if coarser, comparison. Where budgets are an axis, methods that retry failed rows are
swept over them instead of over steps. The request is checked here, before anything is drawn.
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

from molgen.checkpoints.files import CLASSIFIER, FORMER, INFO, JOINT, find
from molgen.errors import MolgenError
from molgen.frontiers.method import METHOD, OWN, SHAPING, Method
from molgen.frontiers.objective import TOP, Objective
from molgen.frontiers.store import Record, Run
from molgen.guidance.shaping import Shaping
from molgen.sampling.settings import OPTIONS
from molgen.targets import Target, ends, parse_target, read_targets
from molgen.utils.arguments import checked

if TYPE_CHECKING:
    from molgen.model import Model
    from molgen.sampling.settings import Settings


@dataclass(frozen=True)
class Sweep:
    """A request for runs.

    Attributes:
        objective: property, target, rows a run.
        methods: ways of sampling, with distinct labels.
        gammas: strengths of guidance.
        steps: numbers of steps.
        seeds: of the draws.
        budgets: of forwards a row, for adaptive methods, which are then drawn at the most steps
            alone; empty for each method's own budget.
        speed: settings that change nothing but speed (batch size, device), and the number format.
    """

    objective: Objective
    methods: tuple[Method, ...]
    gammas: tuple[float, ...]
    steps: tuple[int, ...]
    seeds: tuple[int, ...] = (0,)
    budgets: tuple[int, ...] = ()
    speed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the axes.

        Raises:
            MolgenError: if one is empty, or two methods have one label.
        """
        for name in ("methods", "gammas", "steps", "seeds"):
            if not getattr(self, name):
                raise MolgenError(f"{name} is empty, expected at least one")
        labels = [method.label for method in self.methods]
        twice = {label for label in labels if labels.count(label) > 1}
        if twice:
            raise MolgenError(
                f"methods has the label {twice.pop()} twice, expected distinct labels"
            )
        if self.budgets and not any(method.adaptive for method in self.methods):
            raise MolgenError(
                f"budgets is {self.budgets}, expected none without a method that has adapt=..."
            )

    def cells(self) -> list[tuple[Method, Run]]:
        """Return every run and its method, in the order of drawing."""
        return [
            (method, Run(dataclasses.asdict(method), float(gamma), steps, seed, budget))
            for seed in dict.fromkeys(self.seeds)
            for steps in sorted(set(self.steps))
            for method in self.methods
            for gamma in dict.fromkeys(self.gammas)
            for budget in self._budgets(method, steps)
        ]

    def _budgets(self, method: Method, steps: int) -> tuple[int | None, ...]:
        """Return the budgets of a method at a number of steps; there may be none."""
        if not (self.budgets and method.adaptive):
            return (None,)
        return tuple(sorted(set(self.budgets))) if steps == max(self.steps) else ()


def plan(sweep: Sweep, models: Mapping[str, Model]) -> list[Record]:
    """Return every run of a sweep, as a record without figures; nothing is drawn.

    Args:
        sweep: the request.
        models: by the names in the methods.

    Raises:
        MolgenError: if a method, a setting or a model does not fit the objective.
    """
    for method in sweep.methods:
        model = models[method.model]
        if model.training_index is None:
            raise MolgenError(
                f"method {method.label}: model {method.model} has no training-set index, which "
                "novelty needs"
            )
        settings = settings_for(model, method, sweep.gammas[0], sweep.steps[0], **sweep.speed)
        try:
            model.check(guided_targets(sweep.objective, method), settings)
        except ValueError as error:
            raise MolgenError(f"method {method.label}: {error}") from error
    records = []
    for method, run in sweep.cells():
        model = models[method.model]
        settings = settings_at(model, method, run, **sweep.speed)
        records.append(Record(sweep.objective, run, origin(model, settings), {}))
    return records


def guided_targets(objective: Objective, method: Method) -> dict[str, Target]:
    """Return the targets that guide the draws of a method."""
    guided = objective.target and method.guided
    return read_targets({objective.property: objective.target}) if guided else {}


def origin(model: Model, settings: Settings) -> dict[str, Any]:
    """Return what a draw depends on beside objective and method; its speed is no part of that."""
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
    joint = {} if settings.joint == "none" else {"joint digest": digest(folder / JOINT)}
    return {
        **joint,
        "model digest": digest(folder),
        "guide digest": classifier,
        **_shaped(settings.shaping),
        "dtype": settings.dtype,
        "molgen": __version__,
        "rdkit": rdkit.__version__,
    }


@cache
def digest(folder: Path) -> str:
    """Return a digest of a network's files, independent of the folder's name.

    The model card and ``molgen.json`` are left out: settings are compared one by one. Files enter
    under their former names, so that digests of earlier stores stay valid.
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
    """Return the shaping of a draw; options added later are left out at their defaults."""
    values = dataclasses.asdict(shaping)
    return {
        k: v for k, v in values.items() if k in ("temperature", "top_p") or v != SHAPING[k].default
    }


def settings_for(
    model: Model, method: Method, gamma: float, steps: int, **changes: Any
) -> Settings:
    """Return the settings of a run: the only place where a method's words become objects.

    Settings that are no part of a method are as the model recommends.

    Args:
        model: of the method.
        method: the words.
        gamma: strength of the guidance.
        steps: of the plan.
        **changes: further settings; of speed (batch size, device, number format) as a rule.

    Raises:
        MolgenError: naming the method and the word that cannot be read.
    """
    wanted = {key: getattr(method, key) for key in (*METHOD, *SHAPING)}
    if not method.guided:
        del wanted["guidance"]
    try:
        for key, text in wanted.items():
            if text != OWN:
                changes[OPTIONS[key].name] = OPTIONS[key].read(text)
        return model.settings(gamma=gamma, steps=steps, **changes)
    except ValueError as error:
        raise MolgenError(f"method {method.label}: {error}") from error


def settings_at(model: Model, method: Method, run: Run, **changes: Any) -> Settings:
    """Return the settings of a run of a sweep; see :func:`settings_for`."""
    settings = settings_for(model, method, run.gamma, run.steps, **changes)
    if run.budget is None or settings.adapt is None:
        return settings
    adapt = dataclasses.replace(settings.adapt, budget=run.budget)
    return dataclasses.replace(settings, adapt=adapt)


@checked
def objective_for(model: Model, name: str, target: str | None, n: int) -> Objective:
    """Return the objective of a property.

    More is better unless the target is ``min``, or a number or a range whose middle lies below the
    data's mean. The default target is the top tenth of the data.

    Args:
        model: source of the data's mean and, for the default, its extremes.
        name: of the property.
        target: ``max``, ``min``, a number, ``LO..HI``, ``none`` for unguided draws, or None for
            the default.
        n: rows a run.

    Raises:
        MolgenError: if the model is not conditioned on the property, it cannot be computed, or the
            target cannot be read.
    """
    from property_models import get

    model.check_computable([name], "a comparison")
    model.prior.check({name: "max"})
    mean = model.prior.mean[name]
    words = top_tenth(model, name) if target is None else target.strip()
    if words == "none":
        return Objective(name, "", n, mean, -1 if get(name).direction == "min" else 1)
    try:
        wanted = parse_target(words)
    except ValueError as error:
        raise MolgenError(f"target {name}: {error}") from error
    if isinstance(wanted, str):
        sign = 1 if wanted == "max" else -1
    else:
        sign = -1 if sum(ends(wanted)) / 2 < mean else 1
    return Objective(name, words, n, mean, sign)


def top_tenth(model: Model, name: str) -> str:
    """Return the range of the best tenth of the training data, or of the nearest share below it.

    This is the condition of Schiff et al., "Simple guidance mechanisms for discrete diffusion
    models" (2025): beyond the 90th percentile. For whole numbers it is strictly beyond, so less
    than a tenth: four rings and more in QM9.
    """
    from property_models import get

    sign = -1 if get(name).direction == "min" else 1
    column = model.prior.values[:, model.prior.properties.index(name)]
    present = ~np.isnan(column)
    levels, level = np.unique(sign * column[present], return_inverse=True)
    weight = np.bincount(level, model.prior.weight[present])
    share = np.cumsum(weight[::-1])[::-1] / weight.sum()  # of the data at this level or beyond
    within = np.flatnonzero(share <= TOP)
    low, high = levels[within[0] if len(within) else -1], levels[-1]
    return f"{low:g}..{high:g}" if sign == 1 else f"{-high:g}..{-low:g}"

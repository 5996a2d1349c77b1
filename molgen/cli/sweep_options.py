"""Options and steps that commands share which sweep samplers over strengths, steps and seeds."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from molgen.arm import Arm
    from molgen.model import Model
    from molgen.sweep_plan import Sweep
    from molgen.sweep_store import Point, Record, Store

REMASKING = "rescale:eta=.1"  # where a model recommends none
LOOP, LOOP_WEIGHTS = "loop:t_on=.55,t_off=.05,eta=.05", "sharpened:tau=1"
BASELINES = ("ar", "udlm")  # bundled as MODEL-ar, MODEL-udlm
LABELS = {"none": "AR", "uniform": "UDLM"}  # of a baseline, by the noise it was trained on
MOST_AXIS = 100  # values of one axis


def add_arguments(parser: argparse.ArgumentParser, gammas: str, steps: str) -> None:
    """Add what every sweep needs.

    Args:
        parser: of the command.
        gammas: the strengths it sweeps by default.
        steps: likewise.
    """
    options.add_model(parser)
    add = parser.add_argument
    add("--property", required=True, metavar="PROP", help="what the chart is about")
    add("--out", required=True, metavar="DIR", help="folder to write to; made if missing")
    add(
        "--target", metavar="VALUE",
        help="what is asked of the property: max, min, a number, LO..HI, or none for unguided "
        "draws; also as PROP=VALUE (default: the best tenth of the training data)",
    )  # fmt: skip
    add(
        "--gamma", type=numbers, default=gammas, metavar="G,...", help=f"strengths ({gammas})"
    )  # fmt: skip
    add("--steps", type=counts, default=steps, metavar="T,...", help=f"of the plans ({steps})")
    add("--seeds", type=wholes, default="0,1,2", metavar="S,...", help="of the draws (0,1,2)")
    add("--n", type=options.positive, default=1024, metavar="N", help="rows a point (1024)")
    add(
        "--arm", action="append", default=[], metavar="WORDS",
        help="a way of sampling, 'LABEL; remask=...; weights=...; guidance=...; model=...'; may be "
        "repeated; replaces the default arms",
    )  # fmt: skip
    add(
        "--baseline", action="append", default=[], metavar="NAME",
        help="a further model as an arm of its own, without remasking; may be repeated",
    )  # fmt: skip
    add("--batch-size", type=options.positive, metavar="B", help="rows in flight; speed only")
    options.add_device(parser)


def numbers(text: str) -> tuple[float, ...]:
    """Read finite numbers with commas between them."""
    return _axis(text, float, "finite numbers", math.isfinite)


def counts(text: str) -> tuple[int, ...]:
    """Read whole numbers of at least 1 with commas between them."""
    within = f"whole numbers from 1 to {options.MOST}"
    return _axis(text, int, within, lambda value: 1 <= value <= options.MOST)


def wholes(text: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them."""
    return _axis(text, int, "whole numbers", lambda value: abs(value) < 2**62)


def _axis(
    text: str, kind: Callable[[str], Any], what: str, fits: Callable[[Any], bool]
) -> tuple[Any, ...]:
    try:
        values = tuple(kind(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or len(values) > MOST_AXIS or not all(map(fits, values)):
        raise argparse.ArgumentTypeError(
            f"expected {what} with commas between them ({MOST_AXIS} at most), got {text[:40]!r}"
        )
    return tuple(dict.fromkeys(values))


def out_folder(text: str) -> Path:
    """Return the folder to write to, which need not be there yet.

    Raises:
        ValueError: if it is a file, or cannot be made.
    """
    import os

    path = Path(text)
    parent = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not parent.is_dir():
        raise ValueError(f"cannot write into {text!r}: {str(parent)!r} is a file, not a folder")
    if not os.access(parent, os.W_OK):
        raise ValueError(f"cannot write into {text!r}: no permission for {str(parent)!r}")
    return path


def prepare(arguments: argparse.Namespace) -> tuple[Sweep, dict[str, Model]]:
    """Return the sweep that was asked for and its models, loaded once each.

    Raises:
        ValueError: if something asked is out of line.
    """
    from molgen import checkpoint
    from molgen.arm import Arm
    from molgen.sweep_plan import Sweep
    from molgen.sweep_task import task_for
    from property_models import get

    get(arguments.property)
    given = [Arm.parse(text, arguments.model) for text in arguments.arm]
    models = {arguments.model: checkpoint.load(arguments.model)}
    base = models[arguments.model]
    arms = given or default_arms(base)
    names = list(arguments.baseline) if given else baselines(arguments.model, arguments.baseline)
    for name in [*(arm.model for arm in given), *names]:
        models[name] = models.get(name) or checkpoint.load(name)
    arms = [*arms, *(arm for name in names for arm in baseline_arms(models[name]))]
    task = task_for(base, arguments.property, _target(arguments), arguments.n)
    named = {name: getattr(arguments, name) for name in ("batch_size", "device", "dtype")}
    speed = {name: value for name, value in named.items() if value is not None}
    if arguments.device:
        options.check_device(arguments.device)
    axes = arguments.gamma, arguments.steps, arguments.seeds
    sweep = Sweep(task, tuple(arms), *axes, getattr(arguments, "budgets", ()), speed)
    return sweep, models


def _target(arguments: argparse.Namespace) -> str | None:
    """Return the target's words; ``PROP=VALUE`` may name no other property."""
    text = arguments.target
    if text is None or "=" not in text:
        return text
    name, _, value = text.rpartition("=")
    if name.strip() != arguments.property:
        raise ValueError(f"target is {text!r}, but the property is {arguments.property}")
    return str(value)


def default_arms(model: Model) -> list[Arm]:
    """Return the arms of a model for which none were named."""
    from molgen.arm import Arm

    if noise(model) != "masked":
        return baseline_arms(model)
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
    if has_guide(model):
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


def baseline_arms(model: Model) -> list[Arm]:
    """Return a model's plainest arm, named after its kind, and the one that its guide steers."""
    from molgen.arm import Arm

    label = LABELS.get(noise(model), Path(model.name).name)
    guided = ("FUDGE", "fudge") if noise(model) == "none" else ("D-CBG", "cbg")
    arms = [Arm(label, model.name)]
    if has_guide(model):
        arms.append(Arm(f"{label} {guided[0]}", model.name, guidance=guided[1]))
    return arms


def has_guide(model: Model) -> bool:
    """Return whether a model brings a guide along."""
    from molgen.checkpoint import GUIDE

    return model.folder is not None and (model.folder / GUIDE / "config.json").is_file()


def noise(model: Model) -> str:
    """Return what a network was trained to undo: masked, uniform, or none (autoregressive)."""
    from molgen.likelihood import noise_of

    return str(noise_of(model.denoiser))


def finished(store: Store, arguments: argparse.Namespace) -> list[Record]:
    """Return the points that a folder holds, for charts without a sweep.

    Raises:
        ValueError: if there are none, or they are of another property.
    """
    records = store.records()
    if not records:
        raise ValueError(f"{str(store.folder)!r} holds no finished points to chart")
    if records[0].task.property != arguments.property:
        raise ValueError(
            f"property is {arguments.property}, but {str(store.folder)!r} holds points of "
            f"{records[0].task.property}"
        )
    return records


def carry_out(
    sweep: Sweep,
    models: dict[str, Model],
    folder: Path,
    keep: Callable[[list[Record]], None],
) -> list[Record]:
    """Draw what is missing, with a bar; return all points of the folder.

    Args:
        sweep: what is asked.
        models: by name.
        folder: of the sweep.
        keep: writes a table of the finished points; called whenever there is one more.
    """
    from molgen import sweep as sweeps
    from molgen.sweep_plan import plan
    from molgen.sweep_store import Store

    bar, store = Bar(sweep.task.n), Store(folder)

    def end(record: Record) -> None:
        bar.end(record)
        keep(store.records())

    try:
        progress = sweeps.Progress(bar.start, bar.begin, bar.rows, end)
        return sweeps.run(sweep, models, folder, progress)
    except KeyboardInterrupt:
        stored = store.records()
        if bar.total and stored:
            keep(stored)  # one more, perhaps, than the table tells of
            wanted = {record.name for record in plan(sweep, models)}
            count = sum(record.name in wanted for record in stored)
            print(
                f"{count} of {len(wanted)} points are finished; the same command goes on",
                file=sys.stderr,
            )
        raise
    finally:
        bar.close()


class Bar:
    """A bar over the rows of all points, so that the time left is known early."""

    def __init__(self, n: int) -> None:
        self.n, self.total, self.finished = n, 0, 0
        self._bar: Any = None

    def start(self, total: int, finished: int) -> None:
        """Begin, with what was finished before."""
        from tqdm import tqdm

        self.total, self.finished = total, finished
        self._bar = tqdm(total=(total - finished) * self.n, unit="row", disable=None)

    def begin(self, point: Point) -> None:
        """Say which point is being drawn."""
        self._bar.set_description(f"{self.finished + 1}/{self.total} {point}")

    def rows(self, count: int) -> None:
        """Count rows that have ended."""
        self._bar.update(count)

    def end(self, record: Record) -> None:
        """Say what the last point cost."""
        self.finished += 1
        nfe = record.figures["nfe"] + record.figures["classifier_nfe"]
        self._bar.set_postfix_str(f"{nfe:.1f} forwards a row")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table of figures, rounded to what seven digits can tell."""
    from molgen.files import replacing

    marks = [name for name in table if table[name].dtype == bool]
    words = {True: "true", False: "false"}
    text = table.assign(**{name: table[name].map(words) for name in marks})
    with replacing(path) as temporary:
        text.to_csv(temporary, index=False, lineterminator="\n", float_format="%.7g")

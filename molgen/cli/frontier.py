r"""Chart novelty against a property: methods by strengths, steps and seeds, in one command.

Writes frontier.csv (every run, by both conventions), hypervolume.csv, ratios.csv, frontier.png and
frontier.html (works offline; hover over a point for molecules, click to list them) into a folder,
and the molecules of every run. After an interruption the same command continues; a command with
other methods, strengths, steps or seeds adds to the folder.

A method is written 'LABEL; KEY=VALUE; ...' with the keys model, remask, weights, guidance, context,
corrector, order, grammar, adapt and temperature, each as for `molgen sample`. By default: plain
masked diffusion (MDLM), remasking (ReMDM) as the model recommends, at every step and in a loop, the
forward-backward and flow correctors, and the bundled autoregressive baseline MODEL-ar; with
classifier-free guidance and, where a model has a noisy classifier, by classifier (D-CBG, FUDGE).
The default target is the best tenth of the data.

--quick draws a small frontier, in about two minutes on two cores: plain diffusion, remasking and
the baseline at three strengths. --samples charts a file of another generator's molecules beside
the methods, all of its rows counted as they are.

Example:
  molgen frontier qm9 --quick
  molgen frontier qm9 --property ring_count --out out/rings
  molgen frontier qm9 --quick --samples RNN=rnn.smi --samples 'GA=ga.csv:generation'
  molgen frontier qm9 --property qed --target max --gamma 1,3 --steps 32 --seeds 0 --n 256 \
      --method MDLM --method 'ReMDM; remask=rescale:eta=.1; weights=sharpened' --out out/qed
"""

from __future__ import annotations

import argparse
<<<<<<< HEAD
import sys
from collections.abc import Sequence
=======
>>>>>>> w-d
from typing import TYPE_CHECKING

from molgen.cli import inputs, sweep_progress
from molgen.cli import sweep_options as sweeping
<<<<<<< HEAD
from molgen.errors import MolgenError
=======
>>>>>>> w-d

if TYPE_CHECKING:
    import pandas as pd

<<<<<<< HEAD
    from molgen.frontiers.objective import Objective
    from molgen.frontiers.samples import SampleFile, Samples

CONVENTIONS = ("paper", "strict")

=======
>>>>>>> w-d

def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    sweeping.add_arguments(parser, gammas="1,2,3,4,5", steps="32,128")
    parser.add_argument(
        "--quick", action="store_true",
        help="a small frontier, in about two minutes; options given beside it are kept",
    )  # fmt: skip
    parser.add_argument(
        "--samples", action="append", default=[], metavar="NAME=FILE",
        help="also chart the molecules of a file, as one point, or with NAME=FILE:COLUMN as one "
        "for each value of a column; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--published",
        metavar="FILE",
        help="overlay published points: a .csv with task, method, steps, gamma, novel_of_1024, "
        "property_mean, novelty_convention",
    )
    parser.add_argument(
        "--conventions",
        default="paper,strict",
        metavar="C,...",
        help="rows of the chart, from top to bottom (default: paper,strict)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Sweep and chart; return the exit status."""
    from molgen.api.frontier import frontier

<<<<<<< HEAD
    from molgen.frontiers.frontier import hypervolumes, published_table, ratios, run_table
    from molgen.frontiers.page import frontier_html, plotly_script
    from molgen.frontiers.plot import figure_class, frontier_png
    from molgen.frontiers.samples import SampleFile, beside
    from molgen.frontiers.store import Store
    from molgen.utils.files import check_folder

    conventions = chosen_conventions(arguments.conventions)
    sweeping.complete(arguments)
    files = [SampleFile.parse(text) for text in arguments.samples]
    folder = check_folder(arguments.out)
    figure_class()  # missing libraries are reported before hours of sampling
    plotly_script()
    store = Store(folder)
    order = sweeping.labels(arguments)
    if arguments.only_charts:
        records = sweeping.finished(store, arguments)
        objective = records[0].objective
        samples = read(files, arguments.model, objective, [r.run.label for r in records])
    else:
        sweep, models = sweeping.prepare(arguments)
        if arguments.published:
            published_table(arguments.published, sweep.objective)
        order = tuple(method.label for method in sweep.methods)
        objective = sweep.objective
        samples = read(files, arguments.model, objective, order)
        records = sweep_progress.execute(
            sweep, models, folder,
            lambda done: sweep_progress.write(run_table(done, order), folder / "frontier.csv"),
        )  # fmt: skip
    runs = run_table(records, order)
    volumes, published = hypervolumes(runs), None
    if arguments.published:
        published = published_table(arguments.published, objective)
        if published.empty:
            print(f"{arguments.published} has no points of {objective.property}", file=sys.stderr)
            published = None
        else:
            volumes = pd.concat([volumes, hypervolumes(published)], ignore_index=True)
    if samples:
        volumes = pd.concat([volumes, samples.volumes], ignore_index=True)
    against = ratios(volumes)
    every = beside(runs, samples) if samples else runs
    for table, name in ((every, "frontier"), (volumes, "hypervolume"), (against, "ratios")):
        sweep_progress.write(table, folder / f"{name}.csv")
    png, html = folder / "frontier.png", folder / "frontier.html"
    read_runs = samples.runs if samples else None
    frontier_png(runs, volumes, objective, png, published, conventions, read_runs)
    frontier_html(store, records, runs, volumes, html, published, conventions, samples)
    print(summary(volumes, against, conventions))
    print(f"{len(records)} runs: {png}, {html}")
=======
    given = sweeping.given(arguments)
    found = frontier(**given, published=arguments.published, conventions=arguments.conventions)
    sweeping.check_interrupted(found)
    made = found.output
    conventions = tuple(dict.fromkeys(w.strip() for w in arguments.conventions.split(",")))
    print(summary(made.hypervolumes, made.ratios, conventions))
    print(f"{len(made.records)} runs: {made.figure}, {made.figure.with_suffix('.html')}")
>>>>>>> w-d
    return 0


def read(
    files: Sequence[SampleFile], model: str, objective: Objective, labels: Sequence[str]
) -> Samples | None:
    """Return the points of files of molecules, noting on standard error what was read.

    Raises:
        MolgenError: if a file cannot be read, or has the name of a method.
    """
    from molgen.frontiers.samples import read_samples
    from molgen.utils.parallel import cores

    if not files:
        return None
    for file in files:
        if file.name in labels:
            raise MolgenError(f"samples has the name {file.name!r} of a method, expected another")
    index, _ = inputs.training_index(model)
    samples = read_samples(files, objective, index, cores())
    inputs.note(samples.notes)
    return samples


def summary(volumes: pd.DataFrame, against: pd.DataFrame, conventions: tuple[str, ...]) -> str:
    """Return the hypervolumes, and their ratios to the first method's, as text."""
    from molgen.frontiers.frontier import OURS, SAMPLES

    ours = volumes[volumes["source"] == OURS]
    if ours.empty:
        return "no runs"
    first = ours["arm"].iloc[0]
    lines = []
    for convention in conventions:
        chosen = ours[ours["convention"] == convention].sort_values("steps", kind="stable")
        for row in chosen.itertuples():
            spread = "" if row.seeds < 2 else f" ± {row.sd:.3f}"
            line = f"{convention:>6}, T = {row.steps:g}: {row.arm}: {row.hypervolume:.3f}{spread}"
            same = (against["arm"] == row.arm) & (against["over"] == first)
            same &= (against["steps"] == row.steps) & (against["convention"] == convention)
            for pair in against[same].itertuples():
                if pair.ratio == pair.ratio:  # NaN: the first method has none
                    line += f", {pair.ratio:.2f} of {first}'s"
                    line += ", seeds apart" if pair.apart else ""
            lines.append(line)
        for row in volumes[
            (volumes["source"] == SAMPLES) & (volumes["convention"] == convention)
        ].itertuples():
            lines.append(f"{convention:>6}, {row.arm} (file): {row.hypervolume:.3f}")
    return "\n".join(["hypervolume (fraction novel x gain):", *lines])

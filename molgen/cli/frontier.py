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
from typing import TYPE_CHECKING

from molgen.cli import sweep_options as sweeping

if TYPE_CHECKING:
    import pandas as pd


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

    names = ("quick", "samples", "published", "conventions")
    given = sweeping.given(arguments) | {name: getattr(arguments, name) for name in names}
    found = frontier(**given)
    sweeping.check_interrupted(found)
    made = found.output
    conventions = tuple(dict.fromkeys(w.strip() for w in arguments.conventions.split(",")))
    print(summary(made.hypervolumes, made.ratios, conventions))
    print(f"{len(made.records)} runs: {made.figure}, {made.figure.with_suffix('.html')}")
    return 0


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

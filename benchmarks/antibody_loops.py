"""Antibody loops redrawn by a pretrained model, with and without remasking, at equal forwards.

    .venv/bin/python benchmarks/antibody_loops.py out/antiberty ../shared/datasets/antibodies.csv
    .venv/bin/python benchmarks/antibody_loops.py --plot docs/figures/antibody_loops.png

The model is a folder of ``antibody_model.py``; the table has the columns ``heavy`` and ``loop_h3``,
a heavy chain and its third loop. The loop is masked and drawn, the rest of the chain is given. For
each method, budget and seed, the means over all rows are:

- *pll*: pseudo-log-likelihood of a residue of the loop, ``mean_l log p(x_l | all others)``, in
  nats, by the same model, each residue masked in a forward of its own;
- *diversity*: share of residues that differ between two draws of one chain, over all pairs;
- *distinct*: distinct loops among the draws of a chain;
- *recovery*: share of residues equal to those of the antibody.

The steps of a plan are chosen so that the expected number of forwards is nearest the budget:
``sum_t 1 - (1 - (1 - alpha_t) r_t)^L`` of a loop of ``L`` residues, where ``r_t`` is the reveal
rate, since a forward is needed only in steps that place a residue. Without remasking it is at most
``L``. The table has a row for each method, budget and seed that it lacks; existing ones are kept.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import molgen
from molgen.data.tokenizer import padded
from molgen.diffusion.plan import Plan
from molgen.guidance.conditional_denoiser import MicroBatchedDenoiser
from molgen.guidance.predictor import NetworkPredictor
from molgen.sampling.sequence_model import SequenceModel
from molgen.sampling.words import strategy
from molgen.utils.files import replacing
from molgen.utils.threads import workers

COLUMNS = (
    *("method", "budget", "seed", "rows", "forwards", "pll", "diversity", "distinct", "recovery"),
    "seconds",
)
MOST_STEPS = 128
NATIVE = "antibodies"


@dataclass(frozen=True)
class Method:
    """A method of the comparison.

    Attributes:
        settings: of sampling.
        share: of the budget that the first draw has; the rest is for retries.
        cost: forwards in parts of those expected with uniform remasking. Weights remask fewer
            tokens than a plan allows, so that at equal forwards there are more steps.
    """

    settings: dict[str, Any]
    share: float = 1.0
    cost: float = 1.0


METHODS = {
    "ancestral": Method({}),
    "remdm": Method({"remask": "rescale:eta=.5"}),
    "retries": Method({"adapt": "remask:share=.3,by=psi,tau=.1,until=valid"}, 0.5),
    "ancestral, temperature .7": Method({"temperature": 0.7}),
    "ancestral, temperature .6": Method({"temperature": 0.6}),
    "ancestral, temperature .5": Method({"temperature": 0.5}),
    "remdm, confidence": Method(
        {"remask": "rescale:eta=.5", "remask_weights": "confidence"}, cost=0.73
    ),
    "random retries": Method({"adapt": "remask:share=.3,by=random,until=valid"}, 0.5),
}


@dataclass(frozen=True)
class Loop:
    """A chain with its loop.

    Attributes:
        chain: residues of the heavy chain.
        start: of the loop.
        end: behind it.
    """

    chain: str
    start: int
    end: int

    @property
    def residues(self) -> str:
        """The loop of the antibody."""
        return self.chain[self.start : self.end]

    @property
    def template(self) -> str:
        """The chain with its loop masked."""
        masks = f"[MASK*{self.end - self.start}]"
        return self.chain[: self.start] + masks + self.chain[self.end :]


def read(path: Path) -> list[Loop]:
    """Return the chains of a table."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    starts = [row["heavy"].index(row["loop_h3"]) for row in rows]
    pairs = zip(rows, starts, strict=True)
    return [Loop(row["heavy"], at, at + len(row["loop_h3"])) for row, at in pairs]


def expected_forwards(plan: Plan, length: int) -> float:
    """Return the expected forwards of a row with uniform remasking."""
    masked = 1 - plan.alpha_t
    # what is placed in a step: newly, and in place of what was remasked in it
    change = plan.alpha_s - (1 - plan.sigma) * plan.alpha_t
    rate = np.divide(change, masked, out=np.zeros_like(change), where=masked > 0)
    return float((1 - (1 - masked * rate) ** length).sum())


def steps_for(budget: float, remask: str, lengths: list[int]) -> int:
    """Return the number of steps whose expected forwards are nearest a budget."""
    tried = range(1, MOST_STEPS + 1)
    plans = [strategy(remask).plan(steps) for steps in tried]
    cost = [np.mean([expected_forwards(plan, length) for length in lengths]) for plan in plans]
    return 1 + int(np.abs(np.array(cost) - budget).argmin())


def pseudo_log_likelihood(model: SequenceModel, chains: list[str], loops: list[Loop]) -> Any:
    """Return the mean over each chain's loop, shape (chains,), in nats."""
    rows, wanted, owner, answers = [], [], [], []
    for i, (chain, loop) in enumerate(zip(chains, loops, strict=True)):
        ids = model.tokenizer.encode(chain)
        for position in range(loop.start + 1, loop.end + 1):  # [CLS] is first
            rows.append([*ids[:position], model.tokenizer.mask_id, *ids[position + 1 :]])
            wanted.append(position)
            owner.append(i)
            answers.append(ids[position])
    tokens = padded(rows, model.tokenizer.pad_id)
    here = np.arange(tokens.shape[1]) == np.array(wanted)[:, None]
    with workers() as pool:
        predictor = NetworkPredictor(MicroBatchedDenoiser(model.denoiser), pool)
        p = predictor(tokens, here, None, np.zeros(len(rows))).p
    log_p = np.log(p[np.arange(len(rows)), answers])
    return np.bincount(owner, log_p) / np.bincount(owner)


def measured(model: SequenceModel, chains: list[str], loops: list[Loop]) -> dict[str, float]:
    """Return the measurements of drawn chains, row ``i`` of loop ``i mod k``."""
    k = len(loops)
    each = [loops[i % k] for i in range(len(chains))]
    drawn = [chain[loop.start : loop.end] for chain, loop in zip(chains, each, strict=True)]
    pairs = [pair for i in range(k) for pair in combinations(drawn[i::k], 2)]
    equal = [_equal(a, b) for a, b in pairs]
    return {
        "pll": float(pseudo_log_likelihood(model, chains, each).mean()),
        "diversity": 1 - float(np.mean(equal)) if equal else float("nan"),
        "distinct": float(np.mean([len(set(drawn[i::k])) for i in range(k)])),
        "recovery": float(
            np.mean([_equal(a, b.residues) for a, b in zip(drawn, each, strict=True)])
        ),
    }


def _equal(a: str, b: str) -> float:
    return sum(x == y for x, y in zip(a, b, strict=True)) / len(a)


def draw(
    model: SequenceModel, loops: list[Loop], method: Method, budget: int, n: int, seed: int
) -> Any:
    """Draw ``n`` rows of each loop."""
    settings, lengths = dict(method.settings), [len(loop.residues) for loop in loops]
    remask = settings.get("remask", "ancestral")
    settings["steps"] = steps_for(budget * method.share / method.cost, remask, lengths)
    check = None
    if "adapt" in settings:  # no text is good enough, so that every row has the whole budget
        settings["adapt"] += f",budget={budget}"
        check = lambda text: False  # noqa: E731
    templates = [loop.template for loop in loops]
    return model.sample(n, templates, seed=seed, check=check, progress=False, **settings)


def compare(options: argparse.Namespace) -> None:
    """Draw and measure what the table lacks."""
    model, loops = molgen.denoiser_from(options.model), read(options.data)
    rows: list[dict[str, Any]] = []
    if options.out.exists():
        rows = pd.read_csv(options.out).to_dict("records")
    done = {(row["method"], row["budget"], row["seed"]) for row in rows}

    def add(method: str, budget: int, seed: int, **values: Any) -> None:
        rows.append({"method": method, "budget": budget, "seed": seed, **values})
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(options.out) as part:
            pd.DataFrame(rows, columns=COLUMNS).round(4).to_csv(part, index=False)
        print(rows[-1], flush=True)

    if (NATIVE, 0, 0) not in done:
        found = measured(model, [loop.chain for loop in loops], loops)
        add(NATIVE, 0, 0, rows=len(loops), forwards=0, seconds=0, **found)
    for budget in options.budgets:
        for name in options.methods:
            for seed in options.seeds:
                if (name, budget, seed) in done:
                    continue
                start = time.perf_counter()
                result = draw(model, loops, METHODS[name], budget, options.n, seed)
                seconds = time.perf_counter() - start
                found = measured(model, result["raw"].tolist(), loops)
                forwards = float(result["nfe"].mean())
                add(
                    name,
                    budget,
                    seed,
                    rows=len(result),
                    forwards=forwards,
                    seconds=seconds,
                    **found,
                )


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return means and standard deviations over seeds."""
    names = ["forwards", "pll", "diversity", "distinct", "recovery", "seconds"]
    grouped = table.groupby(["method", "budget"], sort=False)[names]
    return grouped.mean().join(grouped.std().add_suffix(" sd"))


def markdown(table: pd.DataFrame) -> str:
    """Return the means over seeds, with standard deviations, as a table of a document."""
    names = ["pll", "diversity", "distinct", "recovery"]
    lines = [f"| method | rows | forwards | {' | '.join(names)} |", f"|{'---|' * (len(names) + 3)}"]
    rows = table.groupby(["method", "budget"], sort=False)["rows"].sum()
    for key, means in summary(table).iterrows():
        method = key[0] if isinstance(key, tuple) else key
        cells = [
            f"{means[name]:.2f} ± {means[f'{name} sd']:.2f}".replace("nan", "-") for name in names
        ]
        lines.append(f"| {method} | {rows[key]} | {means['forwards']:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(table: pd.DataFrame, path: Path) -> None:
    """Draw pseudo-log-likelihood, diversity and recovery against forwards."""
    import matplotlib.pyplot as plt

    from molgen.utils.figures import save_figure

    native = table[table["method"] == NATIVE]
    found = summary(table[table["method"] != NATIVE].sort_values("budget", kind="stable"))
    figure, axes = plt.subplots(1, 4, figsize=(15, 4.4), layout="constrained")
    panels: tuple[tuple[str, str, str], ...] = (
        ("forwards", "pll", "pseudo-log-likelihood a residue (nats)"),
        ("forwards", "diversity", "differing residues between draws"),
        ("forwards", "recovery", "residues equal to the antibody's"),
        ("diversity", "pll", "pseudo-log-likelihood a residue (nats)"),
    )
    for axis, (x, y, label) in zip(axes, panels, strict=True):
        for name, rows in found.groupby(level="method", sort=False):
            axis.errorbar(
                rows[x], rows[y], yerr=rows[f"{y} sd"], marker="o", capsize=2, label=str(name)
            )
        if x == "diversity":  # what likelihood costs when it is bought by temperature alone
            colder = found[[name.startswith("ancestral") for name, _ in found.index]]
            colder = colder.xs(16, level="budget").sort_values(x)
            axis.plot(colder[x], colder[y], color="grey", ls="--", zorder=0)
        if y == "pll":
            axis.axhline(float(native["pll"].iloc[0]), color="grey", ls=":", label="the antibodies")
        axis.set_xlabel("forwards a row" if x == "forwards" else "differing residues between draws")
        axis.set_title(label, fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    save_figure(figure, path)


def main() -> None:
    """Compare, or draw the figure of a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path, help="a folder of antibody_model.py")
    parser.add_argument("data", nargs="?", type=Path, help="a table of chains and loops")
    parser.add_argument("--n", type=int, default=8, help="draws of each chain")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budgets", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks/antibody_loops.csv"))
    parser.add_argument("--plot", type=Path, help="draw the figure of the table, too")
    options = parser.parse_args()
    if options.model is not None:
        compare(options)
    table = pd.read_csv(options.out)
    print(markdown(table))
    if options.plot is not None:
        plot(table, options.plot)


if __name__ == "__main__":
    main()

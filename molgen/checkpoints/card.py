"""The model card: what a model is, in prose and numbers, written from ``molgen.json`` alone.

Numbers that are measured later are added to ``molgen.json``, and :func:`rewrite` brings the card up
to date: ``measured.held_out`` by training, ``measured.fine_tuning`` by
:mod:`molgen.training.fine_tuning`, ``measured.sampling`` (a list of rows, any columns) by whoever
samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molgen.checkpoints.card_numbers import fine_tuning, numbers, presets
from molgen.checkpoints.folder import read_info
from molgen.utils.files import replacing

TOP = """---
library_name: molgen
tags: [chemistry, molecules, discrete-diffusion, {representation}]
---
# {name}

{summary}. {what}

```python
import molgen

model = molgen.load("{name}")  # a bundled name, this folder, or its hub id
table = model.sample(100{targets})
```

Every row is one draw: invalid molecules stay, with the reason, and all rates are over all rows."""

BOTTOM = """## Limits

The model writes what resembles its training data: other elements, sizes and charges are out of its
reach. A valid string is not a molecule that can be made, bought or handled safely, and computed
properties are not measurements. Novelty is relative to the training data, the held-out part
included; it says nothing about patents or the literature. The terms of the training data apply.

## Files

`config.json`, `model.safetensors` (bfloat16): the network, for `transformers`. `tokenizer.json`,
`tokenizer_config.json`: a Hugging Face fast tokenizer. `prior.safetensors`: lengths and property
values of training molecules, from which targets are drawn. `known.safetensors`: keys of the
canonical SMILES of all molecules given to training, {probes} of them spelled out, for novelty
without the data. `guide/`, where there is one: a small network that has learned what noised rows
will turn out to be, for guidance by classifier. `molgen.json`: everything said here, for
programs."""

PROBES = 32  # what molgen.molecules.training_index spells out


@dataclass(frozen=True)
class Kind:
    """What a card says of networks of one noise."""

    what: str
    """A sentence on the model, its representation as ``{text}``."""
    transformer: str
    """What kind of transformer it is."""
    rows: str
    """How a training row is made."""
    measure: str
    """What its held-out likelihood is: a bound or a value."""


KINDS = {
    "masked": Kind(
        "A masked diffusion model over {text}; every token it has placed can be masked\n"
        "and written again (remasking), and guidance steers it towards properties.",
        "A bidirectional transformer",
        "an exact number of tokens masked in each",
        "at most",
    ),
    "uniform": Kind(
        "A diffusion model over {text} under uniform noise (UDLM); every token can\n"
        "change until the end, and guidance steers it towards properties.",
        "A bidirectional transformer that is told the time",
        "tokens replaced by random ones at a rate drawn for each",
        "at most",
    ),
    "none": Kind(
        "An autoregressive model over {text}; it writes from left to right, and\n"
        "guidance steers it towards properties (D-CFG, FUDGE).",
        "A causal transformer",
        "every next token predicted in each",
        "exactly",
    ),
}


def card(name: str, info: Mapping[str, Any]) -> str:
    """Return the text of a model card.

    Args:
        name: of the model.
        info: what ``molgen.json`` holds.
    """
    properties = list(info.get("properties", []))
    representation = str(info.get("representation", "smiles"))
    top = TOP.format(
        name=name,
        representation=representation,
        summary=str(info.get("summary", "A model of molecules")).rstrip("."),
        what=kind(info).what.format(text=representation.upper()),
        targets=', targets={"qed": "max"}' if "qed" in properties else "",
    )
    tuned: Mapping[str, Any] = info.get("measured", {}).get("fine_tuning") or {}
    parts = [top, _data(info), _recipe(info), numbers(info, kind(info).measure), presets(info)]
    parts += [fine_tuning(tuned) if tuned else "", BOTTOM.format(probes=PROBES)]
    return "\n\n".join(part for part in parts if part) + "\n"


def kind(info: Mapping[str, Any]) -> Kind:
    """Return what to say of a model's noise; a model that does not name one is masked."""
    return KINDS[info.get("network", {}).get("noise", "masked")]


def rewrite(folder: str | Path, name: str = "") -> None:
    """Write the card of a checkpoint again from its ``molgen.json``.

    Raises:
        ValueError: if the folder is no checkpoint.
        OSError: if the card cannot be written.
    """
    folder = Path(folder)
    text = card(name or folder.resolve().name, read_info(folder))
    with replacing(folder / "README.md") as part:
        part.write_text(text, encoding="utf-8")


def _data(info: Mapping[str, Any]) -> str:
    """Return what it was trained on."""
    data: Mapping[str, Any] = info.get("data", {})
    if not data:
        return ""
    lines = [
        "## Data",
        "",
        f"{data['source']}: {data['molecules']:,} distinct molecules, "
        f"{data['training']:,} to train on and {data['held_out']:,} held out (drawn at random, "
        f"seed {info['seeds']['split']}); {data['mean_tokens']:.1f} tokens on average and "
        f"{data['longest']} at most, a vocabulary of {data['vocabulary']}.",
    ]
    left = {k: v for k, v in data.get("left_out", {}).items() if v}
    if left:
        lines.append(
            "Rows left out: " + ", ".join(f"{n:,} {name}" for name, n in left.items()) + "."
        )
    if info.get("init"):
        lines.append(
            f"Training went on from the weights of `{info['init']}`, whose vocabulary, properties, "
            "defaults of sampling and known molecules it took over."
        )
    sources: Mapping[str, str] = data.get("property_sources", {})
    known = [f"`{p}`" + (f" ({sources[p]})" if p in sources else "") for p in info["properties"]]
    lines.append("Conditioned on " + (", ".join(known) if known else "nothing") + ".")
    return "\n".join(lines)


def _recipe(info: Mapping[str, Any]) -> str:
    """Return how it was trained."""
    recipe: Mapping[str, Any] = info.get("recipe", {})
    if not recipe:
        return ""
    c, about = info["network"], kind(info)
    how = "Muon on the block matrices, AdamW on the rest" if recipe["muon"] else "AdamW"
    mends = (
        "In a second forward of every step it learned to mend and to judge its own draws."
        if recipe.get("self_correct")
        else ""
    )
    stopping: Mapping[str, Any] = info.get("stopping") or {}
    planned = stopping.get("planned_steps", info["steps"])
    ended = (
        f"Of {planned:,} steps planned; the weights are those of step {stopping['best_step']:,} "
        f"(epoch {stopping['best_epoch']:.3g}), the best on the held-out part."
        if stopping
        else ""
    )
    dropped, falling = 100 * recipe["drop_all"], 100 * recipe["decay_fraction"]
    products = info["measured"]["held_out"]["matrix_products"]
    text = f"""{about.transformer} of {info["parameters"]:,} parameters
        ({c["num_layers"]} layers, width {c["hidden_size"]}, {c["num_heads"]} heads).
        {info["steps"]:,} steps of {recipe["batch_size"]} molecules ({info["epochs"]:.3g} epochs):
        {about.rows}, {how}, learning rate {recipe["peak_rate"]:g} with
        a rise of {min(recipe["warmup"], planned // 10)} steps and a linear fall to zero over
        the last {falling:.0f} % of the run; the weights are a moving average
        ({recipe["ema_decay"]:g}). {ended} {mends}
        All properties are left out in {dropped:.0f} % of rows, otherwise each on its own coin.
        Seed {info["seeds"]["training"]}, matrix products in
        {products} on {recipe["device"]}. {info.get("note", "")}"""
    return f"## Recipe\n\n{' '.join(text.split())}"

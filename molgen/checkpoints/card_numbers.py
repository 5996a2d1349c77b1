"""What a model card says was measured: likelihood, draws, presets, fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WHEN = ("before", "after")
DATA = "original's data, held out"  # what forgetting is measured on where it is at hand, else:
DRAWN = "drawn by the original"
NO_DATA = """The data of the original are not at hand: what it knew is told by the distinct valid
molecules among its own draws, which it finds likelier than its data; the change is what counts."""
DRAWS = {
    "valid": "valid",
    "unique": "unique",
    "novel": "novel to both",
    "in_training": "in the series, trained on",
    "in_held_out": "in the series, held out",
    "in_original": "known to the original",
}
SAID_WHEN = ", which also said when to stop"
USUAL = {"remask": "ancestral", "weights": "uniform", "guidance": "cfg", "temperature": 1.0}
NEAREST = "likeness to the nearest of the series (Tanimoto)"


def numbers(info: Mapping[str, Any], measure: str) -> str:
    """Return what was measured of the network, and how well it draws.

    Args:
        info: what ``molgen.json`` holds.
        measure: what its held-out likelihood is: a bound or a value.
    """
    measured: Mapping[str, Any] = info.get("measured", {})
    held_out: Mapping[str, Any] = measured.get("held_out") or {}
    lines = []
    if held_out.get("molecules"):
        lines.append(
            f"Held-out likelihood, unconditional: {measure} "
            f"{held_out['nats_per_molecule']:.2f} ± {held_out['standard_error']:.2f} nats per "
            f"molecule over {held_out['molecules']:,} molecules, of which the length costs "
            f"{held_out['length_nats']:.2f}; perplexity per token "
            f"{held_out['perplexity_per_token']:.3f} over {held_out['tokens']:,} tokens."
        )
    lines += [_table(measured["sampling"])] if measured.get("sampling") else []
    return "\n\n".join(["## Numbers", *lines]) if lines else ""


def presets(info: Mapping[str, Any]) -> str:
    """Return what the model draws with for targets it was tuned for, and what that gave."""
    rows = []
    for target, preset in info.get("presets", {}).items():
        said, found = preset["sampling"], preset["measured"]
        usual = (
            {**USUAL, "steps": said.get("steps")} if said.get("order", "none") != "none" else USUAL
        )
        how = {name: word for name, word in said.items() if word not in ("none", usual.get(name))}
        rows.append(
            {
                "target": f"`{target}`",
                "settings": ", ".join(f"{name} {value}" for name, value in how.items()),
                "valid": _share(found["valid"]),
                "novel (strict)": _share(found["novel"]),
                "mean of the novel": _number(found["mean"]),
                "forwards a row (NFE)": _number(found["nfe"]),
                "rows, seeds": f"{found['n']}, {found['seeds']}",
            }
        )
    text = """Taken where these targets, and no method, are asked of `molgen sample`; chosen for the
        most novelty times property per forward (`molgen tune`), on the rows that are shown."""
    return "\n\n".join(["## Presets", " ".join(text.split()), _table(rows)]) if rows else ""


def fine_tuning(found: Mapping[str, Any]) -> str:
    """Return what fine-tuning changed, from what :mod:`molgen.training.fine_tuning` found."""
    original, draws = found["original"], found["draws"]
    length = "its end included" if found["length_included"] else "given its length"
    said = SAID_WHEN if found["stopped"] else ""
    text = f"""`{original}` before, this model after, on the same rows: {found["training"]:,}
        molecules to train on, {found["held_out"]:,} held out{said};
        {found["known_before"]:,} of them were known to `{original}` already. Nats per molecule,
        {length}: a fall is what was learned, a rise what was forgotten."""
    own = "" if found["forgotten_on"] == DATA else NO_DATA
    likelihood = [
        {
            "nats per molecule": row["molecules"],
            "molecules": row["count"],
            "before": f"{row['before']:.2f}",
            "after": f"{row['after']:.2f}",
            "change": f"{row['change']:+.2f} ± {row['error']:.2f}",
        }
        for row in found["likelihood"]
    ]
    drawn = [
        {name: label, **{when: _share(draws[when][key]) for when in WHEN}}
        for name in [f"of {draws['rows']} draws, seed {draws['seed']}"]
        for key, label in DRAWS.items()
    ]
    drawn += [
        {next(iter(drawn[0])): label, **{when: _number(draws[when][key]) for when in WHEN}}
        for key, label in (("nearest_similarity", NEAREST), ("nfe", "forwards a row (NFE)"))
    ]
    means = [
        {
            "mean": row["property"],
            "series": _number(row["series"]),
            **{f"draws {when}": _number(row.get(when)) for when in WHEN},
        }
        for row in found["properties"]
    ]
    parts = [" ".join(f"{text} {own}".split()), *(_table(rows) for rows in (likelihood, drawn))]
    return "\n\n".join(["## Fine-tuning", *parts, *([_table(means)] if means else [])])


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name, "")) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, ["---"] * len(names), *cells])


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""The kinds of inputs: options, tables, molecules, model folders, stores.

A kind draws one input into an empty folder and returns the words of the command that meets it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

import tiny
from fuzz.files import CELLS, change_file, tables
from fuzz.words import Places, command_lines
from molgen.cli import build_parser, main
from molgen.cli.resume import journaled
from small_data import SMILES

PIECES = (
    *("C", "N", "O", "c1ccccc1", "(", ")", "=", "#", "[", "]", "1", "2", "%10", "%", ".", "/"),
    *("\\", "@", "+", "-", ":1", "[CH3]", "[13C]", "[*:1]", "*", "Cl", "Br", "[Si]", "$", "~"),
    *("|", "\\n", "[O-]", "[N+]", "[H]", "[2H]", " ", "F", "S(=O)(=O)", "P", "[U]", "[999C]"),
    *("é", "0", "\udcff"),
)
STORES = ("frontier", "scaling", "preset", "dataset", "predictor", "record", "journal")


@dataclass(frozen=True)
class Templates:
    """Good folders and files that inputs are made from.

    Attributes:
        model: a tiny model.
        file: molecules with a column of numbers.
        stores: what commands leave, by kind.
    """

    model: Path
    file: Path
    stores: Path

    @classmethod
    def make(cls, folder: Path) -> Templates:
        """Make them; takes seconds."""
        file, stores = folder / "molecules.csv", folder / "stores"
        rows = [f"{smiles},{i / 7:.3f},m{i}" for i, smiles in enumerate(SMILES)]
        file.write_text("\n".join(["smiles,activity,id", *rows]) + "\n")
        made = cls(tiny.save(folder / "model"), file, stores)
        stores.mkdir()
        sweep = ["--n", "3", "--seeds", "0", "--method", "A; remask=ancestral", "--property", "qed"]
        for command in (
            ["frontier", made.model, *sweep, "--steps", "4", "--gamma", "1", "--out", "frontier"],
            ["scaling", made.model, *sweep, "--steps", "2,4", "--out", "scaling"],
            ["train", file, "--prepare-only", "--held-out", ".2", "--out", "dataset"],
            ["fit-property", file, "--column", "activity", "--out", "predictor"],
        ):
            words = [str(word) for word in command]
            words[-1] = str(stores / words[-1])
            status = main(words)
            if status:
                raise SystemExit(f"{words}: status {status}")
        _interrupted(made.design(stores / "journal" / "result.csv"))
        (stores / "record").mkdir()
        result = stores / "record" / "result.csv"
        if main(made.design(result)) not in (0, 3):
            raise SystemExit("the design of the record failed")
        result.unlink()  # which is not read
        (stores / "preset").mkdir()
        preset = '{"format": 1, "sampling": {"steps": 4, "remask": "ancestral", "gamma": 2.0}}'
        (stores / "preset" / "preset.json").write_text(preset)
        return made

    def design(self, out: Path) -> list[str]:
        """Return the words of a short design."""
        goal = ["--target", "qed=.1..", "--steps", "2", "--n", "3", "--max-draws", "64"]
        return ["design", str(self.model), *goal, "--allow-training-molecules", "--out", str(out)]

    def places(self, folder: Path) -> Places:
        """Return the places of an input in a folder."""
        return Places(self.model, self.file, folder / "result")


def _interrupted(words: list[str]) -> None:
    """Run a command up to its end, and interrupt it there, so that its journal is kept."""
    arguments = build_parser().parse_args([*words, "--no-record"])
    Path(arguments.out).parent.mkdir()
    with suppress(KeyboardInterrupt), journaled(arguments):
        arguments.run(arguments)
        Path(arguments.out).unlink()
        raise KeyboardInterrupt


def options(draw: st.DrawFn, folder: Path, templates: Templates) -> list[str]:
    """Draw a command line over good files."""
    return templates.places(folder).words(draw(command_lines()))


def table(draw: st.DrawFn, folder: Path, templates: Templates) -> list[str]:
    """Draw a table, and a command that reads it."""
    name, data = draw(tables())
    path = folder / name
    path.write_bytes(data)
    words: dict[str, list[object]] = {
        "evaluate": [path],
        "evaluate --reference": [templates.file, "--no-fcd", "--reference", path],
        "score": [templates.model, path, "--out", folder / "result.csv"],
        "train": [path, "--prepare-only", "--out", folder / "result"],
        "optimize": [
            *(templates.model, path, "--target", "qed=max", "--attempts", "1", "--steps", "2"),
            *("--out", folder / "result.csv"),
        ],
    }
    command = draw(st.sampled_from(sorted(words)))
    column = ["--column", draw(st.sampled_from(["smiles", "id", "é", "0", ""]))]
    extra = column if draw(st.integers(0, 3)) == 0 else []
    return [command.split()[0], *map(str, words[command]), *extra]


def molecule(draw: st.DrawFn, folder: Path, templates: Templates) -> list[str]:
    """Draw a molecule, and a command that is given it."""
    pieces = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
    text = draw(st.one_of(pieces, st.sampled_from(CELLS), st.text(max_size=30)))
    text = text.replace("\0", "")
    out = ["--steps", "2", "--out", str(folder / "result.csv")]
    kind = draw(st.integers(0, 5))
    if kind == 0:
        goal = ["--target", "qed=max", "--attempts", "1"]
        return ["optimize", str(templates.model), f"--column=smiles{text[:0]}", *goal, *out, text]
    if kind == 1:
        goal = ["--target", "qed=max", "--attempts", "1", f"--keep={text}"]
        return ["optimize", str(templates.model), "CCCO", *goal, *out]
    if kind == 2:
        option = draw(st.sampled_from(["--scaffold", "--motif", "--linker", "--superstructure"]))
        rest = ["--n", "1", "--max-draws", "2", *out]
        return ["design", str(templates.model), f"{option}={text}", *rest]
    if kind == 3:
        rest = ["--n", "1", "--max-draws", "2", *out]
        return ["design", str(templates.model), f"--filter=smarts:{text}", *rest]
    path = folder / "molecules.smi"
    path.write_text(f"CCO\n{text}\n", errors="surrogateescape")
    if kind == 4:
        return ["score", str(templates.model), str(path), "--out", str(folder / "result.csv")]
    return ["evaluate", str(path), "--no-fcd", "--reference", str(templates.file)]


def names(folder: Path) -> list[str]:
    """Return the files of a folder that are read, by their names within it."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")
    return sorted(str(path.relative_to(folder)) for path in found)


def model_folder(draw: st.DrawFn, folder: Path, templates: Templates) -> list[str]:
    """Draw a damaged model folder, and a command that loads it."""
    model = folder / "model"
    shutil.copytree(templates.model, model)
    some = st.lists(st.sampled_from(names(model)), min_size=1, max_size=2, unique=True)
    for name in draw(some):
        change_file(draw, model / name)
    out = ["--out", str(folder / "result.csv")]
    words = {
        "sample": ["--n", "2", "--steps", "2", "--target", "qed=max", *out],
        "design": ["--n", "1", "--steps", "2", "--max-draws", "2", *out],
        "models": [],
        "score": [str(templates.file), *out],
    }
    command = draw(st.sampled_from([*sorted(words), "train"]))
    if command == "train":
        result = str(folder / "result")
        return [
            "train",
            str(templates.file),
            "--init",
            str(model),
            "--prepare-only",
            "--out",
            result,
        ]
    return [command, str(model), *words[command]]


def store(draw: st.DrawFn, folder: Path, templates: Templates) -> list[str]:
    """Draw a damaged store, preset, data set or predictor, and the command that reads it."""
    kind = draw(st.sampled_from(STORES))
    copy = folder / kind
    shutil.copytree(templates.stores / kind, copy)
    change_file(draw, copy / draw(st.sampled_from(names(copy))))
    model = str(templates.model)
    sweep = ["--n", "3", "--seeds", "0", "--method", "A; remask=ancestral", "--property", "qed"]
    if kind == "frontier":
        charts = ["--only-charts"] if draw(st.booleans()) else []
        return [
            "frontier",
            model,
            *sweep,
            "--steps",
            "4",
            "--gamma",
            "1",
            "--out",
            str(copy),
            *charts,
        ]
    if kind == "scaling":
        return ["scaling", model, *sweep, "--steps", "2,4", "--out", str(copy)]
    out = ["--n", "2", "--out", str(folder / "result.csv")]
    if kind == "record":
        return ["run", str(copy / "result.csv.json"), "--out", str(folder / "result.csv")]
    if kind == "journal":
        shutil.move(copy / "result.csv.journal", folder)
        return [*templates.design(folder / "result.csv"), "--resume"]
    if kind == "preset":
        return ["sample", model, "--preset", str(copy / "preset.json"), *out]
    if kind == "dataset":
        path = copy / "dataset.npz"
        return ["train", str(path), "--prepare-only", "--out", str(folder / "result")]
    return ["sample", model, "--property", str(copy), "--steps", "2", *out]


Kind = Callable[[st.DrawFn, Path, Templates], list[str]]
KINDS: dict[str, Kind] = {
    "options": options,
    "tables": table,
    "molecules": molecule,
    "model folders": model_folder,
    "stores": store,
}

"""Pages that are written at build time: verbs, commands, settings, models; copies of notebooks.

They follow from the repository, so that the site never differs from it.
"""

from __future__ import annotations

import importlib
import inspect
import shutil
from pathlib import Path

import molgen
from molgen.checkpoints.hub import BUNDLED
from molgen.cli import COMMANDS
from molgen.guidance.shaping import Shaping
from molgen.sampling.settings import Settings
from molgen.utils.options import options_of
from property_models.descriptors import plain_names
from property_models.registry import get

RESULTS = (
    "molgen.sampling.result.Result",
    "molgen.molecules.fate.Ledger",
    "molgen.sampling.result.SampleCounts",
    "molgen.discovery.counts.SearchCounts",
    "molgen.discovery.leads.counts.LeadCounts",
    "molgen.api.fit_property.Fitted",
    "molgen.frontiers.comparison.Comparison",
    "molgen.sampling.job.Samples",
    "molgen.campaigns.status.Status",
    "molgen.molecules.picture.Picture",
    "molgen.api.progress.Progress",
    "molgen.molecules.filters.Filters",
)
"""Classes that verbs return or take, in the order of their page."""
ARGUMENTS = (
    "molgen.api.load.ModelLike",
    "molgen.api.molecules.MoleculesLike",
    "molgen.targets.Target",
    "molgen.api.goals.GoalsLike",
    "property_models.registry.PropertyLike",
    "molgen.api.goals.PropertiesLike",
    "molgen.api.scaffolds.ScaffoldsLike",
    "molgen.api.scaffolds.AtomsLike",
    "molgen.api.sweeps.MethodsLike",
    "molgen.api.frontier.SamplesLike",
)
"""Types of arguments, in the order of their page."""
ROOT = Path(__file__).resolve().parents[1]
NOTE = "<!-- Written by docs/site_pages.py. -->\n"


def write_pages(docs: Path) -> None:
    """Write the generated pages into two folders, which they have to themselves.

    Args:
        docs: folder of the site's sources.
    """
    out, notebooks = docs / "reference" / "generated", docs / "notebooks" / "generated"
    for folder in (out, notebooks):
        shutil.rmtree(folder, ignore_errors=True)
    notebooks.mkdir(parents=True)
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(path, notebooks)
    (out / "commands").mkdir(parents=True)
    (out / "api").mkdir()
    (out / "models").mkdir()
    for name in COMMANDS:
        (out / "commands" / f"{name}.md").write_text(_command(name))
    for name in vars(molgen)["__all__"]:
        if not name.startswith("_"):
            (out / "api" / f"{name}.md").write_text(_api(name))
    (out / "results.md").write_text(_results())
    (out / "settings.md").write_text(_settings())
    (out / "properties.md").write_text(_properties())
    for card in sorted(BUNDLED.glob("*/README.md")):
        page = _card(card, out / "models")
        (out / "models" / f"{card.parent.name}.md").write_text(page)


def _command(name: str) -> str:
    module = importlib.import_module(f"molgen.cli.{name.replace('-', '_')}")
    summary, *rest = inspect.cleandoc(module.__doc__ or "").split("\n\n")
    text = "\n\n".join(_paragraph(each) for each in rest)
    return f"""{NOTE}
# molgen {name}

{summary}

{text}

```{{eval-rst}}
.. argparse::
   :module: molgen.cli
   :func: build_parser
   :prog: molgen
   :path: {name}
   :nodescription:
   :noepilog:
```
"""


def _paragraph(text: str) -> str:
    """Return a paragraph of a command's description; lines behind a heading are commands."""
    lines = text.splitlines()
    indented = [line for line in lines if line.startswith("  ")]
    if not indented:
        return text
    plain = [line for line in lines if not line.startswith("  ")]
    return "\n".join([*plain, "```text", *(line[2:] for line in indented), "```"])


def _api(name: str) -> str:
    found = getattr(molgen, name)
    kind = "autoclass" if inspect.isclass(found) else "autofunction"
    return f"""{NOTE}
# molgen.{name}

```{{eval-rst}}
.. {kind}:: molgen.{name}
```
"""


def _results() -> str:
    classes = "\n\n".join(f".. autoclass:: {name}" for name in RESULTS)
    types = "\n\n".join(f".. autodata:: {name}\n   :no-value:" for name in ARGUMENTS)
    return f"""{NOTE}
# Results, and forms of arguments

Every verb returns a result, and takes molecules, models, goals and methods in several forms.

## Results

```{{eval-rst}}
{classes}
```

## Forms of arguments

```{{eval-rst}}
{types}
```
"""


def _settings() -> str:
    rows = [
        f"| `{option.key}` | `{option.default}` | {_cell(option.help)} |"
        for option in options_of(Settings, Shaping).values()
    ]
    table = "\n".join(rows)
    return f"""{NOTE}
# Settings of sampling

The same words are keyword arguments in Python (`remask_weights` is `--weights` on the command
line), options as `--name value`, and keys of presets.

| setting | default | |
|---|---|---|
{table}
"""


def _properties() -> str:
    rows = [
        f"| `{each.name}` | {each.unit} | {_cell(each.description)} |"
        for each in map(get, plain_names())
    ]
    listed = "\n".join(rows)
    return f"""{NOTE}
# Properties

Names of descriptors; further ones are written as in
[own properties](../../how-to/own-properties.md).

| name | unit | |
|---|---|---|
{listed}
"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _card(path: Path, out: Path) -> str:
    name, lines = path.parent.name, path.read_text().splitlines()
    if lines and lines[0] == "---":  # metadata for model hubs
        lines = lines[lines.index("---", 1) + 1 :]
    for picture in path.parent.glob("*.png"):
        shutil.copy(picture, out / f"{name}-{picture.name}")
    return NOTE + "\n".join(lines).replace("](loss.png)", f"]({name}-loss.png)") + "\n"

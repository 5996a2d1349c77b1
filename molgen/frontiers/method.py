"""A method of a comparison: one way of sampling, in words that can be stored in a file.

    LABEL; KEY=VALUE; KEY=VALUE         for example  ReMDM; remask=rescale:eta=.1; weights=sharpened

Semicolons separate, and the first ``=`` of a part ends its key, so values keep the ``:``, ``,`` and
``=`` of remasking strategies. The words become the sampler's objects in one place,
:func:`molgen.frontiers.plan.settings_for`; the axes of the comparison (strength, steps, seed) are
no part of a method.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, make_dataclass
from typing import Any

from molgen.errors import MolgenError
from molgen.guidance.shaping import Shaping
from molgen.sampling.settings import OPTIONS
from molgen.utils.arguments import checked
from molgen.utils.options import options_of

LONGEST_LABEL = 40  # characters; it has to fit into a legend
OWN = "own"  # as the model recommends

SHAPING = options_of(Shaping)
METHOD = {key: option.default for key, option in OPTIONS.items() if option.method}
"""The words of a method with their defaults."""
_Words: Any = make_dataclass(
    "_Words",
    [
        ("label", str),
        ("model", str),
        *((key, str, field(default=default)) for key, default in METHOD.items()),
        *((key, str, field(default=OWN)) for key in SHAPING),
    ],
    frozen=True,
)


@dataclass(frozen=True)
class Method(_Words):  # type: ignore[misc]
    """One way of sampling, in words.

    Attributes:
        label: its name in tables and charts.
        model: bundled name, folder or ``hf:owner/name``.

    The others are the settings that make up a method, by their keys
    (:data:`molgen.sampling.settings.OPTIONS`), with the simplest as default and guidance ``none``
    for unguided draws; and those of the shaping, ``own`` for what the model recommends.
    """

    label: str
    model: str

    def __post_init__(self) -> None:
        """Check that the words can be written and read back.

        Raises:
            MolgenError: if the label is empty, long or unprintable, or a part has a semicolon.
        """
        if not self.label.strip() or not self.label.isprintable():
            raise MolgenError(f"method label is {self.label!r}, expected some printable text")
        if len(self.label) > LONGEST_LABEL:
            raise MolgenError(
                f"method label {self.label!r} has {len(self.label)} characters, expected at most "
                f"{LONGEST_LABEL}"
            )
        for name, value in dataclasses.asdict(self).items():
            if ";" in value or value != value.strip() or not value:
                raise MolgenError(
                    f"method {self.label}: {name} is {value!r}, expected text without semicolons "
                    "and blanks around it"
                )

    @classmethod
    @checked
    def parse(cls, text: str, model: str) -> Method:
        """Read ``LABEL; KEY=VALUE; ...``.

        Args:
            text: the words; keys are the other attributes.
            model: used unless the text names one.

        Raises:
            MolgenError: naming the part that cannot be read.
        """
        label, *parts = (part.strip() for part in text.split(";"))
        keys = [field.name for field in dataclasses.fields(cls) if field.name != "label"]
        values = {"model": model}
        seen: set[str] = set()
        for part in filter(None, parts):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or key not in keys or key in seen:
                raise MolgenError(
                    f"method {text!r} has the part {part!r}, expected each of "
                    f"{', '.join(keys)} at most once, as in 'LABEL; remask=rescale:eta=.1'"
                )
            seen.add(key)
            values[key] = value
        return cls(label, **values)

    def __str__(self) -> str:
        """Return the words that :meth:`parse` reads."""
        words = dataclasses.asdict(self)
        return "; ".join([words.pop("label"), *(f"{key}={value}" for key, value in words.items())])

    @property
    def adaptive(self) -> bool:
        """Whether failed rows are retried."""
        return bool(self.adapt != "none")

    @property
    def guided(self) -> bool:
        """Whether draws are guided by targets."""
        return bool(self.guidance != "none")

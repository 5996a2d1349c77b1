"""The search space of a tune: candidates, each a method with its strength, steps and temperature.

The space is the table :data:`FAMILIES`, read as products: every value of an axis with every value
of the others. Candidates are taken from the families in turn, each shuffled by the seed, so small
families are represented and fewer candidates are a prefix of more: random search (Bergstra and
Bengio, "Random search for hyper-parameter optimization", 2012) within each family.

Options that a model lacks are left out: remasking, orders and grammars for networks without masked
noise, linear strengths and numbers of steps for autoregressive ones, quality weights and correctors
without a quality head. Guidance is of the kind that the model recommends. Each row is one draw,
unless retries of :func:`retries` are given: then failed rows are retried, in every candidate but
the model's own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.errors import MolgenError
from molgen.frontiers.method import METHOD, Method
from molgen.frontiers.plan import settings_for
from molgen.sampling.settings import OPTIONS, Settings
from molgen.utils import randomness

if TYPE_CHECKING:
    from molgen.model import Model

Axes = Mapping[str, tuple[Any, ...]]

SHARED: Axes = {key: tuple(option.tries) for key, option in OPTIONS.items() if option.tries}
WEIGHTS = ("uniform", "sharpened:tau=0.5", "sharpened:tau=1")
FAMILIES: Mapping[str, Axes] = {
    "ancestral": {"remask": ("ancestral",)},
    "rescale": {
        "remask": ("rescale:eta=0.05", "rescale:eta=0.1", "rescale:eta=0.2"),
        "weights": WEIGHTS,
    },
    "loop": {
        "remask": ("loop:t_on=0.55,t_off=0.05,eta=0.02", "loop:t_on=0.55,t_off=0.05,eta=0.05"),
        "weights": WEIGHTS,
    },
    "order": {  # without a plan: steps and correctors have no effect
        "order": (
            "entropy",
            "entropy-bounded:gamma=0.01",
            "entropy-bounded:gamma=0.1",
            "entropy-bounded:gamma=0.5",
            "klass",
        ),
        "steps": (128,),
        "temperature": (1.0, 1.2, 1.4),  # most certain tokens first offsets a high temperature
        "corrector": ("none",),
    },
}
# with a quality head; the last two are guided remasking, which compares two predictions
QUALITY_WEIGHTS = ("quality:tau=0.5", "quality:tau=1", "quality:gamma=1", "property:gamma=1")
CORRECTORS = ("none", "likeliest:every=8,rounds=1")
DEFAULTS = {key: option.default for key, option in OPTIONS.items()}


@dataclass(frozen=True)
class Candidate:
    """A method with its strength, steps and temperature.

    Attributes:
        method: in words; its label is a digest of all other words.
        gamma: strength, a number, or words for a linear one as ``1..3``.
        steps: of the plan.
        temperature: of the tokens' distribution.
    """

    method: Method
    gamma: float | str
    steps: int
    temperature: float

    @classmethod
    def from_words(cls, model: str, words: Mapping[str, Any]) -> Candidate:
        """Return the candidate that words as in ``molgen.json`` describe.

        Args:
            model: its name.
            words: missing ones have their defaults; those of no candidate (such as a device) are
                ignored.
        """
        kept = {name: words[name] for name in METHOD if name in words}
        rest = [words.get(name, DEFAULTS[name]) for name in ("gamma", "steps", "temperature")]
        rest[0] = rest[0] if isinstance(rest[0], str) else float(rest[0])
        found = cls(Method("candidate", model, **kept), *rest)
        digest = hashlib.sha256(json.dumps(found.words, sort_keys=True).encode()).hexdigest()
        label = f"{found.method.remask.partition(':')[0]}-{digest[:8]}"
        return dataclasses.replace(found, method=dataclasses.replace(found.method, label=label))

    @property
    def words(self) -> dict[str, Any]:
        """Its words in a preset."""
        method = {name: getattr(self.method, name) for name in METHOD}
        return {
            **method, "gamma": self.gamma, "steps": self.steps, "temperature": self.temperature
        }  # fmt: skip

    def settings(self, model: Model, speed: Mapping[str, Any]) -> Settings:
        """Return its settings.

        Args:
            model: of the candidate.
            speed: settings that change nothing but speed, and the number format.

        Raises:
            MolgenError: naming its method and the word that cannot be read.
        """
        from molgen.sampling.words import gamma

        strength: Any = gamma(str(self.gamma))
        further = {**speed, "temperature": self.temperature}
        return settings_for(model, self.method, strength, self.steps, **further)

    def __str__(self) -> str:
        parts = [self.method.remask]
        parts += [
            f"{name} {value}"
            for name, default in METHOD.items()
            if name != "remask" and (value := getattr(self.method, name)) != default
        ]
        strength = self.gamma if isinstance(self.gamma, str) else f"{self.gamma:g}"
        parts += [f"gamma {strength}", f"T = {self.steps}"]
        if self.temperature != 1:
            parts.append(f"temperature {self.temperature:g}")
        return ", ".join(parts)


def retries(budget: float) -> tuple[str, ...]:
    """Return retries of failed rows to choose from, in words.

    Args:
        budget: forwards a row on average. A row may take twice as many, where others take fewer.
    """
    most = (max(1, round(budget)), max(1, round(2 * budget)))
    ways = ("restart:", "remask:share=0.2,", "remask:share=0.4,")
    return tuple(f"{way}budget={limit}" for way in ways for limit in most)


def candidates(
    model: Model, present: Candidate, count: int, seed: int = 0, adapt: Sequence[str] = ()
) -> list[Candidate]:
    """Return distinct candidates.

    Args:
        model: determines the available families and axes.
        present: the model's present recommendation; it comes first.
        count: largest number; fewer where the space has fewer.
        seed: of the shuffle; fewer candidates are a prefix of more.
        adapt: retries of failed rows, of :func:`retries`; none for one draw a row.

    Raises:
        MolgenError: if the count is less than 1.
    """
    if count < 1:
        raise MolgenError(f"candidates is {count}, expected at least 1")
    orders = [
        _shuffled(model, present, axes, seed, number)
        for number, axes in enumerate(families(model, adapt).values())
    ]
    turns = itertools.zip_longest(*orders)
    found = dict.fromkeys([present, *(c for turn in turns for c in turn if c is not None)])
    return list(found)[:count]


def families(model: Model, adapt: Sequence[str] = ()) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Return the families available to a model, each with all its axes."""
    from molgen.nn.denoiser import noise_of

    noise = noise_of(model.denoiser)
    has_quality_head = getattr(model.denoiser, "quality_head", None) is not None
    shared = dict(SHARED)
    if has_quality_head:
        shared["corrector"] = CORRECTORS
    if noise == "none":
        shared["gamma"] = tuple(g for g in SHARED["gamma"] if not isinstance(g, str))
        shared["steps"] = (DEFAULTS["steps"],)
    if noise == "masked" and model.tokenizer.representation == "smiles":
        shared["grammar"] = ("smiles", "none")
    if adapt:  # rows of other noises cannot be masked in part
        kept = tuple(w for w in adapt if noise == "masked" or w.startswith("restart"))
        shared["adapt"] = kept
    found = {}
    for name, axes in FAMILIES.items():
        whole = {**shared, **axes}
        if has_quality_head and "weights" in axes:
            whole["weights"] = axes["weights"] + QUALITY_WEIGHTS
        if noise == "masked" or name == "ancestral":
            found[name] = whole
    return found


def _shuffled(
    model: Model, present: Candidate, axes: Axes, seed: int, number: int
) -> Iterator[Candidate]:
    """Yield a family's candidates, shuffled by a seed."""
    cells = list(itertools.product(*axes.values()))
    u = randomness.used(seed, randomness.Use.TUNE, number, np.arange(len(cells)))
    for i in np.argsort(u):
        words = dict(zip(axes, cells[i], strict=True))
        candidate = Candidate.from_words(model.name, {"guidance": present.method.guidance, **words})
        if _consistent(candidate):
            yield candidate


def _consistent(candidate: Candidate) -> bool:
    """Return whether the parts of a candidate can be combined.

    Weights that compare two predictions need both of classifier-free guidance, and guidance by
    whole steps excludes a grammar.
    """
    from molgen.diffusion.token_weights import PROPERTY
    from molgen.guidance.spec import ClassifierFree, takes_whole_steps
    from molgen.sampling.words import guidance, token_weights

    guided_by = guidance(candidate.method.guidance)
    if candidate.method.grammar != "none" and takes_whole_steps(guided_by):
        return False
    weights = token_weights(candidate.method.weights)
    if weights is None or weights.reads != PROPERTY:
        return True
    return candidate.gamma != 1 and isinstance(guided_by, ClassifierFree)

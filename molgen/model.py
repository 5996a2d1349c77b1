"""A loaded model, and the table it draws.

    model = molgen.load("qm9")
    table = model.sample(100, targets={"qed": "max"})

Every row asked for is a row of the table, in order: the raw string the network wrote, its canonical
form or the reason there is none, whether it is unique and novel, the forwards it cost, and the
properties asked for. Nothing is retried, repaired or left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.checkpoints.files import INFO
from molgen.data.prior import Request
from molgen.guidance.classifier import label
from molgen.guidance.spec import ClassifierBased, ClassifierFree
from molgen.molecules.conventions import STRICT, count
from molgen.molecules.parsing import interpret_all
from molgen.sampling import factory
from molgen.sampling.preset_file import check_sampling, match, read_key
from molgen.sampling.sampler import AdaptiveSamples, AnySampler, Job, OnDone, Samples
from molgen.sampling.settings import METHOD, Settings, from_words
from molgen.targets import Target, read_targets
from property_models import compute

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Model(Checkpoint):
    """A loaded checkpoint with its settings: draws rows, and makes a table of them."""

    @classmethod
    def load(cls, name: str | Path, folder: Path | None = None) -> Self:
        """Load a checkpoint; see :meth:`molgen.checkpoints.checkpoint.Checkpoint.load`.

        Raises:
            ValueError: likewise, and if what it recommends means nothing.
        """
        found = super().load(name, folder)
        presets = found.info.get("presets", {})
        try:
            for words in (found.preset(), found.preset("design")):
                from_words(words)
            for key, preset in presets.items():
                read_key(key)
                check_sampling(preset["sampling"])
        except ValueError as error:
            raise ValueError(f"model {found.name!r} cannot be read: {INFO}: {error}") from error
        return found

    def preset(
        self, purpose: str = "sampling", targets: Mapping[str, Target | str] | None = None
    ) -> dict[str, Any]:
        """Return what the checkpoint recommends, in words and numbers.

        Args:
            purpose: ``"sampling"``, where every row counts, or ``"design"``, where rows that fail
                are drawn again and what counts is forwards per delivered molecule.
            targets: what is aimed at with whole molecules: for sampling, a preset tuned for it is
                preferred. None where something else is drawn, such as what a scaffold leaves open.
        """
        found = {**self.info.get("sampling", {}), **self.info.get(purpose, {})}
        if purpose == "sampling" and targets:
            tuned = match(self.info.get("presets", {}), targets)
            found |= tuned["sampling"] if tuned else {}
        return found

    def settings(
        self,
        purpose: str = "sampling",
        targets: Mapping[str, Target | str] | None = None,
        **changes: Any,
    ) -> Settings:
        """Return this model's default settings with some of them changed.

        Args:
            purpose: see :meth:`preset`.
            targets: likewise, unless a change names a method
                (:data:`molgen.sampling.settings.METHOD`).
            **changes: of :class:`Settings`.

        Raises:
            ValueError: if a setting is not known or out of range.
        """
        own = self.preset(purpose, None if set(METHOD) & set(changes) else targets)
        return from_words(own).changed(**changes)

    def sample(
        self,
        n: int,
        targets: Mapping[str, Target | str] | None = None,
        seed: int = 0,
        first: int = 0,
        properties: Sequence[str] = (),
        **changes: Any,
    ) -> pd.DataFrame:
        """Draw ``n`` molecules.

        Args:
            n: rows.
            targets: property names to a value, ``"max"``, ``"min"``, a ``Range`` or ``"LO..HI"``.
            seed: the same seed gives the same rows, and fewer rows are a prefix of more.
            first: index of the first row, to go on from an earlier call.
            properties: further properties to compute, beside those of the targets.
            **changes: of :class:`Settings`.

        Returns:
            A table with the columns ``index, raw, smiles, status, unique, novel, nfe,
            classifier_nfe`` and one for each property; for a SELFIES model also ``tokens``.

        Raises:
            ValueError: if a target or a setting is out of line; nothing has been drawn then.
        """
        settings = self.settings(targets=targets, **changes)
        samples = self.draw(n, targets, seed, first, settings=settings)
        return self.table(samples, [*(targets or {}), *properties], first)

    def draw(
        self,
        n: int,
        targets: Mapping[str, Target | str] | None = None,
        seed: int = 0,
        first: int = 0,
        settings: Settings | None = None,
        record: bool = False,
        on_done: OnDone | None = None,
    ) -> Samples:
        """Draw tokens; see :meth:`sample` and :meth:`molgen.sampling.event_sampler.Sampler.run`."""
        settings = settings or self.settings(targets=targets)
        asked = self.request(n, targets, seed, first, settings)

        def redraw(other: int) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
            again = self.request(n, targets, other, first, settings)
            return again.lengths, again.condition

        with self.sampler(settings, asked.targets) as sampler:
            if settings.adapt is not None:
                sampler = factory.adaptive_sampler(self, sampler, settings, asked.targets, redraw)
            return sampler.run(
                Job(asked.lengths, asked.condition, seed, first, record=record), on_done
            )

    def request(
        self,
        n: int,
        targets: Mapping[str, Target | str] | None,
        seed: int,
        first: int,
        settings: Settings,
    ) -> Request:
        """Return what a sampler is asked for, drawn from the prior; arguments as of :meth:`draw`.

        Raises:
            ValueError: if a target or a setting is out of line.
        """
        if n < 0:
            raise ValueError(f"n is {n}, expected at least 0")
        wanted = read_targets(targets or {})
        self.check(wanted, settings)
        # a guide may know properties that the prior does not: they have no say in the length
        known = {name: target for name, target in wanted.items() if name in self.properties}
        profile = settings.conditions == "profile"
        free = isinstance(settings.steering, ClassifierBased) and not settings.steering.cfg
        if profile and (free or not self.properties):
            why = "guidance is by the guide alone" if free else "the model is not conditioned"
            raise ValueError(f"conditions is 'profile', but {why}: expected one that is told of it")
        lengths, condition = self.prior.draw(known, n, seed, first, profile)
        return Request(wanted, lengths, None if free else condition)

    def check(self, targets: Mapping[str, Target], settings: Settings) -> None:
        """Check that the model can be steered towards targets.

        Raises:
            ValueError: naming the target that neither the network's conditions nor, for guidance
                by classifiers, the guide knows of.
        """
        steering = settings.steering
        if targets and isinstance(steering, ClassifierBased):
            guide = self.guide_for(targets, steering.guide)
            for name, target in targets.items():
                guide.wanted(label(guide, name), target)
        if isinstance(steering, ClassifierFree) or steering.cfg:
            self.prior.check(targets)

    def sampler(
        self, settings: Settings, targets: Mapping[str, Target] | None = None
    ) -> AbstractContextManager[AnySampler]:
        """A sampler with these settings, and the threads it runs on, for the length of a block."""
        return factory.sampler(self, settings, targets or {})

    def table(
        self, samples: Samples, properties: Sequence[str] = (), first: int = 0
    ) -> pd.DataFrame:
        """Return the table of drawn rows; see :meth:`sample` for its columns."""
        import pandas as pd

        texts = self.texts(samples.tokens)
        raw = [self.tokenizer.smiles(text) for text in texts]
        molecules = interpret_all(raw)
        counted = count(molecules, STRICT, self.known)
        novel = np.zeros(len(raw), bool) if counted.novel is None else counted.novel
        columns: dict[str, Any] = {
            "index": first + np.arange(len(raw)),
            "raw": raw,
            "smiles": [m.smiles for m in molecules],
            "status": [str(m.status) for m in molecules],
            "unique": counted.unique,
            "novel": novel,
            "nfe": samples.nfe,
            "classifier_nfe": samples.classifier_nfe,
        }
        if isinstance(samples, AdaptiveSamples):
            columns["tries"] = samples.tries
        if self.tokenizer.representation == "selfies":
            columns["tokens"] = texts
        names = list(dict.fromkeys(properties))
        return pd.DataFrame({**columns, **compute(names, [m.smiles for m in molecules])})

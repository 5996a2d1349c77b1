"""A loaded model with its settings, and the table of its samples.

    model = molgen.load("qm9")
    rows = model.sample(100, targets={"qed": "max"})

The result has a table with every requested row, in order: the raw string, its canonical form or the
reason why it is invalid, whether it is unique and novel, its forwards, and the requested
properties. No row is retried, corrected or left out, unless ``adapt`` is set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

import numpy as np

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.checkpoints.files import INFO
from molgen.errors import ModelError, MolgenError
from molgen.molecules.conventions import STRICT, count
from molgen.molecules.parsing import interpret_all
from molgen.sampling import factory
from molgen.sampling.diversity import stop_of
from molgen.sampling.finished import finished
from molgen.sampling.keywords import UNGUIDED, SettingWords, settings_from, with_settings
from molgen.sampling.preset_file import check_sampling, match, read_key
from molgen.sampling.recipe import check_targets, resolve
from molgen.sampling.result import COMPLETE, INTERRUPTED, Result, SampleCounts
from molgen.sampling.sampler import AdaptiveSamples, AnySampler, OnDone, Samples
from molgen.sampling.settings import Settings, from_words
from molgen.targets import Target, read_targets
from molgen.utils.arguments import checked
from molgen.utils.arrays import Ids
from molgen.utils.numbers import whole
from molgen.utils.progress import Bar
from property_models import alongside, computable, compute, get
from property_models.registry import PropertyLike, is_function, property_name, property_names

if TYPE_CHECKING:
    import pandas as pd

GUIDED = "guided"  # of molgen.json: settings of design that the noisy classifier guides
NOT_COMPUTED = "cannot be computed"
"""Value in the column of a property that a model learned only from a user's column."""
NO_GUIDE = (
    "is a function, which cannot guide the draws: expected molgen.search, which scores molecules "
    "with it, or a noisy classifier of molgen.fit_property"
)


@dataclass(frozen=True, eq=False)
class SampleRequest:
    """A request for rows as drawn.

    Attributes:
        n: rows.
        targets: of the draws.
        seed: of the draws.
        first: index of the first row.
        properties: to compute in addition to those of the targets.
        settings: of the sampler; None for the recommended ones.
    """

    n: int
    targets: Mapping[str, Target]
    seed: int = 0
    first: int = 0
    properties: tuple[str, ...] = ()
    settings: Settings | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            MolgenError: if one is not a whole number of at least 0.
        """
        for name in ("n", "seed", "first"):
            object.__setattr__(self, name, whole(name, getattr(self, name), 0))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of properties."""
        return tuple(dict.fromkeys([*self.targets, *self.properties]))


@dataclass(frozen=True)
class Model(Checkpoint):
    """A loaded checkpoint with its settings: draws rows and returns tables."""

    @classmethod
    def load(cls, name: str | Path, folder: Path | None = None) -> Self:
        """Load a checkpoint.

        Args:
            name: a bundled name, a folder, or ``hf:owner/name[@revision]``.
            folder: of the checkpoint, if it has been located.

        Raises:
            MolgenError: if there is no such model, one of its files is missing or damaged, or its
                recommended settings are invalid.
        """
        found = super().load(name, folder)
        presets = found.info.get("presets", {})
        try:
            for key in ("sampling", "design", GUIDED):
                from_words({**found.preset(), **found.info.get(key, {})})
            for key, preset in presets.items():
                read_key(key)
                check_sampling(preset["sampling"])
        except ValueError as error:
            raise ModelError(f"model {found.name!r} cannot be read: {INFO}: {error}") from error
        return found

    def preset(
        self, purpose: str = "sampling", targets: Mapping[str, Target | str] | None = None
    ) -> dict[str, Any]:
        """Return the recommended settings of the checkpoint, in words and numbers.

        Args:
            purpose: ``"sampling"``, where every row counts, or ``"design"``, where failed rows are
                retried and the objective is forwards per accepted molecule.
            targets: of complete molecules. For sampling, a preset tuned for them is preferred; for
                design the checkpoint's ``guided`` settings, if its noisy classifier predicts them
                all. None for other draws, such as the completion of a scaffold.

        Raises:
            MolgenError: if a target cannot be read.
        """
        return self._preset(purpose, read_targets(targets or {}))

    def _preset(self, purpose: str, targets: Mapping[str, Target]) -> dict[str, Any]:
        found = {**self.info.get("sampling", {}), **self.info.get(purpose, {})}
        if purpose == "sampling" and targets:
            tuned = match(self.info.get("presets", {}), targets)
            found |= tuned["sampling"] if tuned else {}
        if purpose == "design" and targets and GUIDED in self.info and self.has_classifier(targets):
            found |= self.info[GUIDED]
        return found

    @with_settings
    def settings(
        self,
        purpose: str = "sampling",
        targets: Mapping[str, Target | str] | None = None,
        **given: Unpack[SettingWords],
    ) -> Settings:
        """Return this model's default settings with some of them changed.

        Args:
            purpose: see :meth:`preset`.
            targets: likewise, unless a method is given: any of ``remask``, ``guidance``, ``order``
                and the like.
            **given: settings of sampling.

        Raises:
            MolgenError: if a setting is out of range.
        """
        return self.settings_of(given, purpose, read_targets(targets or {}))

    def settings_of(
        self,
        given: Mapping[str, Any],
        purpose: str = "sampling",
        targets: Mapping[str, Target] | None = None,
        base: Settings | None = None,
    ) -> Settings:
        """Return recommended settings with those that are given by name.

        A given remasking strategy has uniform remasking weights, as published, unless weights are
        given too. With a given method, no preset tuned for the targets is used.

        Args:
            given: words or objects by name.
            purpose: see :meth:`preset`.
            targets: likewise.
            base: settings to start from in place of the recommended ones.

        Raises:
            MolgenError: if a setting is unknown or out of range.
        """

        def recommended(tuned: bool) -> dict[str, Any]:
            return self._preset(purpose, (targets or {}) if tuned else {})

        return settings_from(given, recommended, base)

    @with_settings
    @checked
    def sample(
        self,
        n: int,
        targets: Mapping[Any, Target | str] | None = None,
        seed: int = 0,
        first: int = 0,
        properties: PropertyLike | Sequence[PropertyLike] = (),
        *,
        diversity: float | str | None = None,
        settings: Settings | None = None,
        progress: bool = True,
        **given: Unpack[SettingWords],
    ) -> Result[SampleCounts]:
        """Draw ``n`` rows; none is filtered or left out.

        Args:
            n: rows.
            targets: properties to a value, ``"max"``, ``"min"``, a ``Range`` or ``"LO..HI"``.
            seed: the same seed gives the same rows, and fewer rows are a prefix of more.
            first: index of the first row, to continue an earlier call.
            properties: properties to compute in addition to those of the targets: names, or
                functions of a molecule.
            diversity: draw at the model's stop nearest to a diversity such as 0.85, or at the stop
                of a name; without targets, guided by those of the stop.
            settings: to start from in place of the recommended ones.
            progress: whether to show a bar.
            **given: settings of sampling.

        Returns:
            A table with the columns ``index, raw, smiles, status, unique, novel, nfe,
            classifier_nfe`` and one for each property, in its unit, followed by the one that stands
            beside it (another definition of the same quantity); for a SELFIES model also
            ``tokens``. After an interrupt (Ctrl-C) these are the rows that have ended, and the
            reason says so.

        Raises:
            MolgenError: if a target or a setting is invalid, before anything is drawn.
        """
        wanted = self.guidable(targets or {})
        if diversity is not None:
            stop = stop_of(self, diversity, given)
            given["preset"], wanted = stop.sampling, wanted or stop.targets
        request = SampleRequest(n, wanted, seed, first, property_names(properties))
        self.own_labels(request.names)
        guided_by = {} if given.get("guidance") == UNGUIDED else wanted
        chosen = self.settings_of(given, "sampling", guided_by, settings)
        request, recipe = replace(request, settings=chosen), resolve(self, chosen, guided_by)
        how = request.n, request.seed, request.first
        with Bar(request.n, "row", shown=progress) as bar:
            samples, ended = finished(
                lambda on_done: factory.draw(recipe, *how, on_done=on_done), bar.add
            )
        return self.result(samples, request, ended)

    def result(
        self, samples: Samples, request: SampleRequest, ended: Ids | None = None
    ) -> Result[SampleCounts]:
        """Return the result of drawn rows.

        Args:
            samples: the rows: ids with shape (molecules, longest).
            request: the request.
            ended: which of the requested rows they are, with shape (molecules,), after an
                interrupt; None for all.

        Raises:
            MolgenError: if a property of the request is unknown.
        """
        table = self.table(samples, request.names, request.first)
        if ended is not None:
            table["index"] = request.first + ended
        counts = SampleCounts.of(table, self.training_index is not None)
        reason = COMPLETE if ended is None else INTERRUPTED
        return Result(table, counts, request.n, reason, request, model=self)

    def guidable(self, targets: Mapping[Any, Target | str]) -> dict[str, Target]:
        """Return targets of draws by the names of their properties.

        Raises:
            MolgenError: if one cannot be read, or is a user's function, for which no network can be
                conditioned.
        """
        property_names(list(targets))
        found = read_targets({property_name(key): target for key, target in targets.items()})
        for name in found:
            if name not in self.properties and is_function(name):
                raise MolgenError(f"target {name} {NO_GUIDE}")
        return found

    @checked
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
        """Draw tokens.

        Args:
            n: rows.
            targets: properties to a value, ``"max"``, ``"min"``, a ``Range`` or ``"LO..HI"``.
            seed: the same seed gives the same rows, and fewer rows are a prefix of more.
            first: index of the first row.
            settings: of the sampler; None for the recommended ones.
            record: whether to record every event, as ``trajectory`` of the result.
            on_done: receives rows that have ended: their indices, with shape (rows,), and their
                result.

        Returns:
            Ids with shape (n, longest), padded, and the forwards of each row, with shape (n,);
            :meth:`table` makes molecules of them.

        Raises:
            MolgenError: if a target or a setting is invalid, before anything is drawn.
        """
        wanted = read_targets(targets or {})
        settings = settings or self.settings_of({}, "sampling", wanted)
        return factory.draw(resolve(self, settings, wanted), n, seed, first, record, on_done)

    def check(self, targets: Mapping[str, Target], settings: Settings) -> None:
        """Check that the model can be guided towards targets.

        Raises:
            MolgenError: naming a target that is no condition of the network or, for
                classifier-based guidance, no property of the noisy classifier.
        """
        check_targets(self, settings, targets)

    def own_labels(self, names: Sequence[str]) -> list[str]:
        """Return the properties that the model learned only from a user's column.

        The model can be guided towards them, but they cannot be computed for a molecule; all other
        names are registered properties.

        Raises:
            MolgenError: for a name that is neither.
        """
        own = [name for name in names if name in self.properties and not computable(name)]
        for name in names:
            if name not in own:
                get(name)
        return own

    def check_computable(self, names: Sequence[str], use: str) -> None:
        """Check that properties can be computed for a molecule.

        Args:
            names: of the properties.
            use: that needs the values, for the message.

        Raises:
            MolgenError: for a name that is unknown, or of the user's column alone.
        """
        for name in self.own_labels(names):
            raise MolgenError(
                f"{use} needs values of {name}, which {NOT_COMPUTED}: the model learned it from a "
                f"column of its training file, expected model:FOLDER, a predictor of `molgen "
                f"fit-property FILE --column {name} --out FOLDER`"
            )

    def sampler(
        self, settings: Settings, targets: Mapping[str, Target] | None = None
    ) -> AbstractContextManager[AnySampler]:
        """A sampler with these settings, with its threads, as a context manager.

        Args:
            settings: of the sampler.
            targets: by property; none for unguided draws.

        Raises:
            MolgenError: if the model cannot be guided towards a target, or lacks what a setting
                needs.
        """
        return factory.sampler(resolve(self, settings, targets or {}))

    @checked
    def table(
        self, samples: Samples, properties: Sequence[str] = (), first: int = 0
    ) -> pd.DataFrame:
        """Return the table of drawn rows; see :meth:`sample` for its columns.

        Args:
            samples: the rows: ids with shape (molecules, longest).
            properties: names of further columns.
            first: index of the first row.

        Raises:
            MolgenError: if a property is unknown.
        """
        import pandas as pd

        texts = self.texts(samples.tokens)
        raw = [self.tokenizer.smiles(text) for text in texts]
        molecules = interpret_all(raw)
        counted = count(molecules, STRICT, self.training_index)
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
        names = alongside(properties)
        own = self.own_labels(names)
        found = compute([n for n in names if n not in own], [m.smiles for m in molecules])
        values = {name: NOT_COMPUTED if name in own else found[name] for name in names}
        return pd.DataFrame({**columns, **values}, index=range(len(raw)))

"""Sampling from any pretrained masked language model: templates in, texts out.

    model = molgen.denoiser_from("bert")          # a folder, hf:owner/name, or model and tokenizer
    rows = model.sample(20, template="Paris is the [MASK] of France.", remask="rescale:eta=.2")

A row is a template, whose masks are drawn and whose other tokens are never changed. The samplers,
their settings and their contracts are those of molecules; there is no target, and nothing of
chemistry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from molgen.checkpoints.checkpoint import Checkpoint
from molgen.checkpoints.masked_lm import FILES
from molgen.data.prior import Prior
from molgen.data.tokenizer import padded
from molgen.errors import MolgenError
from molgen.molecules.fate import Fate
from molgen.sampling import factory
from molgen.sampling.adaptive import AdaptiveSampler
from molgen.sampling.finished import finished
from molgen.sampling.keywords import SettingWords, settings_from, with_settings
from molgen.sampling.recipe import resolve
from molgen.sampling.result import COMPLETE, INTERRUPTED, Result
from molgen.sampling.sampler import AdaptiveSamples, Given, Job, OnDone, Samples
from molgen.sampling.sequences import (
    SequenceCheck,
    SequenceCounts,
    SequenceRequest,
    TextCheck,
    check_until,
)
from molgen.sampling.settings import OPTIONS, Settings, from_words
from molgen.utils.arguments import checked
from molgen.utils.files import digest
from molgen.utils.numbers import whole
from molgen.utils.progress import Bar

if TYPE_CHECKING:
    import pandas as pd

    from molgen.data.sequence_tokenizer import SequenceTokenizer
    from molgen.nn.masked_lm import MaskedLM

UNUSED = ("gamma", "guidance", "corrector", "grammar", "conditions", "goal_weights")
"""Settings of targets, of molecules and of networks trained for a correction."""
LONGEST = 100_000  # tokens of a row, and templates of a call


@dataclass(frozen=True)
class SequenceModel(Checkpoint):
    """A masked language model that draws texts; see :func:`molgen.denoiser_from`."""

    @classmethod
    def of(
        cls, name: str, denoiser: MaskedLM, tokenizer: SequenceTokenizer, folder: Any = None
    ) -> SequenceModel:
        """Return a model of a network and its tokenizer, without a prior or a training set."""
        nothing = np.zeros(0)
        prior = Prior(nothing.astype(np.int64), nothing.reshape(0, 0), (), nothing)
        return cls(name, denoiser, tokenizer, prior, None, {}, folder)

    def __repr__(self) -> str:
        return f"SequenceModel({self.name!r})"

    def digest(self) -> str:
        """Return a digest of the files that rows depend on; empty for a model in memory."""
        if self.folder is None:
            return ""
        return digest(path for name in FILES if (path := self.folder / name).is_file())

    def settings_of(self, given: dict[str, Any], base: Settings | None = None) -> Settings:
        """Return settings by name; see :func:`molgen.sampling.keywords.settings_from`.

        Raises:
            MolgenError: if one is unknown, out of range, or for molecules or targets alone.
        """
        found, usual = settings_from(given, lambda tuned: {}, base), from_words({})
        for option in OPTIONS.values():
            if option.name in UNUSED and getattr(found, option.name) != getattr(usual, option.name):
                raise MolgenError(
                    f"{option.key} is {option.write(getattr(found, option.name))}, expected "
                    f"{option.default}: a masked language model has no targets, no quality head "
                    "and no molecules"
                )
        if found.goal_weights:
            raise MolgenError("goal_weights is given, expected none: there are no targets")
        return found

    @with_settings
    @checked
    def sample(
        self,
        n: int = 1,
        template: str | Sequence[str] | None = None,
        length: int | None = None,
        seed: int = 0,
        first: int = 0,
        check: Callable[..., object] | None = None,
        *,
        settings: Settings | None = None,
        progress: bool = True,
        **given: Unpack[SettingWords],
    ) -> Result[SequenceCounts]:
        """Draw ``n`` rows for each template, or of a length.

        Args:
            n: rows for each template.
            template: texts with ``[MASK]`` for each token to draw, ``[MASK*13]`` for thirteen; of
                ``k``, row ``i`` has number ``i mod k``.
            length: in place of a template, masks alone, as many.
            seed: the same seed gives the same rows, and fewer rows are a prefix of more.
            first: index of the first row, to continue an earlier call.
            check: whether a text is valid, for the retries of ``adapt``.
            settings: to start from in place of the default ones.
            progress: whether to show a bar.
            **given: settings of sampling.

        Returns:
            A table with the columns ``index, raw, nfe``, with ``adapt`` also ``tries``. After an
            interrupt (Ctrl-C) these are the rows that have ended, and the reason says so.

        Raises:
            MolgenError: if a template or a setting is invalid, before anything is drawn.
        """
        chosen = self.settings_of(dict(given), settings)
        templates = self.templates(template, length)
        n, first = whole("n", n, 0), whole("first", first, 0)
        request = SequenceRequest(n, templates, whole("seed", seed, 0), first, chosen)
        with Bar(n * len(templates), "row", shown=progress) as bar:
            samples, ended = finished(lambda on_done: self.draw(request, check, on_done), bar.add)
        table = self.table(samples, first)
        if ended is not None:
            table["index"] = first + ended
        counts = SequenceCounts(
            drawn=len(table),
            forwards=int(samples.nfe.sum()),
            distinct=int(table["raw"].nunique()),
        )
        counts.fates[Fate.ACCEPTED] = len(table)
        reason = COMPLETE if ended is None else INTERRUPTED
        return Result(table, counts, n * len(templates), reason, request, model=self)

    def templates(
        self, template: str | Sequence[str] | None, length: int | None
    ) -> tuple[str, ...]:
        """Return the templates of a call.

        Raises:
            MolgenError: if there is none, or both a template and a length are given.
        """
        if (template is None) == (length is None):
            given = "both are" if length is not None else "neither is"
            raise MolgenError(f"{given} given, expected a template or a length")
        if length is not None:
            return (f"[MASK*{whole('length', length, 1, LONGEST)}]",)
        found = (template,) if isinstance(template, str) else tuple(template or ())
        if not 1 <= len(found) <= LONGEST:
            raise MolgenError(f"template has {len(found)} texts, expected 1 to {LONGEST}")
        return found

    def draw(
        self,
        request: SequenceRequest,
        check: TextCheck | None = None,
        on_done: OnDone | None = None,
    ) -> Samples:
        """Draw tokens; see :meth:`sample` and :meth:`molgen.sampling.sampler.Stepping.run`.

        Raises:
            MolgenError: if a template is too long, or has no mask.
        """
        settings, rows = request.settings, [self._row(text) for text in request.templates]
        recipe = resolve(self, settings, {})
        which = (request.first + np.arange(request.n * len(rows))) % len(rows)
        tokens = padded(rows, self.tokenizer.pad_id)[which]
        lengths = np.array([len(row) for row in rows])[which]
        given = Given(tokens, fixed=tokens != self.tokenizer.mask_id)
        job = Job(lengths, None, request.seed, request.first, given=given)
        if settings.adapt is not None:
            check_until(settings.adapt, check)
        elif check is not None:
            raise MolgenError("check is given, expected adapt, such as remask:until=valid")
        with factory.sampler(recipe) as sampler:
            if settings.adapt is not None:
                ids = self.tokenizer.mask_id, self.tokenizer.pad_id, tokens.shape[1]
                accept = SequenceCheck(self.tokenizer, check)
                sampler = AdaptiveSampler(sampler, settings.adapt, accept, *ids)
            return sampler.run(job, on_done)

    def _row(self, template: str) -> list[int]:
        """Return the ids of a template.

        Raises:
            MolgenError: if it has no mask, is too long, or has a part that is no token.
        """
        if not isinstance(template, str):
            raise MolgenError(f"template is {template!r}, expected text")
        row, longest = self.tokenizer.encode(template), self.denoiser.max_length
        if self.tokenizer.mask_id not in row:
            raise MolgenError(f"template {template[:60]!r} has no mask, expected [MASK]")
        if len(row) > longest:
            raise MolgenError(
                f"template {template[:60]!r} has {len(row)} tokens, expected at most {longest}"
            )
        return row

    def table(self, samples: Samples, first: int = 0) -> pd.DataFrame:
        """Return the table of drawn rows; see :meth:`sample` for its columns."""
        import pandas as pd

        texts = self.texts(samples.tokens)
        columns: dict[str, Any] = {
            "index": first + np.arange(len(texts)),
            "raw": texts,
            "nfe": samples.nfe,
        }
        if isinstance(samples, AdaptiveSamples):
            columns["tries"] = samples.tries
        return pd.DataFrame(columns)

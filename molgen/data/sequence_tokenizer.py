"""The tokenizer of a pretrained model: any text <-> rows of ids with the special tokens in place.

    a template      Paris is the [MASK] of France.       EVQL[MASK*13]WGQG
    its ids         [CLS] paris is the [MASK] of ...     [CLS] E V Q L [MASK] [MASK] ...

``[MASK]`` stands for the mask token of any tokenizer, which may be written in its own way, too
(``<mask>``), and ``[MASK*13]`` for thirteen of them. Where all tokens are single letters, as for
proteins, texts are read and written letter by letter, without blanks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from molgen.data.tokenizer import MASK, Tokenizer
from molgen.errors import MolgenError
from molgen.utils.json_files import shown

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

MASKS = re.compile(r"\[MASK(?:\*(?P<count>[1-9]\d{0,4}))?\]")
MARKED = re.compile(r"[<\[].+[>\]]")  # <cls>, [unused1]


class SequenceTokenizer(Tokenizer):
    """A tokenizer of ``transformers``.

    Attributes:
        backend: the tokenizer.
        special: ids that are never drawn: special tokens, and ids without a token.
        letters: whether all other tokens are single letters.
    """

    def __init__(self, backend: PreTrainedTokenizerBase, vocab_size: int) -> None:
        """Read the vocabulary.

        Args:
            backend: the tokenizer.
            vocab_size: of the network, which may have more ids than the tokenizer has tokens.

        Raises:
            MolgenError: if it has no mask token, or one that the network does not know.
        """
        self.backend, self.representation = backend, "text"
        mask, pad = backend.mask_token_id, backend.pad_token_id
        if not isinstance(mask, int) or not 0 <= mask < vocab_size:
            raise MolgenError(
                f"mask token of the tokenizer is {mask}, expected an id below the network's "
                f"vocab_size, {vocab_size}"
            )
        self._mask_id = mask
        self._pad_id = pad if isinstance(pad, int) else vocab_size  # rows run without padding
        self.vocab = [""] * vocab_size
        for token, i in backend.get_vocab().items():
            if 0 <= i < vocab_size:
                self.vocab[i] = token
        self.special = {*backend.all_special_ids, mask}
        self.special |= {i for i, token in enumerate(self.vocab) if not token}
        words = {i: token for i, token in enumerate(self.vocab) if i not in self.special}
        marked = {i for i, token in words.items() if MARKED.fullmatch(token)}
        self.letters = all(len(words[i]) == 1 for i in words.keys() - marked)
        if self.letters:
            self.special |= marked

    @property
    def pad_id(self) -> int:
        """Id of the padding token; an id beyond the vocabulary if there is none."""
        return self._pad_id

    @property
    def mask_id(self) -> int:
        """Id of the mask token."""
        return self._mask_id

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text or a template, with the special tokens of a whole row.

        Raises:
            MolgenError: if a part of it is no token.
        """
        mask = str(self.backend.mask_token)
        written = MASKS.sub(lambda found: mask * int(found["count"] or 1), text)
        if self.letters:
            symbols = re.findall(rf"{re.escape(mask)}|\S", written)
            unknown = [each for each in symbols if each not in self.vocab]
            if unknown:
                raise MolgenError(
                    f"template {shown(text)} has {unknown[0]!r}, expected letters of the "
                    f"tokenizer or {MASK}"
                )
            written = " ".join(symbols)
        ids = [int(i) for i in self.backend(written, verbose=False)["input_ids"]]
        unknown_id, mark = self.backend.unk_token_id, str(self.backend.unk_token)
        if unknown_id is not None and ids.count(unknown_id) > written.count(mark):
            raise MolgenError(f"template {shown(text)} has a part that is no token, expected none")
        if ids.count(self.mask_id) != written.count(mask):
            raise MolgenError(f"template {shown(text)} has masks that are no tokens of their own")
        return ids

    def masks(self, length: int) -> list[int]:
        """Return the ids of a row of masks, with the special tokens of a whole row."""
        return self.encode(f"{MASK[:-1]}*{length}]")

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids, without special tokens."""
        if self.letters:
            return "".join(self.vocab[i] for i in ids if i not in self.special)
        kept = [int(i) for i in ids if i != self.pad_id]
        return str(self.backend.decode(kept, skip_special_tokens=True))

    def fast(self) -> PreTrainedTokenizerFast:
        """Return the tokenizer itself."""
        return self.backend  # type: ignore[return-value]

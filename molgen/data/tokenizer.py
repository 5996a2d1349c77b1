"""Text <-> token ids, for SMILES and SELFIES.

Texts are split as in :mod:`molgen.molecules.smiles`. Tokenizers are Hugging Face fast tokenizers
with a word-level vocabulary, so a checkpoint carries its tokenizer as plain JSON.

Ids are laid out as ``[tokens of the corpus..., [PAD], [MASK]]``: the mask is always the last id.
A text that the vocabulary does not cover raises :class:`TokenError`, which points at the character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from molgen.errors import MolgenError
from molgen.molecules.smiles import PATTERNS, TokenError, split
from molgen.utils.hints import one_of
from molgen.utils.json_files import read_json, shown

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, MASK = "[PAD]", "[MASK]"


class _Pattern(Struct):
    Regex: str


class _Splitter(Struct):
    pattern: _Pattern


class _Words(Struct):
    vocab: dict[str, int]


class _Stored(Struct):
    """What is read of ``tokenizer.json``."""

    model: _Words
    pre_tokenizer: _Splitter


def check_vocabulary(vocab: Sequence[str], representation: str, source: str | Path) -> None:
    """Check tokens that were read from a file.

    Args:
        vocab: in id order.
        representation: what they spell.
        source: what an error names.

    Raises:
        MolgenError: if the special ones are not the last two, a token is there twice, or one is no
            token of the representation.
    """
    words, special = tuple(vocab[:-2]), tuple(vocab[-2:])
    if representation not in PATTERNS or special != (PAD, MASK):
        raise MolgenError(
            f"{source}: not a molgen tokenizer (it spells {shown(representation)}, expected "
            f"{' or '.join(PATTERNS)}; its special tokens are {shown(special)})"
        )
    if len(set(vocab)) != len(vocab):
        raise MolgenError(f"{source} is damaged: its vocabulary holds a token twice")
    for word in words:
        if re.fullmatch(PATTERNS[representation], word) is None:
            raise MolgenError(
                f"{source} is damaged: {shown(word)} is no token of {representation.upper()}"
            )


def smiles_to_selfies(smiles: str) -> str:
    """Return the SELFIES of a SMILES string.

    Raises:
        MolgenError: if the selfies library cannot encode it, with the library's reason on one line.
    """
    import selfies

    try:
        return str(selfies.encoder(smiles))
    except selfies.EncoderError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise MolgenError(f"no SELFIES for {smiles!r}: {reason}") from error


def selfies_to_smiles(text: str) -> str:
    """Return the SMILES that a SELFIES string stands for (every SELFIES stands for one)."""
    import selfies

    return str(selfies.decoder(text))


class Tokenizer:
    """A molecule tokenizer: a Hugging Face fast tokenizer plus what molgen needs of it.

    Attributes:
        representation: ``"smiles"`` or ``"selfies"``: what the ids spell.
        vocab: the tokens in id order, ``[PAD]`` and ``[MASK]`` last.
    """

    def __init__(self, vocab: list[str], representation: str = "smiles") -> None:
        """Build from tokens in id order.

        Args:
            vocab: distinct tokens; ``[PAD]`` and ``[MASK]`` are appended where they are missing.
            representation: ``"smiles"`` or ``"selfies"``.

        Raises:
            MolgenError: if the representation is not known or a token appears twice.
        """
        if representation not in PATTERNS:
            raise MolgenError(
                f"representation is {representation!r}, {one_of(representation, PATTERNS)}"
            )
        words = [token for token in vocab if token not in (PAD, MASK)]
        if len(set(words)) != len(words):
            raise MolgenError("vocab holds a token twice")
        self.representation = representation
        self.vocab = [*words, PAD, MASK]
        self._id = {token: i for i, token in enumerate(self.vocab)}

    @classmethod
    def from_corpus(cls, texts: Iterable[str], representation: str = "smiles") -> Tokenizer:
        """Collect the vocabulary of a corpus of strings in the given representation."""
        found: set[str] = set()
        for text in texts:
            found.update(split(text, representation))
        return cls(sorted(found), representation)

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return len(self.vocab) - 2

    @property
    def mask_id(self) -> int:
        """Id of the mask token, the last."""
        return len(self.vocab) - 1

    def __len__(self) -> int:
        return len(self.vocab)

    def text(self, smiles: str) -> str:
        """Return a SMILES string in this tokenizer's representation."""
        return smiles_to_selfies(smiles) if self.representation == "selfies" else smiles

    def smiles(self, text: str) -> str:
        """Return the SMILES that a text of this tokenizer's representation stands for."""
        return selfies_to_smiles(text) if self.representation == "selfies" else text

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text.

        Raises:
            TokenError: if a token is not in the vocabulary; it points at the character.
        """
        ids, position = [], 0
        for token in split(text, self.representation):
            if token not in self._id or token in (PAD, MASK):
                raise TokenError(text, position, token)
            ids.append(self._id[token])
            position += len(token)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids; padding is left out, a mask is written as ``[MASK]``."""
        pad = self.pad_id
        return "".join(self.vocab[i] for i in ids if i != pad)

    def fast(self) -> PreTrainedTokenizerFast:
        """Return the Hugging Face fast tokenizer with the same vocabulary."""
        from tokenizers import Regex, models, pre_tokenizers
        from tokenizers import Tokenizer as Backend
        from tokenizers.decoders import Fuse
        from transformers import PreTrainedTokenizerFast

        backend = Backend(models.WordLevel(dict(self._id)))
        pattern = Regex(PATTERNS[self.representation])
        backend.pre_tokenizer = pre_tokenizers.Split(pattern, behavior="isolated")
        backend.decoder = Fuse()
        return PreTrainedTokenizerFast(
            tokenizer_object=backend, pad_token=PAD, mask_token=MASK, padding_side="right"
        )

    def save(self, folder: str | Path) -> None:
        """Write ``tokenizer.json`` and ``tokenizer_config.json`` as Hugging Face does."""
        from molgen.utils.files import staged

        with staged(folder) as aside:
            self.fast().save_pretrained(str(aside))

    @classmethod
    def load(cls, folder: str | Path) -> Tokenizer:
        """Read ``tokenizer.json`` of a checkpoint; needs neither transformers nor torch.

        Raises:
            MolgenError: if the file's vocabulary or pattern is not one that molgen writes.
            OSError: if it cannot be opened.
        """
        path = Path(folder) / "tokenizer.json"
        stored = read_json(path, _Stored)
        ids, pattern = stored.model.vocab, stored.pre_tokenizer.pattern.Regex
        vocab = sorted(ids, key=ids.__getitem__)
        if sorted(ids.values()) != list(range(len(ids))):
            raise MolgenError(f"{path} is damaged: model.vocab does not count its tokens from 0")
        names = [name for name, known in PATTERNS.items() if known == pattern]
        representation = names[0] if names else pattern
        check_vocabulary(vocab, representation, path)
        return cls(vocab, representation)


def padded(
    rows: Sequence[Sequence[int] | NDArray[Any]] | NDArray[Any],
    pad_id: int,
    longest: int | None = None,
) -> NDArray[np.int64]:
    """Return rows of ids one under another, padded at the end.

    Args:
        rows: of any lengths.
        pad_id: id of padding.
        longest: columns; as many as the longest row needs if left out.

    Returns:
        Ids with shape (rows, longest).
    """
    width = max(map(len, rows), default=0) if longest is None else longest
    found = np.full((len(rows), width), pad_id, dtype=np.int64)
    for at, row in zip(found, rows, strict=True):
        at[: len(row)] = row
    return found


def unwritable(smiles: str, tokenizer: Tokenizer, longest: int) -> str:
    """Return why a model cannot write a molecule; empty if it can.

    Args:
        smiles: canonical.
        tokenizer: of the model.
        longest: most tokens of a row.
    """
    try:
        length = len(tokenizer.encode(smiles))
    except TokenError as error:
        return f"holds {split(error.text[error.position :])[0]!r}, unknown to the model"
    if length > longest:
        return f"too long: {length} tokens, expected at most {longest}"
    return ""

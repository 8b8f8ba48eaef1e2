"""SONAR's tokenizer: NLLB's SentencePiece vocabulary with a `<pad>` in front.

A piece's id is one higher than in SentencePiece, because SONAR inserts `<pad>` at index 0: pad 0,
unk 1, bos 2, eos 3. The pieces are followed by one token per language, in the order of the model
card, and by three control tokens of NLLB's training.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from itertools import repeat
from pathlib import Path

from sentencepiece import SentencePieceProcessor

from sonar_cli.errors import CheckpointError, UsageError
from sonar_cli.model.codec.languages import NLLB_LANGUAGES
from sonar_cli.model.codec.tokenizer_json import read_model
from sonar_cli.model.disk import MOST_TOKENIZER, is_there, quoted, read_whole
from sonar_cli.model.names import LANGUAGE_FILES, TOKENIZER_JSON
from sonar_cli.model.shapes import read_json

PAD, UNK, BOS, EOS = 0, 1, 2, 3
CONTROL_TOKENS = ("<MINED_DATA>", "<MMT_BT_DATA>", "<SMT_BT_DATA>")
_WORD = re.compile(r"\w+")
_LANGUAGE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")


class Tokenizer:
    """SONAR's tokenizer over a SentencePiece model and a list of FLORES-200 languages.

    >>> from sonar_cli.hub.resolve import resolve
    >>> tokenizer = Tokenizer.load(resolve().tokenizer)
    >>> ids = tokenizer.source("Lily found a kite.", "eng_Latn")
    >>> ids[0] == tokenizer.lang_id("eng_Latn"), ids[-1] == EOS
    (True, True)
    >>> tokenizer.decode(ids)
    'Lily found a kite.'
    """

    def __init__(
        self, pieces: SentencePieceProcessor, languages: Sequence[str] = NLLB_LANGUAGES
    ) -> None:
        self._pieces = pieces
        self._size = pieces.get_piece_size()
        self.languages = tuple(languages)
        self._lang_ids = {lang: 1 + self._size + i for i, lang in enumerate(self.languages)}

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a SentencePiece file, or a folder that holds one `*.model` or a tokenizer.json.

        A tokenizer_config.json or special_tokens_map.json beside it may list the languages as
        `additional_special_tokens` (Hugging Face's NLLB layout), or tokenizer.json as added tokens;
        otherwise they are NLLB's 202. Raises CheckpointError if there is no readable model.
        """
        file = model_file(path)
        added: list[str] = []
        if file.suffix == ".json":
            model, added = read_model(file)
        else:
            model = read_whole(file, MOST_TOKENIZER)
        try:
            pieces = SentencePieceProcessor(model_proto=model)
            count = pieces.get_piece_size() if model else 0  # it takes no bytes for no file
            if not count or not all(map(math.isfinite, pieces.get_score(list(range(count))))):
                raise ValueError
        except (RuntimeError, ValueError):
            raise CheckpointError(
                f"{file} is not a SentencePiece model, or a damaged one; give --tokenizer a "
                "*.model file"
            ) from None
        return cls(pieces, _languages_beside(file, added))

    @property
    def vocab_size(self) -> int:
        """The number of token ids: pad, pieces, languages and control tokens."""
        return 1 + self._size + len(self.languages) + len(CONTROL_TOKENS)

    def lang_id(self, lang: str) -> int:
        """Return the id of a language's token.

        Raises UsageError for an unknown language, with similar codes in the message.
        """
        try:
            return self._lang_ids[lang]
        except KeyError:
            raise UsageError(_unknown_language(lang, self.languages)) from None

    def pieces(self, text: str) -> list[int]:
        """Return the ids of the text's pieces, without language token and eos."""
        return [piece + 1 for piece in self._pieces.encode(text)]

    def written(self, text: str) -> str:
        """Return the text as the tokenizer writes it: normalized, with `⁇` for unknown pieces."""
        return self.decode(self.pieces(text))

    def is_strange(self, text: str) -> bool:
        """Tell whether a text is written in words that the tokenizer's own texts hardly had.

        A word that they had is one piece, a rare one is several. More than two pieces a word are
        strange; four in all are let pass, so that one name does not make a short text strange.
        """
        words = len(_WORD.findall(text))
        return len(self.pieces(text)) > 2 * words + 4

    def source(self, text: str, lang: str) -> list[int]:
        """Return the encoder's input: `[lang] pieces [eos]`."""
        return [self.lang_id(lang), *self.pieces(text), EOS]

    def target(self, text: str, lang: str) -> list[int]:
        """Return the sequence that the decoder predicts: `[eos] [lang] pieces [eos]`."""
        return [EOS, self.lang_id(lang), *self.pieces(text), EOS]

    def spelling(self, ids: Sequence[int], chances: Sequence[float]) -> float:
        """Return the log-probability of the least likely piece within a word, 0 where none is.

        `chances` are those of `ids`. A word's first piece may be one of many, as a text goes on in
        many ways; which pieces it goes on with is almost sure, unless it is misspelt.
        """
        return min(
            (chance for i, chance in zip(ids, chances, strict=True) if self._is_within(i)),
            default=0.0,
        )

    def _is_within(self, i: int) -> bool:
        """Tell whether a token goes on with a word: its piece has letters and no space before."""
        return EOS < i <= self._size and self._pieces.id_to_piece(i - 1)[0].isalpha()

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids; pad, bos, eos, language and control tokens are dropped."""
        kept = (i - 1 for i in ids if UNK <= i <= self._size and i not in (BOS, EOS))
        return str(self._pieces.decode(list(kept)))


def model_file(path: Path) -> Path:
    """Return the tokenizer's file: the path itself or, of a folder, the one *.model in it.

    A folder without one may have a tokenizer.json instead. Raises CheckpointError for a folder with
    neither, or with several *.model.
    """
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.model"))
    if not found and is_there(path / TOKENIZER_JSON):
        return path / TOKENIZER_JSON
    if len(found) != 1:
        what = "no" if not found else "more than one"
        raise CheckpointError(f"{path} holds {what} SentencePiece *.model; name the file itself")
    return found[0]


def _languages_beside(file: Path, added: Sequence[str]) -> Sequence[str]:
    """Return the languages that a JSON file beside the tokenizer's lists, or `added`, or NLLB's."""
    for names in (*map(_special_tokens, LANGUAGE_FILES, repeat(file.parent)), added):
        languages = [name for name in names if _LANGUAGE.fullmatch(name)]
        # NLLB's own languages keep the order of its weights, even if a file lists them in another.
        if languages and set(languages) != set(NLLB_LANGUAGES):
            return languages
    return NLLB_LANGUAGES


def _special_tokens(name: str, folder: Path) -> list[str]:
    """Return the `additional_special_tokens` that a JSON file lists, if it is there."""
    file = folder / name
    listed = (read_json(file) if is_there(file) else {}).get("additional_special_tokens") or []
    tokens = listed if isinstance(listed, list) else [None]
    names = [each.get("content") if isinstance(each, dict) else each for each in tokens]
    if not all(isinstance(each, str) for each in names) or len(set(names)) < len(names):
        raise CheckpointError(
            f"{file}: additional_special_tokens is {quoted(listed)}, not a list of different tokens"
        )
    return [str(each) for each in names]


def _unknown_language(lang: str, languages: Sequence[str]) -> str:
    wanted = lang.casefold()
    by_folded = {code.casefold(): code for code in languages}
    near = [by_folded[match] for match in difflib.get_close_matches(wanted, by_folded, 5, 0.5)]
    near = near or [code for code in languages if code.startswith(wanted[:2])][:5] or [languages[0]]
    return f"unknown language {lang!r} for this model; near: {', '.join(near)}"

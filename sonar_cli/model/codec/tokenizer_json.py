"""Read NLLB's tokenizer from a tokenizer.json of Hugging Face, as a SentencePiece model.

transformers 5 saves a tokenizer as this file alone. It was made from a SentencePiece model and
holds all that matters of it: the pieces, in order or with their scores, and the table of the
normalization. So the model is put together again, and SentencePiece itself does the rest.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sonar_cli.errors import CheckpointError
from sonar_cli.model.disk import MOST_TOKENIZER
from sonar_cli.model.shapes import read_json

# The first tokens there; in SentencePiece they are <unk> <s> </s>, and all pieces after them have
# an id that is one less.
_FIRST = ["<s>", "<pad>", "</s>", "<unk>"]
# SentencePiece's numbers of the kinds of pieces and models.
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_MODELS = {"Unigram": 1, "BPE": 2}
_SPECIAL = (("<unk>", 0.0, _UNKNOWN), ("<s>", 0.0, _CONTROL), ("</s>", 0.0, _CONTROL))

Piece = tuple[str, float, int]


def read_model(file: Path) -> tuple[bytes, list[str]]:
    """Return the SentencePiece model in a tokenizer.json, and the names of its added tokens.

    The model is what `SentencePieceProcessor(model_proto=...)` reads. Raises CheckpointError for a
    file that is no JSON or that holds another tokenizer than NLLB's.
    """
    raw = read_json(file, MOST_TOKENIZER)
    try:
        added = [str(each["content"]) for each in raw["added_tokens"]]
        model = raw["model"]
        kind = _MODELS[model["type"]]
        pieces = [*_SPECIAL, *_pieces(model, {*added, *_FIRST})]
        charsmap = _charsmap(raw["normalizer"])
        if raw["pre_tokenizer"]["type"] != "Metaspace":
            raise ValueError
        return _serialized(pieces, kind, charsmap, bool(model.get("byte_fallback"))), added
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError):
        raise CheckpointError(
            f"{file} is not NLLB's tokenizer; give --tokenizer a SentencePiece *.model file"
        ) from None


def _pieces(model: Mapping[str, Any], special: set[str]) -> Iterator[Piece]:
    """Yield the pieces in the order of their ids, without special tokens.

    A unigram model has their scores. In BPE a piece's score tells when it is merged: SentencePiece
    merges the pair of the best score first, as here the pair that is first in the list.
    """
    if model["type"] == "Unigram":
        scores = {str(piece): float(score) for piece, score in model["vocab"]}
        names = list(scores)
    else:
        names = sorted(model["vocab"], key=model["vocab"].__getitem__)
        pairs = (pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"])
        merged = dict.fromkeys(left + right for left, right in pairs)
        scores = {piece: -float(rank) for rank, piece in enumerate(merged)}
    if names[: len(_FIRST)] != _FIRST:
        raise ValueError
    for name in names:
        if name not in special:
            if not math.isfinite(score := scores.get(name, -float(len(scores)))):
                raise ValueError
            is_byte = model.get("byte_fallback") and len(name) == 6 and name.startswith("<0x")
            yield name, score, _BYTE if is_byte else _NORMAL


def _charsmap(normalizer: Mapping[str, Any] | None) -> bytes:
    """Return SentencePiece's table of the normalization, empty where nothing is normalized.

    Beside it only the collapsing of spaces is known, which SentencePiece does by itself.
    """
    if normalizer is None:
        return b""
    parts: Sequence[Mapping[str, Any]] = normalizer.get("normalizers", [normalizer])
    if not {each["type"] for each in parts} <= {"Precompiled", "Replace", "Strip"}:
        raise ValueError
    tables = [each["precompiled_charsmap"] for each in parts if each["type"] == "Precompiled"]
    return base64.b64decode(tables[0], validate=True) if tables else b""


def _serialized(pieces: Iterable[Piece], kind: int, charsmap: bytes, bytes_too: bool) -> bytes:
    """Return SentencePiece's ModelProto, whose fields are in its sentencepiece_model.proto."""
    proto = bytearray()
    for text, score, type_ in pieces:
        piece = _block(1, text.encode()) + b"\x15" + struct.pack("<f", score) + _number(3, type_)
        proto += _block(1, piece)
    trainer = _number(3, kind) + _number(35, bytes_too)
    # The name, the table, a space in front, no spaces at the ends or twice, spaces as U+2581.
    normalizer = _block(1, b"precompiled") + _block(2, charsmap)
    normalizer += _number(3, 1) + _number(4, 1) + _number(5, 1)
    return bytes(proto + _block(2, trainer) + _block(3, normalizer))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _block(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Return a number as protobuf writes it: seven bits a byte, the lowest first.

    >>> _varint(300).hex()
    'ac02'
    """
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])

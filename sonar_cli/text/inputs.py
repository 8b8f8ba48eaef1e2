"""Reading what people give: texts and vectors, from files or standard input."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonar_cli.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

STDIN = "-"


def read_bytes(name: str) -> bytes:
    """Read a file, or standard input for "-"; InputError says in one line why it cannot be."""
    if name == STDIN:
        return sys.stdin.buffer.read()
    path = Path(name)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a directory; give the files in it") from None
    except PermissionError:
        raise InputError(f"{name}: no permission to read it") from None


def read_text(name: str) -> str:
    """Read a UTF-8 text that is not empty.

    Raises InputError for a missing file, a directory, an empty text, UTF-16, binary data, and
    for bytes that are not UTF-8, with the offset of the first.
    """
    raw = read_bytes(name)
    shown = "standard input" if name == STDIN else name
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{shown} is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8")
    if (zero := raw.find(b"\0")) >= 0:
        raise InputError(f"{shown} is not a text: there is a NUL byte at offset {zero}")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{shown} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}; "
            "convert it with iconv"
        ) from None
    if not text.replace("\ufeff", "").strip():
        raise InputError(f"{shown} is empty; there is nothing to work on")
    return text


def read_texts(name: str, format: str = "auto") -> dict[str, str]:
    """Read a file's texts by name: one, or with "jsonl" one a line, from objects with a "text".

    "auto" is "jsonl" for a file that ends in .jsonl; any other format is one text. Texts of JSON
    Lines are named `file:line`, lines counted from 1; empty lines are passed over. Raises
    InputError, which names the line.
    """
    if format != "jsonl" and not (format == "auto" and name.endswith(".jsonl")):
        return {name: read_text(name)}
    shown = "standard input" if name == STDIN else name
    texts = {}
    for number, line in enumerate(read_text(name).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
        except (ValueError, TypeError, KeyError):
            text = None
        if not isinstance(text, str):
            raise InputError(f'{shown}: line {number} is no JSON object with a "text"')
        if not text.strip():
            raise InputError(f"{shown}: the text of line {number} is empty")
        texts[f"{name}:{number}"] = text
    return texts


def read_vectors(name: str) -> npt.NDArray[np.float32]:
    """Read sentence vectors (N, D): a .npy array, or JSON Lines with a "vector" in each object.

    Raises InputError for anything else, for no vectors, and for values that are not finite.
    """
    import numpy as np

    raw = read_bytes(name)
    shown = "standard input" if name == STDIN else name
    if not raw:
        raise InputError(f"{shown} is empty; give what `sonar-llm encode` wrote")
    array = _npy(raw, shown) if raw.startswith(b"\x93NUMPY") else _json_lines(raw, shown)
    if array.ndim != 2 or not len(array) or array.dtype.kind not in "fiu":
        raise InputError(
            f"{shown} holds an array of shape {array.shape} and type {array.dtype}, not vectors "
            "(N, D) of numbers"
        )
    vectors = array.astype(np.float32)
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise InputError(f"{shown}: vector {row} holds NaN or infinite values")
    return vectors


def _npy(raw: bytes, shown: str) -> npt.NDArray[Any]:
    import numpy as np

    try:
        array: npt.NDArray[Any] = np.load(io.BytesIO(raw), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{shown} is a broken .npy file ({error}); encode again") from error
    return array


def _json_lines(raw: bytes, shown: str) -> npt.NDArray[Any]:
    import numpy as np

    rows = []
    for number, line in enumerate(raw.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append([float(value) for value in json.loads(line)["vector"]])
        except (ValueError, TypeError, KeyError):
            raise InputError(
                f'{shown}: line {number} is no JSON object with a "vector"; give a .npy array or '
                "what `sonar-llm encode --format jsonl` wrote"
            ) from None
    if len({len(row) for row in rows}) > 1:
        raise InputError(f"{shown}: the vectors differ in length")
    return np.array(rows, dtype=np.float32)

"""Read and write sentence vectors: .npy arrays and the JSON Lines of `sonar-llm encode`."""

from __future__ import annotations

import io
import json
import warnings
from typing import TYPE_CHECKING, Any

from sonar_cli.errors import InputError
from sonar_cli.text.files import read_bytes, shown_name

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def read_vectors(name: str) -> npt.NDArray[np.float32]:
    """Read sentence vectors of shape (N, D) from a .npy array or from JSON Lines.

    `name` is a path, or "-" for standard input. In JSON Lines each object has a "vector", a list
    of D numbers. Raises InputError if the file is unreadable, empty or in another format, and if
    the length of a vector is not finite.
    """
    import numpy as np

    raw = read_bytes(name)
    shown = shown_name(name)
    if not raw:
        raise InputError(f"{shown} is empty; give what `sonar-llm encode` wrote")
    array = _npy(raw, shown) if raw.startswith(b"\x93NUMPY") else _json_lines(raw, shown)
    if array.ndim != 2 or not len(array) or array.dtype.kind not in "fiu":
        raise InputError(
            f"{shown} holds an array of shape {array.shape} and type {array.dtype}, not vectors "
            "(N, D) of numbers"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        vectors = array.astype(np.float32)
        finite = np.isfinite(np.square(vectors).sum(axis=1))
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise InputError(f"{shown}: vector {row} holds NaN or infinite values, or too large ones")
    return vectors


def _npy(raw: bytes, shown: str) -> npt.NDArray[Any]:
    import numpy as np

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a header that only Python 2 has written
            array: npt.NDArray[Any] = np.load(io.BytesIO(raw), allow_pickle=False)
    except Exception:  # NumPy raises whatever a damaged header happens to cause
        raise InputError(
            f"{shown} is a broken .npy file, or holds no numbers; encode again"
        ) from None
    return array


def _json_lines(raw: bytes, shown: str) -> npt.NDArray[Any]:
    import numpy as np

    rows = []
    for number, line in enumerate(raw.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_numbers(json.loads(line)["vector"]))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise InputError(
                f'{shown}: line {number} is no JSON object with a "vector"; give a .npy array or '
                "what `sonar-llm encode --format jsonl` wrote"
            ) from None
    if len({len(row) for row in rows}) > 1:
        raise InputError(f"{shown}: the vectors differ in length")
    return np.array(rows, dtype=np.float32)


def _numbers(vector: Any) -> list[float]:
    """Return the numbers of a list; raise TypeError for another one, or for other values in it."""
    if not isinstance(vector, list) or any(type(each) not in (int, float) for each in vector):
        raise TypeError
    return [float(each) for each in vector]


def npy(array: npt.NDArray[Any]) -> bytes:
    """Return an array as the bytes of a NumPy .npy file."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()

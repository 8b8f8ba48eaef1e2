"""Inputs that people really give."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from sonar_cli.errors import InputError
from sonar_cli.text.arrays import read_vectors
from sonar_cli.text.files import read_text


def test_a_text_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "s.txt"
    file.write_bytes("\ufeffZoë.\r\n".encode())
    assert read_text(str(file)) == "\ufeffZoë.\r\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \r\n\t", "is empty"),
        ("\ufeff".encode(), "is empty"),
        (b"abc\xffd", "byte 0xff at offset 3"),
        (b"ab\0c", "NUL byte at offset 2"),
        ("hi".encode("utf-16") + b"\0", "is not UTF-16: byte 0x00 at offset 6"),
    ],
)
def test_bad_texts(tmp_path: Path, data: bytes, words: str) -> None:
    file = tmp_path / "s.txt"
    file.write_bytes(data)
    with pytest.raises(InputError, match=words):
        read_text(str(file))


def test_places_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_text(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="is a directory"):
        read_text(str(tmp_path))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Hello.")))
    assert read_text("-") == "Hello."


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_vectors(tmp_path: Path, dtype: type) -> None:
    file = tmp_path / "v.npy"
    np.save(file, np.arange(6).reshape(2, 3).astype(dtype))
    vectors = read_vectors(str(file))
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_vectors_from_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "v.jsonl"
    file.write_text('{"text": "a", "vector": [1, 2.5]}\n\n{"vector": [3, 4]}\n')
    assert read_vectors(str(file)).tolist() == [[1, 2.5], [3, 4]]


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"hello", "line 1"),
        (b'{"vector": [1]}\n{"vector": "x"}', "line 2"),
        (b'{"vector": [1]}\n{"vector": [1, 2]}', "differ in length"),
        (_npy(np.zeros((2, 3)))[:-8], "broken .npy"),
        (_npy(np.zeros(3)), r"shape \(3,\)"),
        (_npy(np.zeros((0, 3))), r"shape \(0, 3\)"),
        (_npy(np.array([["a"]])), "type <U1"),
        (_npy(np.array([[1.0], [np.nan]])), "vector 1 holds NaN"),
        (_npy(np.array([[1, None]], dtype=object)), "broken .npy"),
    ],
)
def test_bad_vectors(tmp_path: Path, data: bytes, words: str) -> None:
    file = tmp_path / "v.npy"
    file.write_bytes(data)
    with pytest.raises(InputError, match=words):
        read_vectors(str(file))


@pytest.mark.parametrize("name", ["s.txt/x", "n" * 300])
def test_names_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "s.txt").write_text("One.")
    with pytest.raises(InputError, match=r"(?i)not a directory|too long"):
        read_text(str(tmp_path / name))


def test_a_number_beyond_all_floats(tmp_path: Path) -> None:
    file = tmp_path / "v.jsonl"
    file.write_text('{"vector": [1' + "0" * 400 + "]}")
    with pytest.raises(InputError, match="line 1 is no JSON object"):
        read_vectors(str(file))

"""Texts that are rows: JSON Lines, Parquet (pyarrow), data sets (the library `datasets`)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from sonar_cli.errors import InputError, SonarError, UsageError, counted
from sonar_cli.text.inputs import Text

Notify = Callable[[str], None]
# A row's number, counted from 1, and its values by column; None for a line that is no object.
Row = tuple[int, dict[str, Any] | None]

_NEEDS = "{what} needs the package {package}: pip install 'sonar-llm[train]'"
# Rows of a Parquet file that are in memory at a time.
_ROWS = 1_024


def json_lines(file: Path, column: str, notify: Notify) -> Iterator[Text]:
    """Yield the texts of a JSON Lines file, an object a line, one line in memory at a time.

    Lines without a text are counted and told to `notify`. Raises InputError for a file that cannot
    be opened, or no line of which has the column.
    """
    try:
        opened = file.open("rb")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None
    with opened:
        yield from _texts(str(file), _parsed(opened), column, notify)


def parquet(file: Path, column: str, notify: Notify) -> Iterator[Text]:
    """Yield the texts of a column of a Parquet file; no other column is read.

    Rows without a text are counted and told to `notify`. Raises InputError for a file that cannot
    be read or has no such column, and UsageError without pyarrow.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UsageError(_NEEDS.format(what="reading Parquet", package="pyarrow")) from None
    try:
        with ParquetFile(file) as opened:
            _require(str(file), column, opened.schema_arrow.names)
            batches = opened.iter_batches(_ROWS, columns=[column])
            values = (value for batch in batches for value in batch.column(0).to_pylist())
            found = ((number, {column: value}) for number, value in enumerate(values, 1))
            yield from _texts(str(file), found, column, notify)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{file} cannot be read as Parquet: {_one_line(error)}") from None


def data_set(name: str, split: str, column: str, notify: Notify) -> Iterator[Text]:
    """Yield the texts of a data set, streamed; `name` is that on the Hub or a local folder.

    Rows without a text are counted and told to `notify`. Raises UsageError for a data set or split
    that is not there and without the library, InputError for a column that is not there, and
    SonarError where the stream breaks off.
    """
    try:
        import datasets
    except ImportError:
        raise UsageError(_NEEDS.format(what="a data set", package="datasets")) from None
    datasets.disable_progress_bars()
    for library in ("datasets", "huggingface_hub"):  # each retry would be a warning
        logging.getLogger(library).setLevel(logging.ERROR)
    shown = f"hub:{name}"
    # The library raises whatever its many readers and its HTTP client do.
    try:
        stream = datasets.load_dataset(name, split=split, streaming=True)
    except Exception as error:
        raise UsageError(f"data.path={shown}, split {split!r}: {_one_line(error)}") from None
    if stream.column_names is not None:
        _require(shown, column, stream.column_names)
        stream = stream.select_columns([column])
    yield from _texts(shown, _streamed(stream, shown), column, notify)


def _parsed(lines: Iterable[bytes]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield number, row if isinstance(row, dict) else None


def _streamed(stream: Iterable[dict[str, Any]], name: str) -> Iterator[Row]:
    number = 0
    try:
        for number, row in enumerate(stream, 1):
            yield number, row
    except Exception as error:
        why = _one_line(error)
        raise SonarError(f"{name} broke off after {number} rows: {why}; run again") from None


def _texts(name: str, found: Iterable[Row], column: str, notify: Notify) -> Iterator[Text]:
    """Yield the texts of rows as `name:number`; say in one line how many have none."""
    taken = left = first = 0
    columns: list[str] = []
    for number, row in found:
        text = row.get(column) if row else None
        if _usable(text):
            taken += 1
            yield Text(f"{name}:{number}", text)
        else:
            left, first = left + 1, first or number
            columns = columns or list(row or ())
    if columns and not taken:
        _require(name, column, columns)
    if left:
        rows = counted(left, "row")
        notify(f"{name}: {rows} without text in {column!r} left out, the first is number {first}")


def _usable(text: object) -> TypeGuard[str]:
    """Tell whether a value is a text that is not empty and that UTF-8 can write."""
    if not isinstance(text, str) or not text.strip():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _require(name: str, column: str, columns: Sequence[str]) -> None:
    if column not in columns:
        there = ", ".join(columns)
        raise InputError(f"{name} has no column {column!r}; give data.column, one of: {there}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__

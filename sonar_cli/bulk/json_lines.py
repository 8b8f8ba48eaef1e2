"""JSON Lines, plain or gzipped: cut at lines, read from an offset, written with results."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonar_cli.bulk.records import CHANGED, Row, Shard, beside, usable
from sonar_cli.errors import InputError
from sonar_cli.text.charsets import SURROGATE

if TYPE_CHECKING:
    import pyarrow

    from sonar_cli.bulk.job import BulkOptions
    from sonar_cli.bulk.tasks import Result

# Records at the beginning of a file of which one at least must have the field.
_FIRST = 100


def cut(file: str, how: BulkOptions) -> Iterator[Shard]:
    """Yield the shards of a file, with lines that are not empty as records; see `records.cut`."""
    with closing(_opened(file)) as lines, _broken(file):
        _require(file, list(islice(lines, _FIRST)), how.field)
        lines.seek(0)
        first = start = held = offset = 0
        for number, line in enumerate(lines, 1):
            if line.strip():
                if not held:
                    first, start = number, offset
                held += 1
            offset += len(line)
            if held == how.shard_size:
                yield Shard(0, file, first, start, held)
                held = 0
        if held:
            yield Shard(0, file, first, start, held)


class Reader:
    """Reads shards; a gzipped file is unpacked once, if its shards are read in their order."""

    def __init__(self, how: BulkOptions) -> None:
        self.how = how
        self._file = ""
        self._lines: BufferedIOBase | None = None

    def read(self, shard: Shard) -> JsonRecords:
        """Return the records of a shard."""
        if self._lines is None or self._file != shard.file:
            if self._lines is not None:
                self._lines.close()
            self._file, self._lines = shard.file, _opened(shard.file)
        found: list[Row | InputError] = []
        with _broken(shard.file):
            self._lines.seek(shard.offset)
            for number, line in enumerate(self._lines, shard.first):
                if line.strip():
                    found.append(_parsed(line, number))
                if len(found) == shard.texts:
                    return JsonRecords.of(found, self.how)
        raise InputError(CHANGED.format(file=shard.file))


@dataclass(frozen=True)
class JsonRecords:
    """Records as objects; see `records.Records`."""

    objects: Sequence[Row]
    texts: Sequence[str | InputError]
    field: str

    @classmethod
    def of(cls, found: Sequence[Row | InputError], how: BulkOptions) -> JsonRecords:
        """Return records of parsed lines, or of the errors of those that could not be parsed."""
        texts = [
            each if isinstance(each, InputError) else usable(each.get(how.field), how)
            for each in found
        ]
        objects = [{} if isinstance(each, InputError) else each for each in found]
        return cls(objects, texts, how.field)

    def rows(self) -> list[Row]:
        """Return the fields of each record."""
        return list(self.objects)

    def table(self, schema: pyarrow.Schema | None) -> pyarrow.Table:
        """Return the fields as columns of the schema, or of the types that their values have.

        Raises InputError for a field with values of several kinds.
        """
        import pyarrow

        kinds: dict[str, Any] = dict.fromkeys(name for row in self.objects for name in row)
        if schema is not None:
            kinds = dict(zip(schema.names, schema.types, strict=True))
        columns = {}
        for name, kind in kinds.items():
            values = [row.get(name) for row in self.objects]
            if name == self.field:
                # What is no text has an error, and is kept as it was written.
                values, kind = [_as_text(value) for value in values], pyarrow.string()
            try:
                columns[name] = pyarrow.array(values, kind)
            except (pyarrow.ArrowException, OverflowError):
                raise InputError(
                    f"values of {name!r} are of several kinds, which no column of Parquet holds; "
                    "add --format jsonl"
                ) from None
        return pyarrow.table(columns)


def write(
    path: Path, rows: Sequence[Row], results: Sequence[Result], fields: Sequence[str]
) -> None:
    """Write a line a record: its own fields, then its result's."""
    with path.open("wb") as out:
        for row, result in zip(rows, results, strict=True):
            renamed = beside(list(row), fields)
            record = {renamed[name]: value for name, value in row.items()} | result
            line = json.dumps(record, ensure_ascii=False, default=_plain)
            out.write(line.encode() + b"\n")


def _opened(file: str) -> BufferedIOBase:
    try:
        if file.endswith(".gz"):
            return gzip.open(file)
        return open(file, "rb")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None


@contextmanager
def _broken(file: str) -> Iterator[None]:
    """Name a file whose bytes cannot be read."""
    try:
        yield
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None


def _require(file: str, lines: Sequence[bytes], field: str) -> None:
    """Raise InputError if none of the first records has the field: it is named otherwise."""
    found = [each for each in map(_parsed, lines, range(len(lines))) if isinstance(each, dict)]
    if found and not any(field in each for each in found):
        there = ", ".join(dict.fromkeys(name for each in found for name in each))
        raise InputError(f"{file} has no field {field!r}; give --field, one of: {there}")


def _parsed(line: bytes, number: int) -> Row | InputError:
    try:
        value = json.loads(line)
        if b"\\u" in line:
            # JSON can hold half of a character, which no encoder takes.
            whole = SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False))
            value = json.loads(whole)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return InputError(f"line {number} is no JSON object")
    return value


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Return what JSON has for a value that it does not know: an array's numbers, a date's text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.hex() if isinstance(value, bytes) else str(value)

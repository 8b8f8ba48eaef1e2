"""Inputs of any format: cut into shards, and the records of a shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from sonar_cli.errors import InputError, UsageError

if TYPE_CHECKING:
    import pyarrow

    from sonar_cli.bulk.job import BulkOptions

Row = dict[str, Any]
JSON_LINES = (".jsonl", ".jsonl.gz")
PARQUET = ".parquet"
CHANGED = "{file} has changed since the run began; begin again in another folder"


@dataclass(frozen=True)
class Shard:
    """So many texts of one file, one after the other: what is made, and written, at a time.

    In JSON Lines `first` is the number of its first line, from 1, and `offset` where that begins,
    in bytes of the file as it is when unpacked; in Parquet `first` is the number of its first row,
    from 0.
    """

    number: int
    file: str
    first: int
    offset: int
    texts: int


class Records(Protocol):
    """The records of a shard."""

    @property
    def texts(self) -> Sequence[str | InputError]:
        """The text of each, or why it has none."""

    def rows(self) -> list[Row]:
        """Return the fields of each record; none for one that could not be read."""

    def table(self, schema: pyarrow.Schema | None) -> pyarrow.Table:
        """Return the fields as columns: the file's own, or those of the schema."""


def cut(files: Sequence[str], how: BulkOptions) -> Iterator[Shard]:
    """Yield the shards of the files, each of one file, numbered from 0.

    Reads all lines of JSON Lines, and the end of Parquet. Raises InputError for a file that cannot
    be read or does not have the field, and UsageError for one of another kind.
    """
    from sonar_cli.bulk import json_lines

    number = 0
    for file in files:
        if file.endswith(JSON_LINES):
            found = json_lines.cut(file, how)
        elif file.endswith(PARQUET):
            from sonar_cli.bulk import parquet

            found = parquet.cut(file, how)
        else:
            kinds = ", ".join((*JSON_LINES, PARQUET))
            raise UsageError(f"{file} is none of: {kinds}; other texts are for a command alone")
        for each in found:
            yield replace(each, number=number)
            number += 1


class Reader:
    """Reads shards of any format; the file it is in stays open, so that the next one is near."""

    def __init__(self, how: BulkOptions) -> None:
        from sonar_cli.bulk import json_lines

        self.how = how
        self._json = json_lines.Reader(how)
        self._parquet: Any = None

    def read(self, shard: Shard) -> Records:
        """Return the records of a shard. Raises InputError where the file has changed meanwhile."""
        if shard.file.endswith(JSON_LINES):
            return self._json.read(shard)
        if self._parquet is None:
            from sonar_cli.bulk import parquet

            self._parquet = parquet.Reader(self.how)
        found: Records = self._parquet.read(shard)
        return found


def usable(value: object, how: BulkOptions) -> str | InputError:
    """Return a field's value where it is a text, or why it is none."""
    if value is None:
        return InputError(f"there is no {how.field!r}")
    if not isinstance(value, str):
        return InputError(f"{how.field!r} is no text")
    if not value.strip():
        return InputError(f"{how.field!r} is empty")
    if len(value) > how.max_chars:
        return InputError(
            f"{how.field!r} has {len(value)} characters, more than --max-chars {how.max_chars}"
        )
    return value


def beside(names: Sequence[str], results: Sequence[str]) -> dict[str, str]:
    """Return the names of a record's own fields beside results: `input_` goes before a taken one.

    >>> beside(["id", "summary", "input_summary"], ["summary", "error"])
    {'id': 'id', 'summary': 'input_input_summary', 'input_summary': 'input_summary'}
    """
    taken = {*results, *(name for name in names if name not in results)}
    renamed = {}
    for name in names:
        new = name
        if name in results:
            while new in taken:
                new = f"input_{new}"
            taken.add(new)
        renamed[name] = new
    return renamed

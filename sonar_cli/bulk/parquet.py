"""Parquet, by pyarrow: cut by rows, read as a stream, written with the columns of results."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonar_cli.bulk.records import CHANGED, Row, Shard, beside, usable
from sonar_cli.bulk.tasks import ERROR, Continue, Encode, Summarize, Task
from sonar_cli.errors import InputError, UsageError

try:
    import pyarrow
    from pyarrow.parquet import ParquetFile, write_table
except ImportError:
    raise UsageError(
        "Parquet needs the package pyarrow: pip install 'sonar-llm[parquet]'"
    ) from None

if TYPE_CHECKING:
    from sonar_cli.bulk.job import BulkOptions
    from sonar_cli.bulk.tasks import Result

# Rows that are read at a time, and bytes: columns are read in pieces, however long they are.
_ROWS = 256
_BUFFER = 1 << 20


def cut(file: str, how: BulkOptions) -> Iterator[Shard]:
    """Yield the shards of a file; see `records.cut`."""
    with _broken(file), ParquetFile(file) as opened:
        schema, rows = opened.schema_arrow, opened.metadata.num_rows
    if how.field not in schema.names:
        there = ", ".join(schema.names)
        raise InputError(f"{file} has no column {how.field!r}; give --field, one of: {there}")
    for first in range(0, rows, how.shard_size):
        yield Shard(0, file, first, 0, min(how.shard_size, rows - first))


class Reader:
    """Reads shards, in their order from a stream; memory holds some rows beside the shard's."""

    def __init__(self, how: BulkOptions) -> None:
        self.how = how
        self._file = ""
        self._opened: Any = None
        self._starts: list[int] = []  # of the row groups: the numbers of their first rows
        self._batches: Iterator[Any] = iter(())
        self._left: Any = None  # what is not yet taken of the last batch
        self._row = 0  # the number of the next row

    def read(self, shard: Shard) -> ParquetRecords:
        """Return the records of a shard."""
        with _broken(shard.file):
            if self._file != shard.file:
                self._open(shard.file)
            self._go_to(shard.first)
            table = pyarrow.Table.from_batches(list(self._take(shard.texts)))
        texts = [usable(each, self.how) for each in table[self.how.field].to_pylist()]
        return ParquetRecords(table, texts)

    def _open(self, file: str) -> None:
        if self._opened is not None:
            self._opened.close()
        self._file, self._opened = file, ParquetFile(file, buffer_size=_BUFFER)
        of = self._opened.metadata
        rows = [of.row_group(group).num_rows for group in range(of.num_row_groups)]
        self._starts = [0, *accumulate(rows)]
        self._begin(0)

    def _begin(self, group: int) -> None:
        """Go to the first row of a row group."""
        groups = range(group, len(self._starts) - 1)
        self._batches = self._opened.iter_batches(_ROWS, row_groups=list(groups))
        self._left, self._row = None, self._starts[group]

    def _go_to(self, row: int) -> None:
        """Go to a row; rows of its group that lie before it are read, and let go."""
        if row >= self._starts[-1]:
            raise InputError(CHANGED.format(file=self._file))
        group, now = (bisect_right(self._starts, each) - 1 for each in (row, self._row))
        if row < self._row or (group > now and row > self._row):
            self._begin(group)
        for _ in self._take(row - self._row):
            pass

    def _take(self, count: int) -> Iterator[Any]:
        """Yield the next rows, as record batches."""
        while count > 0:
            if self._left is None or not len(self._left):
                self._left = next(self._batches, None)
            if self._left is None:
                raise InputError(CHANGED.format(file=self._file))
            part = self._left.slice(0, count)
            self._left = self._left.slice(len(part))
            self._row += len(part)
            count -= len(part)
            yield part


@dataclass(frozen=True)
class ParquetRecords:
    """Records as rows of a table; see `records.Records`."""

    columns: pyarrow.Table
    texts: Sequence[str | InputError]

    def rows(self) -> list[Row]:
        """Return the fields of each record."""
        found: list[Row] = self.columns.to_pylist()
        return found

    def table(self, schema: pyarrow.Schema | None) -> pyarrow.Table:
        """Return the file's own columns."""
        return self.columns


def write(
    path: Path, table: pyarrow.Table, results: Sequence[Result], kinds: dict[str, Any]
) -> None:
    """Write a row a record: its own columns, then those of its result, of these types."""
    renamed = beside(table.column_names, list(kinds))
    made = []
    for name, kind in kinds.items():
        values = [result.get(name) for result in results]
        made.append(_vectors(values, kind) if name == "vectors" else pyarrow.array(values, kind))
    # Without the metadata of other libraries, such as the features of a data set: true no more.
    names = [*(renamed[name] for name in table.column_names), *kinds]
    write_table(pyarrow.Table.from_arrays([*table.columns, *made], names), path)


def kinds_of(task: Task, width: int) -> dict[str, Any]:
    """Return the columns of a task's results with their types; vectors have `width` numbers."""
    text, number = pyarrow.string(), pyarrow.float64()
    sentence = {"text": text}
    if not isinstance(task, Encode) and task.options.target_langs:
        sentence["lang"] = text
    if isinstance(task, Continue):
        made = pyarrow.struct({**sentence, "similarity_to_end": number, "fidelity": number})
        kinds = {"continuation": pyarrow.list_(made), "stop_reason": text}
    elif isinstance(task, Summarize):
        whole = dict.fromkeys(("index", "start", "end"), pyarrow.int64())
        source = pyarrow.list_(pyarrow.struct({**whole, "cosine": number}))
        more = {"heading": text, "method": text, "support": number, "sources": source}
        kinds = {"summary": pyarrow.list_(pyarrow.struct({**sentence, **more}))}
    else:
        vector = pyarrow.list_(pyarrow.float32(), width)
        kinds = {"sentences": pyarrow.list_(text), "vectors": pyarrow.list_(vector)}
    return {**kinds, ERROR: text}


def one_schema(tables: Iterator[pyarrow.Table]) -> pyarrow.Schema:
    """Return the schema that holds all tables: all columns, whole numbers as others if need be.

    Raises InputError for a column of several kinds.
    """
    schema = pyarrow.schema([])
    try:
        for table in tables:
            schema = pyarrow.unify_schemas([schema, table.schema], promote_options="permissive")
    except pyarrow.ArrowException as error:
        why = " ".join(str(error).split())
        raise InputError(f"not one table for Parquet ({why}); add --format jsonl") from None
    return schema


def _vectors(values: Sequence[Any], kind: Any) -> Any:
    """Return arrays (N, D) float32 as lists of D numbers each, without a Python object a number."""
    import numpy

    found = [each for each in values if each is not None]
    flat = numpy.concatenate(found) if found else numpy.empty((0, kind.value_type.list_size))
    rows = pyarrow.FixedSizeListArray.from_arrays(
        pyarrow.array(flat.astype(numpy.float32).ravel()), type=kind.value_type
    )
    lengths = [0 if each is None else len(each) for each in values]
    offsets = numpy.concatenate([[0], numpy.cumsum(lengths)]).astype(numpy.int32)
    missing = pyarrow.array([each is None for each in values])
    return pyarrow.ListArray.from_arrays(offsets, rows, type=kind, mask=missing)


@contextmanager
def _broken(file: str) -> Iterator[None]:
    """Name a file that is no Parquet, or ends too early."""
    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"{file} cannot be read as Parquet: {why}") from None

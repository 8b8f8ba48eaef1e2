"""Small inputs: the same records as JSON Lines, gzipped, and as Parquet."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from sonar_cli.world import stories as world

RECORDS: list[dict[str, Any]] = [
    {"id": number, "text": " ".join(story.sentences[: 1 + number % 3]), "score": number / 2}
    for number, story in enumerate(world.stories(7, 11))
]


def json_lines(file: Path, records: list[Any] = RECORDS) -> Path:
    data = "".join(
        (each if isinstance(each, str) else json.dumps(each)) + "\n" for each in records
    ).encode()
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return file


def parquet(file: Path, records: list[dict[str, Any]] = RECORDS, group: int = 4) -> Path:
    import pyarrow
    from pyarrow.parquet import write_table

    write_table(pyarrow.Table.from_pylist(records), file, row_group_size=group)
    return file


def made(folder: Path) -> list[dict[str, Any]]:
    """Return the records of a folder of JSON Lines."""
    return [json.loads(line) for line in whole(folder).splitlines()]


def whole(folder: Path) -> str:
    """Return the shards of a folder of JSON Lines, one after the other."""
    return "".join(file.read_text() for file in sorted(folder.glob("part-*.jsonl")))


def files(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder by its name."""
    found = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}

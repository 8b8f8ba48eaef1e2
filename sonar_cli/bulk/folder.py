"""The folder of a run: what was asked, the shards, and a note of each that is finished.

A shard is finished once its note is there, and the note is written after the shard. So whatever is
ended, and whenever, only unfinished shards are made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sonar_cli.errors import SonarError
from sonar_cli.model.whole import PARTIAL, replacing
from sonar_cli.training.record import require_same

MANIFEST = "_manifest.json"
# Readers of Parquet folders pass over names with a line in front.
_NOTES = "_finished"
_LOCK = "_lock"


@dataclass(frozen=True)
class Note:
    """A finished shard: its number, its file, its texts, and how many of them have an error.

    `cut` is how many sentences were too long for the encoder.
    """

    number: int
    file: str
    texts: int
    errors: int
    cut: int


class Folder:
    """The folder of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = path / MANIFEST
        self._notes = path / _NOTES

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and hold it; raise SonarError where another run is at work in it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / _LOCK, "w") as lock:
            if not _locked(lock.fileno()):
                raise SonarError(f"another run is at work in {self.path}; wait for it to end")
            self._notes.mkdir(exist_ok=True)
            for place in (self.path, self._notes):
                for left in place.glob(f"*{PARTIAL}"):  # by a run that was killed
                    left.unlink(missing_ok=True)
            yield

    def claim(self, asked: Mapping[str, Mapping[str, Any]]) -> None:
        """Write down what is asked. Raises UsageError where shards are there of something else."""
        if any(self._notes.glob("*.json")):
            made = json.loads(self.manifest.read_text(encoding="utf-8"))
            require_same(self.path, made, asked, "give the same options and inputs, or another -o")
            return
        with replacing(self.manifest) as file:
            file.write_text(json.dumps(asked, indent=2, ensure_ascii=False) + "\n", "utf-8")

    def finished(self) -> dict[int, Note]:
        """Return the notes of the finished shards by number."""
        found = [Note(**json.loads(file.read_text("utf-8"))) for file in self._notes.glob("*.json")]
        return {each.number: each for each in found if (self.path / each.file).exists()}

    def finish(self, note: Note) -> None:
        """Note that a shard is finished."""
        with replacing(self._notes / f"{note.number:06}.json") as file:
            file.write_text(json.dumps(asdict(note)) + "\n", "utf-8")


def _locked(file: int) -> bool:
    """Lock an open file until it is closed, or its process ends; tell whether that was possible."""
    try:
        import fcntl
    except ImportError:
        return True  # a system without
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False

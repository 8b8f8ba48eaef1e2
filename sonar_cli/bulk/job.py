"""What is asked of a run over inputs of any size, and what it is known by."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from sonar_cli import __version__
from sonar_cli.bulk.tasks import Task
from sonar_cli.options import InputOptions, ModelPaths, ModelRequest, Runtime

Format = Literal["jsonl", "parquet"]
AskedFormat = Literal["auto", "jsonl", "parquet"]
FORMATS: tuple[AskedFormat, ...] = get_args(AskedFormat)

# Bytes at either end of a file of weights that are hashed: the last ones hold weights, or in the
# zip format of PyTorch the checksums of all tensors.
_ENDS = 1 << 20


@dataclass(frozen=True)
class BulkOptions:
    """How records become shards: the `field` that holds the text, and texts a shard.

    A text of more than `max_chars` characters is an error. The format "auto" is that of the first
    input, or Parquet for vectors.
    """

    field: str = "text"
    shard_size: int = 1_000
    max_chars: int = 1_000_000
    format: AskedFormat = "auto"


@dataclass(frozen=True)
class RayOptions:
    """A map over the shards by Ray: how many workers (None: see `on_ray`), on which cluster."""

    workers: int | None = None
    address: str | None = None


@dataclass(frozen=True)
class Job:
    """A run: a task, the files whose records hold its texts, and the folder that it fills."""

    task: Task
    inputs: tuple[str, ...]
    folder: Path
    request: ModelRequest = field(default_factory=ModelRequest)
    runtime: Runtime = field(default_factory=Runtime)
    reading: InputOptions = field(default_factory=InputOptions)
    how: BulkOptions = field(default_factory=BulkOptions)

    @property
    def predicts(self) -> bool:
        """Whether the model's predictor is needed, and not its codec alone."""
        return self.task.predicts(self.request.model)

    @property
    def format(self) -> Format:
        """The format of the shards."""
        if self.how.format != "auto":
            return self.how.format
        first = self.inputs[0].endswith(".parquet")
        return "parquet" if first or self.task.name == "encode" else "jsonl"

    def asked(self, paths: ModelPaths, texts: int) -> dict[str, dict[str, Any]]:
        """Return all that the results depend on, in sections: what a folder's manifest holds.

        `texts` is how many the inputs have. Where and how fast they are made is not among it.
        Raises OSError for an input that is gone.
        """
        model = {name: value for name, value in asdict(self.request).items() if name != "offline"}
        files = {name: path for name, path in vars(paths).items() if path is not None}
        inputs = {f"input {number}": _state(name) for number, name in enumerate(self.inputs, 1)}
        asked = {
            "made by": {"version": __version__, "command": f"bulk {self.task.name}"},
            "options": asdict(self.task).get("options", {})
            | {"reading": asdict(self.reading), "dtype": self.runtime.dtype}
            | {**asdict(self.how), "format": self.format},
            "model": {**model, "files": {name: content(path) for name, path in files.items()}},
            "inputs": {"texts": texts, **inputs},
        }
        # As it is read again: what was a tuple is a list.
        found: dict[str, dict[str, Any]] = json.loads(json.dumps(asked))
        return found


def _state(name: str) -> dict[str, str | int]:
    found = os.stat(name)
    return {"file": os.path.abspath(name), "bytes": found.st_size, "modified_ns": found.st_mtime_ns}


def content(path: Path) -> str:
    """Return a short hash of a file, or of the files of a folder, wherever it lies.

    It is of the names, the sizes, and a MiB at either end: weights of gigabytes take no time, and
    another training changes the last ones too.
    """
    state = hashlib.blake2b(digest_size=8)
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.is_file():
            size = file.stat().st_size
            state.update(f"{file.name}\0{size}\0".encode())
            with file.open("rb") as opened:
                state.update(opened.read(_ENDS))
                opened.seek(max(0, size - _ENDS))
                state.update(opened.read(_ENDS))
    return state.hexdigest()

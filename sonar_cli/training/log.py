"""The log of a run: JSON Lines, and the same figures for TensorBoard where that is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from sonar_cli.errors import UsageError
from sonar_cli.training.record import write_whole

TENSORBOARD = "tensorboard"


class Log:
    """Appends a run's figures to `log.jsonl` in a folder, from a step on.

    Lines of later steps, which will be done again, and a line that was cut off are dropped first.
    With `also` "tensorboard" the figures also go to events in `folder/tensorboard`. Raises
    UsageError where its library is missing.
    """

    def __init__(self, folder: Path, start: int, also: str | None = None) -> None:
        path = folder / "log.jsonl"
        cut_lines(path, start)
        self._board: Any = None
        if also == TENSORBOARD:
            self._board = _board(folder / TENSORBOARD, start)
        self._file = path.open("a", encoding="utf-8")

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Write the figures that a run has after `step` steps."""
        self._file.write(json.dumps({"step": step, **figures}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def _board(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "TensorBoard is not installed: pip install 'sonar-llm[train]', or leave out --log-to"
        ) from None
    return SummaryWriter(str(folder), purge_step=start)


def cut_lines(path: Path, start: int) -> None:
    """Drop the lines of steps after `start`, which are done again, and what is no such line."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if json.loads(line)["step"] <= start:
                kept.append(line + "\n")
        except (ValueError, TypeError, KeyError):
            continue
    write_whole(path, "".join(kept))

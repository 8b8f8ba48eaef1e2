"""Checkpoints of a run: whole or absent, the last few kept, and a full disk told beforehand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sonar_cli.errors import CheckpointError, TrainingError
from sonar_cli.training.record import ADVICE


class Checkpoints:
    """`checkpoint.pt` in a folder, the newest, and `checkpoint-STEP.pt`, the last `keep` of them.

    With `keep` 1 there is the newest alone.
    """

    def __init__(self, folder: Path, keep: int = 1) -> None:
        self.folder = folder
        self.keep = keep
        self.file = folder / "checkpoint.pt"

    def require_space(self, size: int) -> None:
        """Raise TrainingError where the disk cannot hold what checkpoints of `size` bytes take."""
        found = [each.stat() for each in [*self._numbered(), self.file] if each.exists()]
        # The newest has two names.
        have = sum({each.st_ino: each.st_size for each in found}.values())
        # One is written beside the others before the oldest goes.
        needed = size * (self.keep + 1) - have
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise TrainingError(
                f"the checkpoints in {self.folder} will take {_gigabytes(needed)} more and the "
                f"disk has {_gigabytes(free)} free: make room, or give another folder"
            )

    def write(self, state: Mapping[str, Any], step: int) -> None:
        """Write a state beside the newest checkpoint, then move it into place.

        Raises TrainingError where that fails, on a full disk for instance; the one before stays.
        """
        partial = self.file.with_suffix(".partial")
        try:
            torch.save(state, partial)
            os.replace(partial, self.file)
            if self.keep > 1:
                self._number(step)
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
            raise TrainingError(
                f"{self.file} could not be written after step {step}: {why}; the checkpoint before "
                "it is still there: make room and start again to go on from it"
            ) from error

    def read(self) -> Mapping[str, Any] | None:
        """Return the newest state, None where there is none; CheckpointError where it is broken."""
        if not self.file.exists():
            return None
        try:
            state = torch.load(self.file, map_location="cpu", weights_only=True)
        except OSError:
            raise
        except Exception as error:  # torch raises whatever damaged bytes happen to cause
            raise CheckpointError(self._broken()) from error
        if not isinstance(state, dict):
            raise CheckpointError(self._broken())
        return state

    def discard(self) -> None:
        """Remove all of them."""
        # They must not come back when the new run is killed before its first save.
        for file in [*self._numbered(), self.file]:
            file.unlink(missing_ok=True)

    def _number(self, step: int) -> None:
        numbered = self.folder / f"checkpoint-{step:08}.pt"
        numbered.unlink(missing_ok=True)
        try:
            os.link(self.file, numbered)  # the same bytes under a second name
        except OSError:  # a file system without links
            shutil.copyfile(self.file, numbered)
        known = [each for each in self._numbered() if each <= numbered]
        # Those of later steps are of a run that was taken back to an earlier checkpoint.
        for other in {*self._numbered()} - {*known[-self.keep :]}:
            other.unlink()

    def _numbered(self) -> list[Path]:
        return sorted(self.folder.glob("checkpoint-*.pt"))

    def _broken(self) -> str:
        others = [each for each in self._numbered() if not each.samefile(self.file)]
        earlier = f"rename {others[-1].name} to {self.file.name}, or " if others else ""
        return f"{self.file} is truncated or not a checkpoint: {earlier}give {ADVICE}"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"

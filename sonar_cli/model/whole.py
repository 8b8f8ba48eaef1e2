"""Folders that are made whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def moved_whole(final: Path) -> Iterator[Path]:
    """Make a folder beside its place and, when all is in it, move it there.

    What was in its place goes then; what an earlier one left unfinished goes first, and what is
    made here goes if it cannot be finished.
    """
    partial = final.with_name(f"{final.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(final, ignore_errors=True)
    os.replace(partial, final)

"""Whether the disk has room for what is to be downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from sonar_cli.errors import DownloadError
from sonar_cli.hub import store
from sonar_cli.hub.store import Stated

# Bytes beside the files themselves: links, locks, notes.
_MARGIN = 2**20


def check_space(files: Sequence[Stated]) -> None:
    """Raise DownloadError if the disk of the cache has no room for what these files still lack."""
    needed = sum(file.missing for file in files) + _MARGIN
    place = _there(store.cache())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise DownloadError(
            f"{spoken(needed)} are to be downloaded, but only {spoken(free)} are free in "
            f"{store.cache()}; make room, or set HF_HOME to a folder on a larger disk"
        )


def spoken(size: float) -> str:
    """Return a number of bytes for people.

    >>> spoken(28_400_000), spoken(3_064_513_202), spoken(512)
    ('28 MB', '3.1 GB', '512 bytes')
    """
    if size < 1000:
        return f"{size:.0f} bytes"
    units = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
    unit, name = next(each for each in units if size >= each[0] * 0.9995 or each[1] == "kB")
    return f"{size / unit:.1f} {name}" if size < unit * 9.95 else f"{size / unit:.0f} {name}"


def _there(place: Path) -> Path:
    """Return the nearest folder above a place that is there."""
    return next(each for each in (place, *place.parents) if each.exists())

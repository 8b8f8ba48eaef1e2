"""Which files hold a checkpoint's weights. Needs no torch."""

from __future__ import annotations

import os
from pathlib import Path

from sonar_cli.errors import CheckpointError
from sonar_cli.model.disk import is_there, quoted
from sonar_cli.model.names import WEIGHTS
from sonar_cli.model.shapes import read_json


def locate(path: Path) -> list[Path]:
    """Return the weight files of a checkpoint: the file itself, or what its directory holds.

    A directory holds model.safetensors or pytorch_model.bin, whole or in shards that an
    `*.index.json` lists, or exactly one *.pt. Raises CheckpointError otherwise.
    """
    if not os.path.exists(path):
        raise CheckpointError(f"no checkpoint at {path}; check the path")
    if not os.path.isdir(path):
        return [path]
    for name in WEIGHTS:
        if is_there(path / name):
            return [path / name]
        index = path / f"{name}.index.json"
        if is_there(index):
            return shards(index)
    loose = sorted(path.glob("*.pt"))
    if len(loose) == 1:
        return loose
    raise CheckpointError(f"{path} holds neither {' nor '.join(WEIGHTS)}; name the file itself")


def shards(index: Path) -> list[Path]:
    """Return the files that an index of shards lists, which lie beside it.

    Raises CheckpointError for an index that cannot be read, lists nothing, or names a file
    elsewhere.
    """
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise CheckpointError(f"{index} lists no shards as its weight_map; get it again")
    for name in listed.values():
        if not _is_plain(name):
            raise CheckpointError(
                f"{index} names the shard {quoted(name)}, which is no file beside it; get it again "
                "from a place that you trust"
            )
    return [index.parent / name for name in sorted(set(listed.values()))]


def _is_plain(name: object) -> bool:
    """Tell whether a name is that of a file, without a folder."""
    if not isinstance(name, str) or not name.isprintable() or len(name.encode()) > 255:
        return False
    return name not in ("", ".", "..") and os.path.basename(name) == name and "\\" not in name

"""Read PyTorch's own files, zip archives and older ones: only tensors, and nothing of it is run."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch

from sonar_cli.errors import CheckpointError

# Bytes of the pickle in an archive, which has names and shapes but no weights.
_MOST_PICKLE = 256 << 20
# Pickles before the weights in a file older than archives: a magic number, a version, the system,
# the tensors' names and shapes, and the keys of their memory.
_OLD_PICKLES = 5
# Python ends without a word on a tuple of some 100,000 tuples, each in the next, where that is a
# key; no checkpoint has more than a few.
_DEEPEST = 200


def load_pickled(file: Path) -> Any:
    """Return what torch has saved to a file, mapped from an archive and else read.

    Raises CheckpointError for an archive that torch has not written, and whatever torch raises for
    damaged bytes.
    """
    with file.open("rb") as opened:
        zipped = opened.read(2) == b"PK"
        opened.seek(0)
        if zipped:
            _check_archive(file, opened)
        else:
            _check_old(file, opened)
    with torch.serialization.safe_globals(_STAND_INS):
        return torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)


def _check_archive(file: Path, opened: IO[bytes]) -> None:
    """Raise CheckpointError unless an archive's entries are stored as they are and its pickle flat.

    torch compresses nothing, so that weights can be mapped; of what is compressed it would map
    other bytes.
    """
    size = file.stat().st_size
    with zipfile.ZipFile(opened) as archive:
        entries = archive.infolist()
        if any(each.compress_type != zipfile.ZIP_STORED for each in entries) or (
            sum(each.file_size for each in entries) > size
        ):
            raise CheckpointError(
                f"{file} is a compressed archive, which torch does not write; get it again"
            )
        for each in entries:
            if each.filename.endswith("/data.pkl") and each.file_size <= _MOST_PICKLE:
                _check_depth(file, archive.read(each))  # its checksum is held as well


def _check_old(file: Path, opened: IO[bytes]) -> None:
    if opened.read(1) != b"\x80":
        raise ValueError("no pickle of a protocol that torch has written")
    opened.seek(0)
    for _ in range(_OLD_PICKLES):
        _check_depth(file, opened)


def _check_depth(file: Path, pickle: bytes | IO[bytes]) -> None:
    """Raise CheckpointError if a pickle has tuples in tuples, deeper than any checkpoint has."""
    if max(_depths(pickle), default=0) > _DEEPEST:
        raise CheckpointError(f"{file} is no checkpoint: it is nested too deep")


def _depths(pickle: bytes | IO[bytes]) -> Iterator[int]:
    """Yield how deep in tuples what each operation of a pickle makes may be."""
    stack: list[int | None] = []  # the depths of objects, None for a mark
    memo: dict[Any, int] = {}
    for operation, argument, _ in pickletools.genops(pickle):
        name = operation.name
        if "PUT" in name or name == "MEMOIZE":
            memo[len(memo) if argument is None else argument] = stack[-1] or 0
            continue
        if "GET" in name:
            stack.append(memo.get(argument, 0))
            continue
        if name == "MARK":
            stack.append(None)
            continue
        deepest = max(_taken(stack, operation), default=0)
        deepest += name.startswith("TUPLE")
        stack += [deepest] * len(operation.stack_after)
        yield deepest


def _taken(stack: list[int | None], operation: pickletools.OpcodeInfo) -> Iterator[int]:
    """Take from the stack what an operation takes, and yield the depths."""
    takes = operation.stack_before
    if pickletools.markobject in takes:
        while (depth := stack.pop()) is not None:
            yield depth
        takes = takes[: takes.index(pickletools.markobject)]
    for _ in takes:
        yield stack.pop() or 0


def _stand_in(module: str, name: str) -> type:
    """Return a class of that name that accepts any arguments and state, and ignores them."""
    body = {
        "__module__": module,
        "__init__": lambda self, *_: None,
        "__setstate__": lambda self, _: None,
    }
    return type(name, (), body)


# The authors' training script saves NumPy's random state beside the weights. It is not needed here,
# but torch can read the rest of the file only if it knows classes of these names.
_STAND_INS: list[Any] = [
    _stand_in("numpy", "ndarray"),
    _stand_in("numpy", "dtype"),
    _stand_in("numpy.core.multiarray", "_reconstruct"),  # NumPy 1
    _stand_in("numpy._core.multiarray", "_reconstruct"),  # NumPy 2
]

"""Read checkpoint files as dictionaries of tensors, mapped from disk if the format allows it."""

from __future__ import annotations

import ctypes
import mmap
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sonar_cli.errors import CheckpointError
from sonar_cli.model.names import WEIGHTS
from sonar_cli.model.shapes import read_json

_BROKEN = (
    SafetensorError,
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    OSError,  # from mapping a file that is shorter than its header says
)


def locate(path: Path) -> list[Path]:
    """Return the weight files of a checkpoint: the file itself, or what its directory holds.

    A directory holds model.safetensors or pytorch_model.bin, whole or in shards that an
    `*.index.json` lists, or exactly one *.pt. Raises CheckpointError otherwise.
    """
    if not path.exists():
        raise CheckpointError(f"no checkpoint at {path}; check the path")
    if not path.is_dir():
        return [path]
    for name in WEIGHTS:
        if (path / name).is_file():
            return [path / name]
        index = path / f"{name}.index.json"
        if index.is_file():
            shards = sorted(set(read_json(index).get("weight_map", {}).values()))
            return [path / shard for shard in shards]
    loose = sorted(path.glob("*.pt"))
    if len(loose) == 1:
        return loose
    raise CheckpointError(f"{path} holds neither {' nor '.join(WEIGHTS)}; name the file itself")


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """Return a checkpoint's tensors by name, and the key of the container that they were in.

    Containers are `{"model": ...}`, `{"state_dict": ...}` and `{"model_state_dict": ...}`; the key
    is None for a file without one. Only tensors are unpickled, never code. Raises CheckpointError
    for a file that is truncated or not a checkpoint.
    """
    tensors: dict[str, Tensor] = {}
    container = None
    for file in locate(path):
        found, container = _read_file(file)
        tensors.update(found)
    return tensors, container


def forget_pages(tensor: Tensor) -> None:
    """Free the memory of a tensor that is mapped from a file; it is read again when needed.

    Values that were written to the tensor are lost. Only whole pages are freed. Does nothing if the
    tensor is not privately mapped from a file, or if the system has no /proc/self/maps.
    """
    size = mmap.PAGESIZE
    start = -(-tensor.data_ptr() // size) * size
    end = (tensor.data_ptr() + tensor.nbytes) // size * size
    if start < end and _is_mapped_file(start, end):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def _is_mapped_file(start: int, end: int) -> bool:
    try:
        table = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    for line in table.splitlines():
        addresses, mode, *_, name = line.split(maxsplit=5)
        first, last = (int(address, 16) for address in addresses.split("-"))
        if first <= start and end <= last:
            return mode.endswith("p") and name.startswith("/")
    return False


def _read_file(file: Path) -> tuple[dict[str, Tensor], str | None]:
    try:
        if file.suffix == ".safetensors":
            with safe_open(str(file), framework="pt") as opened:
                return {name: opened.get_tensor(name) for name in opened.keys()}, None  # noqa: SIM118
        return _unwrap(_torch_load(file), file)
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint file {file}; is the download complete?") from None
    except _BROKEN as error:
        reason = _reason(error)
        raise CheckpointError(
            f"{file} is truncated or not a checkpoint ({reason[:120]}); get it again"
        ) from error


def _reason(error: Exception) -> str:
    if unsupported := re.search(r"Unsupported global: GLOBAL (\S+)", str(error)):
        return f"it holds a {unsupported[1]}, not only tensors"
    return (str(error).strip().splitlines() or ["empty file"])[0]


def _torch_load(file: Path) -> Any:
    # Mapping needs the zip format of torch >= 1.6; older files are read whole.
    with file.open("rb") as opened:
        zipped = opened.read(2) == b"PK"
    with torch.serialization.safe_globals(_STAND_INS):
        return torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)


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


def _unwrap(loaded: Any, file: Path) -> tuple[dict[str, Tensor], str | None]:
    container = None
    if isinstance(loaded, dict):
        for key in ("model_state_dict", "state_dict", "model"):
            if isinstance(loaded.get(key), dict):
                loaded, container = loaded[key], key
                break
    if not isinstance(loaded, dict):
        raise CheckpointError(f"{file} holds no table of tensors; is it a checkpoint?")
    return {str(k): v for k, v in loaded.items() if isinstance(v, Tensor)}, container

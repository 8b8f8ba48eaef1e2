"""Read checkpoint files as dictionaries of tensors, mapped from disk if the format allows it."""

from __future__ import annotations

import ctypes
import mmap
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from sonar_cli.errors import CheckpointError
from sonar_cli.model.disk import opened, shown
from sonar_cli.model.pickles import load_pickled
from sonar_cli.model.weights import locate


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
        if twice := sorted(found.keys() & tensors.keys()):
            raise CheckpointError(f"{file} holds {shown(twice[0])}, as another shard does")
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
    with opened(file):
        pass  # the libraries tell less of a file that cannot be opened
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, which are no words for users
            found, container = _contents(file)
    except CheckpointError:
        raise
    except Exception as error:  # the libraries raise whatever damaged bytes happen to cause
        if isinstance(error, MemoryError) or "allocate" in str(error):
            raise CheckpointError(
                f"{file} takes more memory than there is: it is damaged, or too large for this "
                "machine"
            ) from error
        raise CheckpointError(
            f"{file} is truncated or not a checkpoint{_reason(error)}; get it again"
        ) from error
    return {name: _plain(file, name, tensor) for name, tensor in found.items()}, container


def _contents(file: Path) -> tuple[dict[str, Tensor], str | None]:
    if file.suffix == ".safetensors":
        with safe_open(str(file), framework="pt") as weights:
            return {name: weights.get_tensor(name) for name in weights.keys()}, None  # noqa: SIM118
    return _unwrap(load_pickled(file), file)


def _reason(error: Exception) -> str:
    if unsupported := re.search(r"Unsupported global: GLOBAL (\S+)", str(error)):
        return f" (it holds a {shown(unsupported[1])}, not only tensors)"
    return ""


def _plain(file: Path, name: str, tensor: Tensor) -> Tensor:
    """Return a tensor whose numbers all lie one behind the other, copied if they do not.

    Raises CheckpointError for a tensor of another kind, or of more numbers than are stored.
    """
    dense = type(tensor) in (Tensor, nn.Parameter) and tensor.layout == torch.strided
    if not dense or tensor.device.type != "cpu" or tensor.is_quantized:
        raise CheckpointError(f"{file}: {shown(name)} is no plain tensor; get it again")
    if tensor.nbytes > tensor.untyped_storage().nbytes():
        raise CheckpointError(
            f"{file}: {shown(name)} has more numbers than are stored of it; get it again"
        )
    return tensor.contiguous()


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

"""Int8 weights on disk: quantized once, stored beside their source, then mapped from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sonar_cli.model.fast.groups import groups, joined_bias, replace
from sonar_cli.model.fast.int8 import Int8Linear, Int8Weights, quantize
from sonar_cli.model.weights import locate
from sonar_cli.model.whole import replacing

# Version of the file's contents; raise it when the same source gives other contents.
_FORMAT = "3"
# The key of the checksum beside the identity of the source.
_CHECKSUM = "checksum"
# Bytes of a source above which a file saves time: 64 MiB.
_WORTH_KEEPING = 2**26

Notify = Callable[[str], None]


def quantized(model: nn.Module, source: Path, notify: Notify | None = None) -> None:
    """Replace all linear maps of a model by int8 ones, in place.

    `source` is the checkpoint that the model was loaded from. The int8 weights come from a file
    beside it, or in the user's cache if its folder is read-only. If there is no such file, if it is
    damaged, or if the source has changed since, the weights are quantized and stored, and `notify`
    gets one line about it. They are not stored for a small source, or if neither place is writable.
    """
    if sum(file.stat().st_size for file in locate(source)) < _WORTH_KEEPING:
        return _replace(model, _quantize_all(model).__getitem__)
    identity = _identity(source)
    found = {file: _condition(file, identity) for file in places(source)}
    kept = next((file for file in found if found[file] == "good"), None)
    if kept is None:
        damaged = next((f"{file} is damaged: " for file in found if found[file] == "damaged"), "")
        if notify:
            notify(f"{damaged}quantizing {source} to int8, {'again' if damaged else 'once'}")
        tensors = _quantize_all(model)
        kept = next((f for f in places(source) if _write(f, tensors, identity)), None)
        if kept is None:
            return _replace(model, tensors.__getitem__)
        tensors.clear()
    with safe_open(str(kept), framework="pt") as opened:
        _replace(model, opened.get_tensor)


def places(source: Path) -> list[Path]:
    """Return the files that may hold the int8 weights of a source, the preferred one first."""
    beside = source / "int8.safetensors" if source.is_dir() else source.with_suffix(".int8")
    name = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:24]
    return [beside, default_folder() / f"{name}.safetensors"]


def default_folder() -> Path:
    """Return the folder, in the user's cache, of the weights whose own cannot be written to."""
    from platformdirs import user_cache_path

    return user_cache_path("sonar-llm", False) / "int8"


def _identity(source: Path) -> dict[str, str]:
    files = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in locate(source)]
    return {"format": _FORMAT, "source": json.dumps(files)}


def _condition(file: Path, identity: dict[str, str]) -> Literal["good", "other", "damaged"]:
    """Tell whether a file holds the int8 weights of a source whole; "other" is of another one."""
    if not file.is_file():
        return "other"
    try:
        with safe_open(str(file), framework="pt") as opened:
            found = opened.metadata() or {}
            checksum = found.pop(_CHECKSUM, None)
            if found != identity:
                return "other"
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            return "good" if checksum == _checksum(tensors) else "damaged"
    except Exception:  # the library raises whatever damaged bytes happen to cause
        return "damaged"


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """Return a digest of names, shapes and the sums of the bytes, eight at a time.

    Any one changed byte changes a sum, which takes a sixth of the time that a CRC does.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        raw = tensor.contiguous().numpy().reshape(-1).view("uint8")
        words = len(raw) // 8 * 8
        sums = int(raw[:words].view("int64").sum()), int(raw[words:].sum())
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)} {sums}\n".encode())
    return digest.hexdigest()


def _quantize_all(model: nn.Module) -> dict[str, Tensor]:
    tensors = {}
    for group in groups(model, smallest=0):
        weights = quantize(group.maps)
        for field in fields(Int8Weights):
            tensors[f"{group.path}.{field.name}"] = getattr(weights, field.name)
    return tensors


def _write(file: Path, tensors: dict[str, Tensor], identity: dict[str, str]) -> bool:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as partial:
            save_file(tensors, partial, identity | {_CHECKSUM: _checksum(tensors)})
    except (OSError, SafetensorError):
        return False
    return True


def _replace(model: nn.Module, tensor: Callable[[str], Tensor]) -> None:
    def make(path: str, maps: Sequence[nn.Linear]) -> nn.Module:
        parts = (tensor(f"{path}.{field.name}") for field in fields(Int8Weights))
        return Int8Linear(Int8Weights(*parts), joined_bias(maps))

    replace(model, make, smallest=0)

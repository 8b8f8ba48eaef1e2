"""Int8 weights on disk: quantized once, kept beside their source, mapped ever after."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sonar_cli.model.fast.groups import groups, joined_bias, replace
from sonar_cli.model.fast.int8 import Int8Linear, Int8Weights, quantize
from sonar_cli.model.files import locate

# Changes whenever the same source would give another file.
_FORMAT = "2"
# Bytes of a source from which on a file saves time.
_WORTH_KEEPING = 2**26

Notify = Callable[[str], None]


def quantized(model: nn.Module, source: Path, notify: Notify | None = None) -> None:
    """Replace all linear maps of a model read from `source` by int8 ones, in place.

    The int8 weights come from the file beside the source, or in the user's cache where that
    folder cannot be written to. When there is none, or the source has changed since, it is
    made, and `notify` is told so in one line. Nothing is kept of a small source, or where
    neither place can be written.
    """
    if sum(file.stat().st_size for file in locate(source)) < _WORTH_KEEPING:
        return _replace(model, _quantize_all(model).__getitem__)
    identity = _identity(source)
    kept = next((file for file in places(source) if _is_of(file, identity)), None)
    if kept is None:
        if notify:
            notify(f"quantizing {source} to int8, once")
        tensors = _quantize_all(model)
        kept = next((f for f in places(source) if _write(f, tensors, identity)), None)
        if kept is None:
            return _replace(model, tensors.__getitem__)
        tensors.clear()
    with safe_open(str(kept), framework="pt") as opened:
        _replace(model, opened.get_tensor)


def places(source: Path) -> list[Path]:
    """Return where the int8 weights of a source may lie, the best place first."""
    from platformdirs import user_cache_path

    beside = source / "int8.safetensors" if source.is_dir() else source.with_suffix(".int8")
    name = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:24]
    return [beside, user_cache_path("sonar-llm", False) / "int8" / f"{name}.safetensors"]


def _identity(source: Path) -> dict[str, str]:
    files = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in locate(source)]
    return {"format": _FORMAT, "source": json.dumps(files)}


def _is_of(file: Path, identity: dict[str, str]) -> bool:
    try:
        with safe_open(str(file), framework="pt") as opened:
            return bool(opened.metadata() == identity)
    except (OSError, SafetensorError):
        return False


def _quantize_all(model: nn.Module) -> dict[str, Tensor]:
    tensors = {}
    for group in groups(model, smallest=0):
        weights = quantize(group.maps)
        for field in fields(Int8Weights):
            tensors[f"{group.path}.{field.name}"] = getattr(weights, field.name)
    return tensors


def _write(file: Path, tensors: dict[str, Tensor], identity: dict[str, str]) -> bool:
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, identity)
        os.replace(partial, file)
    except (OSError, SafetensorError):
        partial.unlink(missing_ok=True)
        return False
    return True


def _replace(model: nn.Module, tensor: Callable[[str], Tensor]) -> None:
    def make(path: str, maps: Sequence[nn.Linear]) -> nn.Module:
        parts = (tensor(f"{path}.{field.name}") for field in fields(Int8Weights))
        return Int8Linear(Int8Weights(*parts), joined_bias(maps))

    replace(model, make, smallest=0)

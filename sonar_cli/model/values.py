"""Values of a config.json, held to what a model can have before anything is made of them.

Fields are those of the shapes in `shapes.py`; a `key` is what the file calls one. Each function
raises ValueError that names the key, its value and what is expected. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sonar_cli.model.disk import quoted

# The largest values of whole numbers. No published model comes near one.
MOST_LAYERS = 1024
MOST_WIDTH = 1 << 17
_MOST = {
    "hidden": MOST_WIDTH,
    "embed_dim": MOST_WIDTH,
    "ffn": 1 << 20,
    "layers": MOST_LAYERS,
    "denoiser_layers": MOST_LAYERS,
    "heads": 1024,
    "kv_heads": 1024,
    "head_dim": 4096,
    "vocab_size": 1 << 24,
    "diffusion_steps": 100_000,
    "trained_len": 1 << 31,
    "original_max_len": 1 << 31,
    "candidates": 256,
}
# Of other numbers: the least, whether that itself is one of them, and the largest.
_RANGES = {
    "rms_eps": (0.0, False, 1.0),
    "rope_theta": (0.0, False, 1e15),
    "dropout": (0.0, True, 1.0),
    "factor": (0.0, False, 1e6),
    "low_freq_factor": (0.0, False, 1e6),
    "high_freq_factor": (0.0, False, 1e6),
    "repeat_threshold": (-1.0, True, 2.0),
}
# The longest sentence that asks for a summary, in characters.
_LONGEST_CUE = 2_000

REQUIRED = object()


def whole(key: str, value: Any, most: int, least: int = 1) -> int:
    """Return a whole number within bounds.

    >>> whole("num_hidden_layers", 10**15, 1024)
    Traceback (most recent call last):
    ValueError: num_hidden_layers is 1000000000000000, not a whole number from 1 to 1024
    """
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{key} is {quoted(value)}, not a whole number from {least} to {most}")
    return value


def number(key: str, value: Any, least: float, most: float, closed: bool = True) -> float:
    """Return a number within bounds, of which `least` is one only if they are `closed`."""
    good = type(value) in (int, float) and least <= value <= most and (closed or value > least)
    if not good:
        bounds = f"from {least:g} to {most:g}" if closed else f"above {least:g}, up to {most:g}"
        raise ValueError(f"{key} is {quoted(value)}, not a number {bounds}")
    return float(value)


def field(name: str, raw: Mapping[str, Any], key: str = "", default: Any = REQUIRED) -> Any:
    """Return the value of a shape's field, which the file may call `key`; null is as not given.

    Raises KeyError if it is not given and has no `default`.

    >>> field("heads", {"num_attention_heads": 4}, "num_attention_heads")
    4
    """
    key = key or name
    value = raw.get(key)
    if value is None:
        if default is REQUIRED:
            raise KeyError(key)
        return default
    if name in _MOST:
        return whole(key, value, _MOST[name])
    if name in _RANGES:
        least, closed, most = _RANGES[name]
        return number(key, value, least, most, closed)
    return _FURTHER[name](key, value)


def table(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an object within one, an empty one if it is null or not given."""
    value = raw.get(key)
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{key} is {quoted(value)}, not an object")
    return value or {}


def flag(key: str, value: Any) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{key} is {quoted(value)}, neither true nor false")
    return value


def _cue(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_CUE:
        raise ValueError(f"{key} is {quoted(value)}, not a sentence")
    return value


_FURTHER = {"add_begin": flag, "summary_cue": _cue}

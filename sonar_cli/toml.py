"""Reading TOML, and writing its values."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from sonar_cli.errors import UsageError


def parse(text: str, where: str | Path) -> dict[str, Any]:
    r"""Read TOML; UsageError with the line where it is broken.

    >>> parse("[continue]\nmodel = 'mini'", "config.toml")
    {'continue': {'model': 'mini'}}
    """
    # Python 3.10 has no reader of its own.
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        found: dict[str, Any] = toml.loads(text)
    except toml.TOMLDecodeError as error:
        raise UsageError(f"{where} is not TOML: {error}") from None
    return found


def literal(value: Any) -> str:
    """Return a text, number, truth value or list of them as TOML writes it.

    >>> literal(["a", 0.5, True])
    '["a", 0.5, true]'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(literal, value)) + "]"
    return str(value)

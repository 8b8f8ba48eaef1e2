"""Dataclasses as the schema of TOML files: checked by their fields' types, errors with a remedy."""

from __future__ import annotations

import difflib
import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sonar_cli import toml
from sonar_cli.errors import UsageError

Made = TypeVar("Made")


def shipped(folder: Path) -> list[str]:
    """Return the names of the TOML files that are shipped in a folder."""
    return sorted(file.stem for file in folder.glob("*.toml"))


def load(name: str, folder: Path, what: str) -> dict[str, Any]:
    """Return the values of a TOML file, given by its path or a name of those shipped in `folder`.

    `what` says in errors what such a file is. Raises UsageError for a name or file that is not
    there and for broken TOML.
    """
    known = shipped(folder)
    file = folder / f"{name}.toml" if name in known else Path(name).expanduser()
    if not file.is_file():
        there = ", ".join(known)
        raise UsageError(f"{name}: no such {what}; there are {there}, or give a TOML file")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name}: no {what} in TOML ({error})") from None
    return toml.parse(text, name)


def make(schema: type[Made], raw: Mapping[str, Any], where: str, prefix: str = "") -> Made:
    """Make a dataclass of a table's values; `where` names the file in errors.

    Tables within are dataclasses again. Whole numbers stand for floats too. Raises UsageError for
    an unknown key, with the nearest known one, and for a value of another type.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Train:
    ...     steps: int = 10
    ...     lr: float = 1e-3
    >>> make(Train, {"lr": 1}, "recipe.toml")
    Train(steps=10, lr=1.0)
    >>> make(Train, {"step": 5}, "recipe.toml")
    Traceback (most recent call last):
    sonar_cli.errors.UsageError: recipe.toml: unknown key 'step'; did you mean 'steps'?
    """
    kinds = get_type_hints(schema)
    # A field whose key is no Python name has it in its metadata.
    keys = {each.metadata.get("key", each.name): each.name for each in fields(schema)}  # type: ignore[arg-type]
    values = {}
    for given, value in raw.items():
        key = f"{prefix}{given}"
        if given not in keys:
            raise UsageError(f"{where}: unknown key {key!r}{_near(given, list(keys), prefix)}")
        name = keys[given]
        kind = kinds[name]
        if is_dataclass(kind):
            if not isinstance(value, Mapping):
                raise UsageError(f"{where}: {key} is a table, [{key}], not {_shown(value)}")
            values[name] = make(kind, value, where, f"{key}.")  # type: ignore[arg-type]
        else:
            values[name] = _value(kind, value, f"{where}: {key}")
    return schema(**values)


def override(raw: dict[str, Any], assignment: str) -> None:
    """Set a `key=value` of the command line in a table, in place; dots lead into tables.

    The value is read as TOML, or as plain text where it is none.

    >>> raw = {"train": {"steps": 10}}
    >>> override(raw, "train.steps=20")
    >>> override(raw, "data.path=notes/")
    >>> raw
    {'train': {'steps': 20}, 'data': {'path': 'notes/'}}
    """
    key, equals, text = assignment.partition("=")
    if not equals or not all(key.split(".")):
        raise UsageError(f"{assignment!r} is no key=value, such as train.steps=20")
    *tables, name = key.split(".")
    at = raw
    for table in tables:
        at = at.setdefault(table, {})
        if not isinstance(at, dict):
            raise UsageError(f"{assignment!r}: {table} is no table")
    at[name] = _parsed(text)


def write(values: Mapping[str, Any], table: str = "") -> str:
    """Write nested mappings as TOML, plain values before tables; None is left out.

    >>> print(write({"a": 1, "b": {"c": "x", "d": [1, 2], "e": None}}), end="")
    a = 1
    <BLANKLINE>
    [b]
    c = "x"
    d = [1, 2]
    """
    plain = {k: v for k, v in values.items() if not isinstance(v, Mapping) and v is not None}
    lines = [f"{name} = {toml.literal(value)}" for name, value in plain.items()]
    text = "".join(line + "\n" for line in lines)
    for name, value in values.items():
        if isinstance(value, Mapping):
            path = f"{table}{name}"
            text += f"\n[{path}]\n" + write(value, f"{path}.")
    return text


def _parsed(text: str) -> Any:
    try:
        return toml.parse(f"value = {text}", "")["value"]
    except UsageError:
        return text


def _value(kind: Any, value: Any, where: str) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [each for each in get_args(kind) if each is not type(None)]
        return _value(kinds[0], value, where)
    if choices := get_args(kind) if _is_literal(kind) else ():
        if value not in choices:
            known = ", ".join(map(str, choices))
            raise UsageError(f"{where} is one of {known}, not {_shown(value)}")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{where} is a finite number, not {value}")
    if get_origin(kind) is tuple and isinstance(value, list):
        inner = get_args(kind)[0]
        return tuple(_value(inner, each, where) for each in value)
    wanted = get_origin(kind) or kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise UsageError(f"{where} is {_NAMES.get(wanted, wanted.__name__)}, not {_shown(value)}")
    return value


_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    tuple: "a list",
}


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _near(name: str, names: list[str], prefix: str) -> str:
    near = difflib.get_close_matches(name, names, 1, 0.5)
    if near:
        return f"; did you mean {prefix + near[0]!r}?"
    return f"; known are {', '.join(prefix + each for each in names)}"


def _shown(value: Any) -> str:
    return "a table" if isinstance(value, Mapping) else toml.literal(value)

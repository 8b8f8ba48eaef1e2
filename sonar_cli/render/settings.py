"""Options' values and where they come from, as TOML or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Literal

from sonar_cli import toml
from sonar_cli.render.tables import show


@dataclass(frozen=True)
class OptionValue:
    """The value of a command's option, None for none, and where it comes from.

    `place` is the file's path or the variable's name, `table` the file's table, empty at its top.
    """

    command: str
    option: str
    value: Any
    source: Literal["default", "file", "environment"] = "default"
    place: str | None = None
    table: str | None = None


def print_settings(values: Sequence[OptionValue], format: str) -> None:
    """Print values of options, those of a command together.

    "text" is TOML with the source of each as a comment, "json" an object of commands with an object
    of options each, "jsonl" an object a value.
    """
    if format == "jsonl":
        show(*(json.dumps(asdict(each)) for each in values))
        return
    commands = {command: list(of) for command, of in groupby(values, key=lambda each: each.command)}
    if format == "json":
        show(json.dumps({command: _record(of) for command, of in commands.items()}))
    elif not values:
        show("# nothing is set: every option has its default")
    else:
        show("\n\n".join(_table(command, of) for command, of in commands.items()))


def _record(values: Sequence[OptionValue]) -> dict[str, Any]:
    kept = ("value", "source", "place", "table")
    return {each.option: {name: getattr(each, name) for name in kept} for each in values}


def _table(command: str, values: Sequence[OptionValue]) -> str:
    name = command.replace(" ", ".")
    lines = [_assignment(each) for each in values]
    width = max(map(len, lines))
    sources = [_source(each, name) for each in values]
    rows = [f"{line:<{width}}  # {of}" for line, of in zip(lines, sources, strict=True)]
    return "\n".join([f"[{name}]", *rows])


def _assignment(value: OptionValue) -> str:
    if value.value is None:
        return f"# {value.option} ="
    return f"{value.option} = {toml.literal(value.value)}"


def _source(value: OptionValue, table: str) -> str:
    """Name the source; of the file also the table, where it is not the command's own.

    >>> _source(OptionValue("continue", "model", "900m", "file", "/c.toml", ""), "continue")
    'at the top of /c.toml'
    """
    if value.place is None:
        return value.source
    if value.table is None or value.table == table:
        return value.place
    return f"[{value.table}] of {value.place}" if value.table else f"at the top of {value.place}"

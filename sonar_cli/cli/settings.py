"""The configuration file: TOML whose tables are commands and whose keys are their options.

A key at the top, or in the table of a group of commands, is for all commands whose option reads the
variable of that name. What stands in a command's own table wins over both. Click gets the values as
its `default_map`, so that they come after flags and environment variables and before defaults.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from sonar_cli import toml
from sonar_cli.cli.declare import FAULT, Option, variable
from sonar_cli.errors import UsageError

# `SONAR_LLM_CONFIG` is the variable of the option --config.
VARIABLE = "SONAR_LLM_CONFIG_FILE"

# A command's words, such as ("models", "pull").
Words = tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """What the file sets an option to: as it is written, as Click reads it, and in which table."""

    written: Any
    value: str | bool | tuple[str, ...]
    table: str


@dataclass(frozen=True)
class Settings:
    """What a file sets: command -> the option's name in Click -> setting.

    `file` is None where none is read.
    """

    file: Path | None = None
    of: Mapping[Words, Mapping[str, Setting]] = field(default_factory=dict)

    def default_map(self) -> dict[str, Any]:
        """Return the values as Click wants them, the map of a command in that of its group."""
        found: dict[str, Any] = {}
        for words, settings in self.of.items():
            at = found
            for word in words:
                at = at.setdefault(word, {})
            at.update({name: each.value for name, each in settings.items()})
        return found


def place() -> Path | None:
    """Return the path of the configuration file, whether it is there or not; None for no file."""
    named = os.environ.get(VARIABLE)
    if named is None:
        import platformdirs

        return platformdirs.user_config_path("sonar-llm", appauthor=False) / "config.toml"
    return Path(named).expanduser() if named else None


def apply(ctx: click.Context) -> None:
    """Give the program's context what the file sets, or what is wrong with it."""
    try:
        ctx.obj = read(ctx.command)
        ctx.default_map = ctx.obj.default_map()
    except UsageError as fault:
        ctx.meta[FAULT] = fault


def read(program: click.Command) -> Settings:
    """Read the configuration file and check all of it; UsageError names what is wrong with it.

    No file at the default place is no fault, nor a place that cannot be looked into, but a file
    that the variable names has to be there.
    """
    file = place()
    if file is None or not (VARIABLE in os.environ or os.path.exists(file)):
        return Settings(file)
    try:
        # An editor on Windows may put a byte order mark in front.
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: the configuration file cannot be read ({error})") from None
    reader = _Reader(file)
    reader.read(program, toml.parse(text, file), ())
    return Settings(file, reader.found)


def options(at: click.Command, words: Words = ()) -> Iterator[tuple[Words, Option]]:
    """Yield all options of a command, or of all commands of a group, each with its command."""
    if isinstance(at, click.Group):
        for name, each in at.commands.items():
            yield from options(each, (*words, name))
    yield from ((words, each) for each in at.params if isinstance(each, Option))


def near(name: str, names: Iterable[str]) -> str:
    """Return a question for what may have been meant, or nothing.

    >>> near("modle", ["device", "model"])
    "did you mean 'model'?"
    """
    found = difflib.get_close_matches(name, list(names), 1, 0.5)
    return f"did you mean {found[0]!r}?" if found else ""


class _Reader:
    """Collects in `found` what the tables of a file set."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found: dict[Words, dict[str, Setting]] = {}

    def read(self, at: click.Command, table: Mapping[str, Any], words: Words) -> None:
        """Read the table of a command, or of a group and then the tables in it."""
        known = _known(at, words)
        inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
        for key, written in table.items():
            if key not in known and key not in inner:
                problem = f"unknown key {key!r}{_in(words)}; {_meant(key, at, known, words)}"
                raise UsageError(f"{self.file}: {problem}")
            for command, option in () if key in inner else known[key]:
                self._set(command, option, written, words)
        commands = at.commands if isinstance(at, click.Group) else {}
        for name, of in inner.items():
            path = (*words, name)
            if name not in commands:
                meant = near(name, commands) or "tables are the names of commands"
                problem = f"unknown table [{'.'.join(path)}]; {meant}"
                raise UsageError(f"{self.file}: {problem}")
            self.read(commands[name], of, path)

    def _set(self, command: Words, option: Option, written: Any, words: Words) -> None:
        whose = "" if command == words else f" (for `{' '.join(command)}`)"
        where = f"{self.file}: {option.long_name}{_in(words)}{whose}"
        value, table = _checked(option, written, where), ".".join(words)
        settings = self.found.setdefault(command, {})
        other = settings.get(option.instead_of)
        if value and other and other.table != table:
            del settings[option.instead_of]
        settings[str(option.name)] = Setting(written, value, table)


def _in(words: Words) -> str:
    return f" in [{'.'.join(words)}]" if words else ""


def _known(at: click.Command, words: Words) -> dict[str, list[tuple[Words, Option]]]:
    """Return what a table's keys may be, and the options that each is for, with their commands."""
    found: dict[str, list[tuple[Words, Option]]] = {}
    for command, option in options(at, words):
        name = option.long_name
        shared = {variable(name), variable(name, *words)}
        if command == words or shared & set(option.variables):
            found.setdefault(name, []).append((command, option))
    return found


def _meant(key: str, at: click.Command, known: Iterable[str], words: Words) -> str:
    """Return what to write instead of an unknown key, or where."""
    for command, option in options(at, words):
        if f"--{key}" in option.secondary_opts:
            return f"write {option.long_name} = false"
        if key == option.long_name:
            return f"it is for one command alone: put it under [{'.'.join(command)}]"
    return near(key, known) or f"`{' '.join(['sonar-llm', *words, '--help'])}` tells what there is"


def _checked(option: Option, written: Any, where: str) -> str | bool | tuple[str, ...]:
    """Return a value as Click reads it: the text of the command line, or a flag's truth value."""
    ctx = click.Context(click.Command(None))
    takes = _takes(option, ctx)
    value = _value(option, written)
    if value is None:
        shown = "a table" if isinstance(written, Mapping) else toml.literal(written)
        raise UsageError(f"{where} takes {takes}, not {shown}")
    try:
        option.process_value(ctx, value)
    except click.UsageError as error:
        raise UsageError(f"{where} takes {takes}: {error.message}") from None
    return value


def _value(option: Option, written: Any) -> str | bool | tuple[str, ...] | None:
    """Return a value as Click reads it, None for one of a kind that the option never takes."""
    if option.is_flag:
        return written if isinstance(written, bool) else None
    if not option.multiple:
        return _text(written)
    texts = [_text(each) for each in (written if isinstance(written, list) else [written])]
    return None if None in texts else tuple(each for each in texts if each is not None)


def _text(written: Any) -> str | None:
    """Return a value as the command line has it; None for what is neither text nor number."""
    if isinstance(written, str):
        return os.path.expanduser(written) if written.startswith("~/") else written
    number = isinstance(written, (int, float)) and not isinstance(written, bool)
    return repr(written) if number else None


def _takes(option: Option, ctx: click.Context) -> str:
    if option.is_flag:
        return "true or false"
    takes = option.make_metavar(ctx)
    if isinstance(option.type, (click.IntRange, click.FloatRange)):
        takes += f", {option.type._describe_range()}"
    return f"{takes}, or a list of them" if option.multiple else takes

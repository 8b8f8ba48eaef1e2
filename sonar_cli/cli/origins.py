"""Where the value of an option comes from: a variable, the configuration file or its default."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

import click

from sonar_cli.cli.declare import Option
from sonar_cli.cli.settings import Settings, Words, options
from sonar_cli.errors import UsageError
from sonar_cli.render import OptionValue

_STRENGTH = ("default", "file", "environment")
# What is shown in place of a secret.
_HIDDEN = "***"


def origins(at: click.Command, words: Words, settings: Settings) -> Iterator[OptionValue]:
    """Yield the value of each option of a command, or of all commands of a group.

    It is what the command would have without a flag. Raises UsageError for a variable whose value
    the option does not take.
    """
    for command, of in groupby(options(at, words), lambda each: each[0]):
        given = {str(option.name): option for _, option in of}
        found = {name: _origin(command, each, settings) for name, each in given.items()}
        for name, option in given.items():
            other = found.get(option.instead_of)
            if other and other.value and _strength(other) > _strength(found[name]):
                found[name] = _default(command, option)
        for name, value in found.items():
            hidden = given[name].is_secret and value.value
            yield replace(value, value=_HIDDEN) if hidden else value


def set_variables(option: Option) -> Iterator[str]:
    """Yield the variables of an option that are set, the one that counts first."""
    yield from (name for name in option.variables if os.environ.get(name))


def _strength(value: OptionValue) -> int:
    return _STRENGTH.index(value.source)


def _origin(words: Words, option: Option, settings: Settings) -> OptionValue:
    name = next(set_variables(option), None)
    if name is not None:
        value = from_variable(option, name)
        return replace(_default(words, option), value=value, source="environment", place=name)
    setting = settings.of.get(words, {}).get(str(option.name))
    if setting is None:
        return _default(words, option)
    return replace(
        _default(words, option),
        value=setting.written, source="file", place=str(settings.file), table=setting.table,
    )  # fmt: skip


def from_variable(option: Option, name: str) -> Any:
    """Return the value of a variable, a number or truth value where the option takes one.

    Raises UsageError for a value that the option does not take.
    """
    ctx = click.Context(click.Command(None))
    try:
        raw = option.value_from_envvar(ctx)
        value = option.process_value(ctx, raw)
    except click.UsageError as error:
        raise UsageError(f"{name}: {error.message}") from None
    return value if option.callback is None and isinstance(value, (int, float)) else raw


def _default(words: Words, option: Option) -> OptionValue:
    value = option.to_info_dict()["default"]
    if option.is_flag and not option.secondary_opts:
        value = bool(value)
    return OptionValue(" ".join(words), option.long_name, value)

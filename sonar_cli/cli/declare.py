"""Declaring commands: options with sections and variables, and objects made from options."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, TypeVar

import click
from click.core import ParameterSource

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

PREFIX = "SONAR_LLM_"


class Option(click.Option):
    """An option with a section in `--help` and an environment variable.

    The variable is SONAR_LLM_ and the option's long name. An option that means something else in
    another command gives its own `envvar`, with the command's name in it. `instead_of` names an
    option that cannot be given beside this one: on the command line this one wins over the
    other's variable.
    """

    def __init__(
        self, *args: Any, section: str = "Options", instead_of: str = "", **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self.section = section
        self.instead_of = instead_of
        if self.envvar is None:
            long = max(self.opts, key=len)
            self.envvar = PREFIX + long.lstrip("-").replace("-", "_").upper()


class Argument(click.Argument):
    """An argument that `--help` explains."""

    section = "Arguments"

    def __init__(self, *args: Any, metavar: str, help: str, **settings: Any) -> None:
        super().__init__(*args, metavar=metavar, **settings)
        self.record = (metavar, help)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Return the argument's name and its help."""
        return self.record


class Command(click.Command):
    """A command whose function takes the objects that `group` makes from its options."""

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command's function."""
        for each in self.params:
            other = getattr(each, "instead_of", "")
            if other and _given(ctx, each.name) and not _given(ctx, other):
                ctx.params[other] = None
        ctx.params = _made(getattr(self.callback, "groups", {}), ctx.params)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one table of options for each section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                section = getattr(parameter, "section", "Options")
                sections.setdefault(section, []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)


def option(*names: str, section: str = "Options", **settings: Any) -> Decorator[Any]:
    """Declare an option."""
    return click.option(*names, cls=Option, section=section, **settings)


def argument(name: str, metavar: str, help: str, **settings: Any) -> Decorator[Any]:
    """Declare an argument."""
    return click.argument(name, cls=Argument, metavar=metavar, help=help, **settings)


def together(*decorators: Decorator[Any]) -> Decorator[Any]:
    """Apply several decorators, the first one outermost."""

    def decorate(function: Function) -> Function:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def group(name: str, make: Callable[..., Any], *options: Decorator[Any]) -> Decorator[Any]:
    """Declare options, and give the command's function one object made from them.

    The function gets `name=make(...)`, with the values of all options that are named like a
    parameter of `make`, whoever declared them. What no `make` takes goes to the function itself,
    so an option that was renamed in one place alone is an error and never dropped.
    """

    def decorate(function: Function) -> Function:
        function.__dict__.setdefault("groups", {})[name] = make
        return together(*options)(function)

    return decorate


def _given(ctx: click.Context, name: str | None) -> bool:
    return ctx.get_parameter_source(name or "") is ParameterSource.COMMANDLINE


def _made(groups: dict[str, Callable[..., Any]], given: dict[str, Any]) -> dict[str, Any]:
    objects: dict[str, Any] = {}
    taken: set[str] = set()
    for name, make in groups.items():
        names = signature(make).parameters.keys() & given.keys()
        objects[name] = make(**{each: given[each] for each in names})
        taken |= names
    return {name: value for name, value in given.items() if name not in taken} | objects

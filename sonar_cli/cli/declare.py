"""Declaring commands: options with sections and variables, and objects made from options."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from inspect import signature
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from sonar_cli.errors import UsageError

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

PREFIX = "SONAR_LLM_"
# Where the context holds what is wrong with the configuration file.
FAULT = "sonar_cli.settings.fault"
# From the weakest source of a value to the strongest.
_SOURCES = (
    ParameterSource.DEFAULT,
    ParameterSource.DEFAULT_MAP,
    ParameterSource.ENVIRONMENT,
    ParameterSource.COMMANDLINE,
)


class Option(click.Option):
    """An option with a section in `--help` and an environment variable.

    The variable is SONAR_LLM_ and the option's long name. An option that means something else in
    another command gives its own `envvar`, with the command's name in it. `instead_of` names an
    option that cannot be given beside this one: on the command line this one wins over the
    other's variable, and its variable wins over the configuration file. An empty value is refused
    unless it `may_be_empty`. The value of one that `is_secret` is never shown.
    """

    def __init__(
        self,
        *args: Any,
        section: str = "Options",
        instead_of: str = "",
        may_be_empty: bool = False,
        is_secret: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.section = section
        self.instead_of = instead_of
        self.long_name = max(self.opts, key=len).lstrip("-")
        self.may_be_empty = may_be_empty
        self.is_secret = is_secret
        if self.envvar is None:
            self.envvar = variable(self.long_name)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that it is read from; the first that is set counts."""
        return (self.envvar,) if isinstance(self.envvar, str) else tuple(self.envvar or ())

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Read the value or, where there may be several, all of them."""
        if not self.may_be_empty:
            _refuse_empty(self, ctx, value)
        return super().type_cast_value(ctx, value)

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return what an error calls the option, with the variable that it was taken from."""
        variable = ctx and _variable(ctx, self)
        return super().get_error_hint(ctx) + (f" ({variable})" if variable else "")


class Argument(click.Argument):
    """An argument that `--help` explains."""

    section = "Arguments"

    def __init__(self, *args: Any, metavar: str, help: str, **settings: Any) -> None:
        super().__init__(*args, metavar=metavar, **settings)
        self.record = (metavar, help)

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Read the value or, where there may be several, all of them."""
        _refuse_empty(self, ctx, value)
        return super().type_cast_value(ctx, value)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Return the argument's name and its help."""
        return self.record


class Command(click.Command):
    """A command whose function takes the objects that `group` makes from its options.

    It needs a configuration file without faults, unless it is to help with those.
    """

    def __init__(self, *args: Any, helps_with_faults: bool = False, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.helps_with_faults = helps_with_faults

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command's function."""
        fault = ctx.meta.get(FAULT)
        if fault and not self.helps_with_faults:
            raise fault
        for each in self.params:
            other = getattr(each, "instead_of", "")
            if other and ctx.params[each.name] and _source(ctx, each.name) > _source(ctx, other):
                ctx.params[other] = None
        try:
            ctx.params = _made(getattr(self.callback, "groups", {}), ctx.params)
            return super().invoke(ctx)
        except UsageError as error:
            named = _named(ctx, self.params, str(error))
            if not named:
                raise
            raise UsageError(f"{error} (from {named})") from error

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


def context(ctx: click.Context, words: Sequence[str]) -> click.Context:
    """Return the context of the command that is called by `words`; click.UsageError for none."""
    at = ctx.find_root()
    for word in words:
        found = at.command.get_command(at, word) if isinstance(at.command, click.Group) else None
        if found is None:
            raise click.UsageError(f"No such command {word!r}.", at)
        at = click.Context(found, at, info_name=word)
    return at


def variable(name: str, *words: str) -> str:
    """Return the environment variable of an option's long name, in a command or in all.

    >>> variable("beam-size"), variable("format", "evaluate")
    ('SONAR_LLM_BEAM_SIZE', 'SONAR_LLM_EVALUATE_FORMAT')
    """
    return PREFIX + "_".join([*words, name]).replace("-", "_").upper()


def _source(ctx: click.Context, name: str | None) -> int:
    return _SOURCES.index(ctx.get_parameter_source(name or "") or ParameterSource.DEFAULT)


def _refuse_empty(parameter: click.Parameter, ctx: click.Context, value: Any) -> None:
    if "" in (value if isinstance(value, (tuple, list)) else (value,)):
        option = isinstance(parameter, Option)
        taken = f"; give {parameter.make_metavar(ctx)}" if option else ""
        raise click.BadParameter(f"it is empty{taken}.", ctx, parameter)


def _variable(ctx: click.Context, option: Option) -> str | None:
    """Return the environment's variable that an option's value comes from, if it does."""
    if ctx.get_parameter_source(option.name or "") is not ParameterSource.ENVIRONMENT:
        return None
    return next((each for each in option.variables if os.environ.get(each)), None)


def _named(ctx: click.Context, parameters: Iterable[click.Parameter], message: str) -> str:
    """Return the variables that hold what a message is about: names, such as a model's."""
    names = [
        _variable(ctx, each)
        for each in parameters
        if isinstance(each, Option) and isinstance(each.type, click.types.StringParamType)
    ]
    words = {each.strip("':;,") for each in message.split()}
    return ", ".join(each for each in names if each and words & {*os.environ[each].split()})


def _made(groups: dict[str, Callable[..., Any]], given: dict[str, Any]) -> dict[str, Any]:
    objects: dict[str, Any] = {}
    taken: set[str] = set()
    for name, make in groups.items():
        names = signature(make).parameters.keys() & given.keys()
        objects[name] = make(**{each: given[each] for each in names})
        taken |= names
    return {name: value for name, value in given.items() if name not in taken} | objects

"""`sonar-llm doctor`."""

from __future__ import annotations

import faulthandler
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sonar_cli.cli import settings
from sonar_cli.cli.declare import FAULT, PREFIX, Command, Option, context
from sonar_cli.cli.options import report_format
from sonar_cli.errors import UsageError, counted

if TYPE_CHECKING:
    from sonar_cli.doctor.findings import Finding
    from sonar_cli.options import OutputFormat

# Our variables that belong to no option.
_OTHERS = (settings.VARIABLE, "SONAR_LLM_DEBUG")


@click.command(cls=Command, helps_with_faults=True, short_help="Check that all of it works.")
@report_format("DOCTOR", "Lines, one JSON object, or one JSON object a line.")
@click.pass_context
def doctor(ctx: click.Context, format: OutputFormat) -> int:
    """Print what this installation is, and check that all of it works.

    Each line says good, missing (not needed), unused (without effect) or wrong. Where something is
    wrong the next line says what to do, and the exit status is 1. Nothing asks the network.
    """
    from sonar_cli import render
    from sonar_cli.doctor.checks import checks
    from sonar_cli.doctor.findings import examine

    with suppress(Exception):  # without it a crash inside a library would only be said less well
        if not faulthandler.is_enabled():
            faulthandler.enable()
    looks = checks(_cache_folder(ctx), lambda: _settings(ctx))
    wrong = render.print_findings(examine(looks), format)
    if wrong:
        render.say(f"{counted(wrong, 'fault')}; the lines that say wrong are followed by a remedy")
    return 1 if wrong else 0


def _cache_folder(ctx: click.Context) -> Path | None:
    """Return the folder of vectors that a variable or the file sets for `summarize`."""
    from sonar_cli.cli.origins import origins

    command = context(ctx, ["summarize"]).command
    with suppress(UsageError):  # a variable's fault, which is told among the settings
        for each in origins(command, ("summarize",), ctx.find_root().obj or settings.Settings()):
            if each.option == "cache-dir" and each.value:
                return Path(each.value).expanduser()
    return None


def _settings(ctx: click.Context) -> Iterator[Finding]:
    """Find the configuration file, and our variables that are set."""
    from sonar_cli.doctor.findings import Finding

    yield _file(ctx)
    readers = defaultdict(list)
    for _, option in settings.options(ctx.find_root().command):
        for name in option.variables:
            readers[name].append(option)
    for name, value in sorted(os.environ.items()):
        if name.startswith(PREFIX) and (name in readers or name in _OTHERS):
            yield _variable(name, value, readers[name])
        elif name.startswith(PREFIX):
            found = "; ".join(filter(None, ["no option reads it", settings.near(name, readers)]))
            yield Finding(name, "unused", found)


def _variable(name: str, value: str, readers: list[Option]) -> Finding:
    from sonar_cli.cli.origins import from_variable
    from sonar_cli.doctor.environment import shown
    from sonar_cli.doctor.findings import Finding

    try:
        for option in readers:
            from_variable(option, name)
    except UsageError as error:
        return Finding(name, "wrong", str(error), f"unset {name}, or give it another value")
    return Finding(name, "good", shown(name, value))


def _file(ctx: click.Context) -> Finding:
    from sonar_cli.doctor.findings import Finding

    name, file = "configuration", settings.place()
    if fault := ctx.meta.get(FAULT):
        remedy = f"correct it, or set {settings.VARIABLE} to nothing to go on without the file"
        return Finding(name, "wrong", str(fault), remedy)
    if file is None:
        return Finding(name, "missing", f"no file is read, since {settings.VARIABLE} is empty")
    values = {"place": str(file)}
    if not os.path.exists(file):
        return Finding(name, "missing", f"{file} is not there, and need not be", values=values)
    return Finding(name, "good", f"{file}; `sonar-llm config show` tells more", values=values)

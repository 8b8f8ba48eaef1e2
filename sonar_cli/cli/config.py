"""`sonar-llm config`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sonar_cli.cli import settings
from sonar_cli.cli.declare import Command, argument, context
from sonar_cli.cli.options import report_format
from sonar_cli.errors import SonarError

if TYPE_CHECKING:
    from sonar_cli.options import OutputFormat


@click.group(short_help="Show settings and where they come from.")
def config() -> None:
    """Show what the configuration file and the environment set.

    The file is TOML: a table for a command, a key for each of its options.
    """


@config.command("path", cls=Command, helps_with_faults=True, short_help="Print the file's path.")
def path() -> int:
    """Print the path of the configuration file, whether there is one yet or not."""
    from sonar_cli import render

    file = settings.place()
    if file is None:
        raise SonarError(f"{settings.VARIABLE} is empty, so no configuration file is read")
    render.show(str(file))
    return 0


@config.command("show", cls=Command, short_help="Print options' values and their sources.")
@argument(
    "words", nargs=-1, metavar="[COMMAND]...",
    help="All options of this command, such as `models verify` (default: what is set, of all "
    "commands).",
)  # fmt: skip
@report_format("CONFIG", "TOML, one JSON object, or one JSON object a line.")
@click.pass_context
def show(ctx: click.Context, words: tuple[str, ...], format: OutputFormat) -> int:
    """Print the options' values, and where each comes from.

    That is its default, the configuration file or an environment variable. Without COMMAND, of all
    commands the options that are set.
    """
    from sonar_cli import render
    from sonar_cli.cli.origins import origins

    found = list(origins(context(ctx, words).command, words, ctx.find_root().obj))
    if not words:
        found = [each for each in found if each.source != "default"]
    render.print_settings(found, format)
    return 0

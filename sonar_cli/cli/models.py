"""`sonar-llm models`."""

from __future__ import annotations

import click

from sonar_cli.cli import session
from sonar_cli.cli.declare import Command, argument
from sonar_cli.cli.options import format_, quiet
from sonar_cli.options import MINI, ModelRequest, OutputFormat, OutputOptions

_NAME = "A name (`models list`), a Hub repository or a local path."


@click.group(short_help="List models and get their files.")
def models() -> None:
    """List models and get their files."""


@models.command("list", cls=Command, short_help="List the models that have names.")
@format_
def list_(format: OutputFormat) -> int:
    """List the models that have names, and whether their files are here."""
    from sonar_cli import render
    from sonar_cli.hub.catalogue import known

    render.print_models(known(), format)
    return 0


@models.command("pull", cls=Command, short_help="Download a model and its codec.")
@argument("model", metavar="MODEL", help=_NAME)
@quiet
def pull(model: str, quiet: bool) -> int:
    """Download a model and its codec; only the files that are read."""
    from sonar_cli.hub.resolve import resolve

    paths = resolve(
        ModelRequest(model), progress=session.shows_progress(OutputOptions(quiet=quiet))
    )
    print(paths.predictor)
    return 0


@models.command("show", cls=Command, short_help="Print what a model is.")
@argument("model", default=MINI, metavar="[MODEL]", help=_NAME)
@format_
def show(model: str, format: OutputFormat) -> int:
    """Print what a model is: its system, shape, files and, where it was trained here, how.

    Nothing is downloaded.
    """
    from sonar_cli import render
    from sonar_cli.hub.resolve import resolve
    from sonar_cli.model.describe import describe

    render.print_record(describe(resolve(ModelRequest(model, offline=True))), format)
    return 0


@models.command("path", cls=Command, short_help="Print where a model's files lie.")
@argument("model", default=MINI, metavar="[MODEL]", help=_NAME)
def path(model: str) -> int:
    """Print where a model's files lie; nothing is downloaded."""
    from sonar_cli.hub.resolve import resolve

    paths = resolve(ModelRequest(model, offline=True))
    for part in ("predictor", "encoder", "decoder", "tokenizer"):
        print(f"{part}\t{getattr(paths, part)}")
    return 0

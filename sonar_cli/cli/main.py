"""The program: its commands, and how exceptions become exit statuses."""

from __future__ import annotations

import os
import signal
import sys

import click

from sonar_cli import __version__, render
from sonar_cli.cli import settings, signals
from sonar_cli.cli.bench import bench
from sonar_cli.cli.bulk import bulk
from sonar_cli.cli.cache import cache
from sonar_cli.cli.config import config
from sonar_cli.cli.continue_ import continue_
from sonar_cli.cli.declare import Command, argument, context
from sonar_cli.cli.decode import decode
from sonar_cli.cli.doctor import doctor
from sonar_cli.cli.encode import encode
from sonar_cli.cli.evaluate import evaluate
from sonar_cli.cli.models import models
from sonar_cli.cli.serve import serve
from sonar_cli.cli.summarize import summarize
from sonar_cli.cli.train import train
from sonar_cli.errors import SonarError

NAME = "sonar-llm"
# Set by the shell's completion script, which `_SONAR_LLM_COMPLETE=bash_source sonar-llm` prints.
COMPLETE = "_SONAR_LLM_COMPLETE"


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(__version__, "-V", "--version", prog_name=NAME)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Generate text one sentence at a time with SONAR-LLM.

    The model `mini` is in the package and needs no network.
    """
    settings.apply(ctx)


@cli.command("help", cls=Command, helps_with_faults=True, short_help="Show the help of a command.")
@argument("words", nargs=-1, metavar="[COMMAND]...", help="Such as `models pull`.")
@click.pass_context
def help_(ctx: click.Context, words: tuple[str, ...]) -> int:
    """Show the help of a command, or of the program."""
    click.echo(context(ctx, words).get_help())
    return 0


for each in (
    bench,
    bulk,
    cache,
    config,
    continue_,
    decode,
    doctor,
    encode,
    evaluate,
    models,
    serve,
    summarize,
    train,
):
    cli.add_command(each)


def main() -> None:
    """Run the command line and exit with its status."""
    render.prepare()
    signals.heed()
    status = run(sys.argv[1:])
    signals.end(status)
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run the command line; the only place where exceptions become exit statuses."""
    try:
        if instruction := os.environ.get(COMPLETE):
            from click.shell_completion import shell_complete

            return shell_complete(cli, {}, NAME, COMPLETE, instruction)
        with cli.make_context(NAME, arguments) as ctx:
            status = cli.invoke(ctx)
        sys.stdout.flush()
        return int(status or 0)
    except BaseException as error:
        if os.environ.get("SONAR_LLM_DEBUG") == "1" and not isinstance(
            error, click.exceptions.Exit
        ):
            raise
        return _status(error)
    finally:
        if render.loses():
            render.say(
                f"what {sys.stdout.encoding} has no code for was written as ?; set "
                "PYTHONIOENCODING=utf-8"
            )


def _status(error: BaseException) -> int:
    """Say in one line what went wrong, and return the exit status that goes with it."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError) and error.filename is not None:
        render.leave(sys.stdout)  # nobody reads any more
        return 0
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        render.say("interrupted")
        return 130
    if isinstance(error, signals.Stopped):
        render.say(f"ended by {signal.Signals(error.number).name}")
        return 128 + error.number
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return 2
    if isinstance(error, click.ClickException):
        where = getattr(error, "ctx", None)
        hint = f" (see {where.command_path} --help)" if where else ""
        render.say(error.format_message() + hint)
        return error.exit_code
    if isinstance(error, SonarError):
        render.say(str(error))
        return error.exit_status
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        render.say("out of memory; try a smaller model, --dtype bfloat16 or fewer --candidates")
    elif isinstance(error, OSError):
        if error.filename == render.STDOUT:
            render.leave(sys.stdout)
        place = f"{error.filename}: " if error.filename else ""
        render.say(f"{place}{error.strerror or error}")
    else:
        render.say(f"{type(error).__name__}: {error}; SONAR_LLM_DEBUG=1 shows where")
    return 1

"""`sonar-llm models`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sonar_cli import render
from sonar_cli.cli import session
from sonar_cli.cli.declare import Command, argument, group, option
from sonar_cli.cli.options import device, format_, list_format, parts, quiet
from sonar_cli.errors import CheckpointError, UsageError, counted
from sonar_cli.options import MINI, ModelRequest, OutputFormat, OutputOptions, Runtime

if TYPE_CHECKING:
    from sonar_cli.api import SonarLLM
    from sonar_cli.hub.convert import StoredDtype
    from sonar_cli.hub.damage import CachedFile, Damage

_NAMED = "A name (`models list`) or a Hub repository."
_NAME = "A name (`models list`), a Hub repository or a local path."


@click.group(short_help="List models and get their files.")
def models() -> None:
    """List models and get their files."""


@models.command("list", cls=Command, short_help="List the models that have names.")
@list_format
def list_(format: OutputFormat) -> int:
    """List the models that have names: what they do, their licence and size, what of them is here.

    The network is not asked. Sizes of what is still to be downloaded are estimates; `models pull`
    asks for the right ones.
    """
    from sonar_cli.hub.listing import known

    render.print_models(known(), format)
    return 0


@models.command("pull", cls=Command, short_help="Download models and their codec.")
@argument("names", nargs=-1, required=True, metavar="NAME...", help=_NAME)
@option(
    "--repair",
    is_flag=True,
    help="Check the files that are here, and get those again that are not what the Hub stated.",
)
@quiet
def pull(names: tuple[str, ...], repair: bool, quiet: bool) -> int:
    """Download models and their codec; only the files that are read, and what is not yet here.

    Prints the folder of each predictor. What an interrupted download left is gone on with.
    """
    from sonar_cli.hub.resolve import resolve_all

    if repair:
        _remove_damaged(names, quiet)
    watcher = session.watcher(OutputOptions(quiet=quiet))
    for paths in resolve_all([ModelRequest(name) for name in names], watcher=watcher):
        render.show(str(paths.predictor))
    return 0


@models.command("convert", cls=Command, short_help="Write a model to a folder of our layout.")
@argument("model", metavar="SOURCE", help=_NAME)
@option(
    "-o",
    "--output",
    "folder",
    required=True,
    metavar="DIR",
    envvar="SONAR_LLM_CONVERT_OUTPUT",
    type=click.Path(path_type=Path),
    help="The folder to make; `-m DIR` takes it.",
)
@option(
    "--dtype", default="float32", show_default=True, envvar="SONAR_LLM_CONVERT_DTYPE",
    type=click.Choice(["float32", "bfloat16", "int8"]),
    help="Number format of the weights in it, and of running it where no other is given.",
)  # fmt: skip
@group("request", ModelRequest, parts)
@quiet
def convert(request: ModelRequest, folder: Path, dtype: StoredDtype, quiet: bool) -> int:
    """Write a model of any layout to a folder that `-m` takes, whole, with its codec.

    The folder holds predictor/, encoder/, decoder/ and tokenizer/, weights as safetensors. It is
    made in one move, and never over what is there.
    """
    from sonar_cli.hub import convert as converting
    from sonar_cli.hub.resolve import resolve

    converting.check_free(folder)
    paths = resolve(request, watcher=session.watcher(OutputOptions(quiet=quiet)))
    render.doing(f"converting {request.model}", quiet)
    converting.convert(paths, folder, dtype, request.model)
    render.show(str(folder))
    return 0


@models.command("rm", cls=Command, short_help="Remove models from the cache.")
@argument("names", nargs=-1, required=True, metavar="NAME...", help=_NAMED)
@option("-y", "--yes", is_flag=True, help="Do not ask.")
def rm(names: tuple[str, ...], yes: bool) -> int:
    """Remove models from the cache of downloads; their codec as well, unless another one needs it.

    Prints how much was freed.
    """
    from sonar_cli.hub import remove
    from sonar_cli.hub.space import spoken

    removal = remove.plan(names)
    for repository, size in removal.repositories.items():
        click.echo(f"{repository}: {spoken(size)}", err=True)
    if removal.needed_by:
        render.say(f"the codec stays: {removal.needed_by} needs it")
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("removing asks first, and there is no terminal to ask on; add -y")
        if not click.confirm(f"Remove {spoken(removal.bytes)}?", err=True):
            return 1
    remove.remove(removal)
    render.show(f"{spoken(removal.bytes)} freed")
    return 0


@models.command("show", cls=Command, short_help="Print what a model is.")
@argument("model", default=MINI, metavar="[MODEL]", help=_NAME)
@format_
def show(model: str, format: OutputFormat) -> int:
    """Print what a model is: its system, shape, files and, where it was trained here, how.

    Nothing is downloaded.
    """
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
        render.show(f"{part}\t{getattr(paths, part)}")
    return 0


@models.command("verify", cls=Command, short_help="Check that a model's files are good.")
@argument("model", default=MINI, metavar="[MODEL]", help=_NAME)
@option(
    "--run", is_flag=True, envvar="SONAR_LLM_VERIFY_RUN",
    help="Also run the codec, and compare with known values of SONAR's published weights.",
)  # fmt: skip
@group("runtime", Runtime, device)
@group("request", ModelRequest, parts)
@quiet
def verify(request: ModelRequest, runtime: Runtime, run: bool, quiet: bool) -> int:
    """Check that a model's files are what the Hub stated, whole, and fit together.

    What is missing is downloaded. Every line says in words what was found.
    """
    _check_hashes(request, quiet)
    llm = session.open_model(request, runtime, OutputOptions(quiet=quiet))
    if llm.paths.predictor is not None:
        llm.load_predictor()
    predictor = "" if llm.paths.predictor is None else ", predictor"
    render.show(f"good: encoder, decoder, tokenizer{predictor} are whole and fit together")
    if run:
        _compare(llm)
    return 0


def _check_hashes(request: ModelRequest, quiet: bool) -> None:
    """Compare what came from the Hub with what it stated; CheckpointError for what differs."""
    from sonar_cli.hub import damage
    from sonar_cli.hub.resolve import resolve

    watcher = session.watcher(OutputOptions(quiet=quiet))
    files = damage.cached_files(resolve(request, watcher=watcher))
    found = _damages(files, quiet)
    for each in found:
        render.show(f"wrong: {each}")
    if found:
        raise CheckpointError(
            f"{found[0].file.path} is not what the Hub stated; "
            f"`sonar-llm models pull --repair {request.model}` gets it again"
        )
    if files:
        render.show(f"good: {counted(len(files), 'file')} from the Hub are what it stated")


def _remove_damaged(names: tuple[str, ...], quiet: bool) -> None:
    """Delete those files of the models that are not what the Hub stated."""
    from sonar_cli.hub import damage
    from sonar_cli.hub.catalogue import SONAR
    from sonar_cli.hub.resolve import repository_of

    repositories = dict.fromkeys((*map(repository_of, names), *SONAR))
    files = [file for each in repositories for file in damage.files_of(each)]
    for each in _damages(files, quiet):
        render.say(f"{each}; it comes again")
        damage.remove(each.file)


def _damages(files: Sequence[CachedFile], quiet: bool) -> list[Damage]:
    """Read the files, with a bar on a terminal; return those that are not what the Hub stated."""
    from sonar_cli.hub import damage

    total = sum(file.path.stat().st_size for file in files if file.path.exists())
    done = 0
    with render.bar(total, "checking", quiet) as show:

        def on_bytes(count: int) -> None:
            nonlocal done
            done += count
            show(done)

        return list(damage.damages(files, on_bytes))


def _compare(llm: SonarLLM) -> None:
    """Print how the codec's values compare with the known ones; CheckpointError if they differ."""
    from sonar_cli.hub import verify
    from sonar_cli.hub.catalogue import published

    own = llm.request.encoder is not None or published(llm.request.model) is None
    if own and llm.codec.width != verify.SONAR.width:
        llm.notify("no values are known of this codec, only of SONAR's published weights")
        return
    wrong = 0
    for each in verify.checks(llm.codec, verify.SONAR):
        wrong += not each.met
        if each.met:
            render.show(f"good: {each.what} is {each.found}")
        else:
            render.show(f"wrong: {each.what} is {each.found}, but should be {each.expected}")
    if wrong:
        raise CheckpointError(
            f"{llm.paths.encoder} and {llm.paths.decoder} do not do what SONAR's published weights "
            "do: they are other weights or damaged; remove the files and get them again"
        )

"""`sonar-llm models`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sonar_cli.cli import session
from sonar_cli.cli.declare import Command, argument, group, option
from sonar_cli.cli.options import device, format_, parts, quiet
from sonar_cli.errors import CheckpointError
from sonar_cli.options import MINI, ModelRequest, OutputFormat, OutputOptions, Runtime

if TYPE_CHECKING:
    from sonar_cli.api import SonarLLM

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


@models.command("pull", cls=Command, short_help="Download models and their codec.")
@argument("names", nargs=-1, required=True, metavar="NAME...", help=_NAME)
@quiet
def pull(names: tuple[str, ...], quiet: bool) -> int:
    """Download models and their codec; only the files that are read, and what is not yet here.

    Prints the folder of each predictor. What an interrupted download left is gone on with.
    """
    from sonar_cli.hub.resolve import resolve_all

    watcher = session.watcher(OutputOptions(quiet=quiet))
    for paths in resolve_all([ModelRequest(name) for name in names], watcher=watcher):
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
    """Check that a model's files are whole, of the right kind, and fit together.

    What is missing is downloaded. Every line says in words what was found.
    """
    llm = session.open_model(request, runtime, OutputOptions(quiet=quiet))
    if llm.paths.predictor is not None:
        llm.load_predictor()
    predictor = "" if llm.paths.predictor is None else ", predictor"
    print(f"good: encoder, decoder, tokenizer{predictor} are whole and fit together", flush=True)
    if run:
        _compare(llm)
    return 0


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
            print(f"good: {each.what} is {each.found}", flush=True)
        else:
            print(f"wrong: {each.what} is {each.found}, but should be {each.expected}", flush=True)
    if wrong:
        raise CheckpointError(
            f"{llm.paths.encoder} and {llm.paths.decoder} do not do what SONAR's published weights "
            "do: they are other weights or damaged; remove the files and get them again"
        )

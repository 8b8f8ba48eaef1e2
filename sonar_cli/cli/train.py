"""`sonar-llm train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sonar_cli.cli import session
from sonar_cli.cli.declare import Command, argument, option
from sonar_cli.cli.options import device, quiet
from sonar_cli.errors import UsageError
from sonar_cli.options import ModelRequest, OutputOptions, Runtime

if TYPE_CHECKING:
    from sonar_cli.model.codec.native import NativeCodec
    from sonar_cli.options import ModelPaths
    from sonar_cli.training.place import Place
    from sonar_cli.training.recipe import CodecRecipe, ModelRecipe, Recipe

MINI = "mini"


@click.command(cls=Command, short_help="Train a system from a recipe.")
@argument(
    "recipe", required=False, metavar="RECIPE",
    help="sonar-llm, lcm-mse, lcm-diffusion, llm, finetune, codec, mini, paper, tinystories, or a "
    "TOML file.",
)  # fmt: skip
@argument(
    "changes", nargs=-1, metavar="[KEY=VALUE]...",
    help="Changes of the recipe, such as train.steps=20 or data.path=notes/.",
)  # fmt: skip
@option(
    "--recipe", "old_name", type=click.Choice([MINI]), metavar="mini",
    help="The earlier way to write `train mini`.",
)  # fmt: skip
@option(
    "-o", "--output", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    envvar="SONAR_LLM_TRAIN_OUTPUT",
    help="Checkpoints, logs, and the model in DIR/model (default: runs/ and the recipe's name).",
)  # fmt: skip
@option("--show", is_flag=True, help="Print the whole recipe with its defaults; train nothing.")
@option(
    "--dry-run", is_flag=True,
    help="Print parameters, tokens, FLOPs, memory and time, from a few steps; keep nothing.",
)  # fmt: skip
@option(
    "--seed", type=click.IntRange(0), metavar="N", envvar="SONAR_LLM_TRAIN_SEED",
    help="Of the texts, the first weights and the order of batches (default: the recipe's, or 0).",
)  # fmt: skip
@option(
    "--log-to", type=click.Choice(["tensorboard"]), metavar="tensorboard",
    help="Also log for TensorBoard, to DIR/tensorboard.",
)  # fmt: skip
@option("--resume/--no-resume", default=True, help="Go on where an earlier run stopped (default).")
@device
@quiet
def train(
    recipe: str | None,
    changes: tuple[str, ...],
    old_name: str | None,
    output: Path | None,
    show: bool,
    dry_run: bool,
    seed: int | None,
    log_to: str | None,
    resume: bool,
    device: str,
    threads: int | None,
    quiet: bool,
) -> int:
    """Train a system from a recipe. A run that was stopped, however it was, goes on where it saved.

    The folder that it prints at the end is what `continue -m` takes.
    """
    from sonar_cli import render

    if old_name and recipe is None and not quiet:
        render.say(f"--recipe {old_name} is now called: sonar-llm train {old_name}")
    name = recipe or old_name
    if name is None:
        raise UsageError("what is to be trained? Give a RECIPE: sonar-llm, lcm-mse, ... or a file")
    where = output or Path("runs") / Path(name).stem
    from sonar_cli.training import recipe as recipes
    from sonar_cli.training.place import Place
    from sonar_cli.training.processes import first_of_launch

    read = recipes.read(name, changes, seed)
    if show:
        print(read.toml(), end="")
        return 0
    if dry_run:
        _dry_run(read, device, threads)
        return 0
    first = first_of_launch()
    place = Place(device, threads, not quiet, render.Notices(not quiet), log_to)
    folder = _train(read, where, place, resume)
    if first:
        print(folder)
    return 0


def _train(
    recipe: CodecRecipe | ModelRecipe | Recipe, out: Path, place: Place, resume: bool
) -> Path:
    from sonar_cli.training import recipe as recipes
    from sonar_cli.training.run_codec import train_codec
    from sonar_cli.training.run_model import train_model

    if isinstance(recipe, recipes.ModelRecipe):
        return train_model(recipe, out, place=place, resume=resume)
    if isinstance(recipe, recipes.CodecRecipe):
        return train_codec(recipe, _codec_to_start(recipe, place), out, place=place, resume=resume)
    return _system(recipe, out, place, resume)


def _codec_to_start(recipe: CodecRecipe, place: Place) -> ModelPaths | None:
    from sonar_cli.hub.resolve import resolve

    if recipe.start is None:
        return None
    return resolve(ModelRequest(recipe.start), predictor=False, progress=_shows(place))


def _dry_run(recipe: CodecRecipe | ModelRecipe | Recipe, device: str, threads: int | None) -> None:
    from sonar_cli import render
    from sonar_cli.training import dry_run as dry
    from sonar_cli.training import recipe as recipes

    if isinstance(recipe, recipes.ModelRecipe):
        found = dry.dry_run_model(recipe, device, threads)
    elif isinstance(recipe, recipes.CodecRecipe):
        found = dry.dry_run_codec(recipe, device, threads)[1]
    else:
        name = MINI if recipe.codec == dry.RANDOM else recipe.codec
        found = dry.dry_run(recipe, _codec(name, device), device, threads)
    render.print_record(found, "text")


def _codec(model: str, device: str) -> NativeCodec:
    from sonar_cli.hub.resolve import resolve
    from sonar_cli.model.codec.native import NativeCodec
    from sonar_cli.model.load import load_codec

    found = load_codec(resolve(ModelRequest(model), predictor=False), Runtime(device))
    assert isinstance(found, NativeCodec)  # no other is asked for
    return found


def _system(recipe: Recipe, out: Path, place: Place, resume: bool) -> Path:
    from sonar_cli.hub.resolve import resolve
    from sonar_cli.summary.cache import files_identity
    from sonar_cli.training import run

    request = ModelRequest(recipe.start or recipe.codec)
    paths = resolve(request, predictor=recipe.start is not None, progress=_shows(place))
    if recipe.start is not None and paths.predictor is None:
        raise UsageError(f"{recipe.start} is a codec alone; from= takes a model with a predictor")
    identity = files_identity(paths.encoder, paths.tokenizer)
    return run.train(recipe, paths, out, identity=identity, place=place, resume=resume)


def _shows(place: Place) -> bool:
    return session.shows_progress(OutputOptions(quiet=not place.progress))

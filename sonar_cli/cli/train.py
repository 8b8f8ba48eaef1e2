"""`sonar-llm train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sonar_cli.cli import session
from sonar_cli.cli.declare import Command, argument, option
from sonar_cli.cli.options import device, quiet
from sonar_cli.errors import UsageError
from sonar_cli.options import ModelPaths, ModelRequest, OutputOptions

if TYPE_CHECKING:
    from sonar_cli.training.recipe import CodecRecipe, Recipe

MINI = "mini"
CURVES = "curves.png"


@click.command(cls=Command, short_help="Train a system from a recipe.")
@argument(
    "recipe", required=False, metavar="RECIPE",
    help="sonar-llm, lcm-mse, lcm-diffusion, llm, finetune, codec, mini, or a TOML file.",
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
    if name == MINI:
        if show or dry_run:
            raise UsageError("mini has no TOML recipe; --show and --dry-run are for the others")
        print(_mini(changes, where, device, seed or 0, threads, quiet, resume))
        return 0
    from sonar_cli.training import recipe as recipes

    seeded = [] if seed is None else [f"train.seed={seed}"]
    read = recipes.read(name, [*changes, *seeded])
    if show:
        print(read.toml(), end="")
        return 0
    if isinstance(read, recipes.CodecRecipe):
        if dry_run:
            raise UsageError("--dry-run knows systems, not codecs")
        print(_codec(read, where, device, threads, quiet, resume))
    elif dry_run:
        _dry_run(read, device, threads)
    else:
        print(_system(read, where, device, threads, quiet, resume))
    return 0


def _mini(
    changes: tuple[str, ...],
    out: Path,
    device: str,
    seed: int,
    threads: int | None,
    quiet: bool,
    resume: bool,
) -> Path:
    from sonar_cli.mini import recipe as mini

    if changes:
        raise UsageError(f"the recipe mini has no keys to change: {' '.join(changes)}")
    return mini.train(
        out, device=device, seed=seed, threads=threads, progress=not quiet, resume=resume
    )


def _codec(
    recipe: CodecRecipe, out: Path, device: str, threads: int | None, quiet: bool, resume: bool
) -> Path:
    from sonar_cli import render
    from sonar_cli.hub.resolve import resolve
    from sonar_cli.training import run_codec

    shown = session.shows_progress(OutputOptions(quiet=quiet))
    start = None
    if recipe.start is not None:
        start = resolve(ModelRequest(recipe.start), predictor=False, progress=shown)
    notify = render.Notices(not quiet)
    model = run_codec.train_codec(
        recipe, start, out, device=device, threads=threads, progress=not quiet, resume=resume,
        notify=notify,
    )  # fmt: skip
    log = out / "codec" / "log.jsonl"
    render.draw_curves(log, out / CURVES, recipe.system, terminal=shown, notify=notify)
    return model


def _dry_run(recipe: Recipe, device: str, threads: int | None) -> None:
    from sonar_cli import render
    from sonar_cli.hub.resolve import resolve
    from sonar_cli.training.dry_run import dry_run

    request = ModelRequest(recipe.codec)
    paths = resolve(request, predictor=False)
    threads = threads or (1 if request.embedded else None)
    render.print_record(dry_run(recipe, paths, device, threads), "text")


def _require_system(recipe: Recipe, paths: ModelPaths) -> None:
    """Raise UsageError, before anything is written, where the model is no such system."""
    from sonar_cli.model.formats.system import kind_of

    if paths.predictor is None:
        raise UsageError(f"{recipe.start} is a codec alone; from= takes a model with a predictor")
    if (found := kind_of(paths.predictor)) != recipe.system:
        raise UsageError(
            f"{recipe.start} is a {found}, and the recipe trains a {recipe.system}; "
            f"add system={found}"
        )


def _system(
    recipe: Recipe, out: Path, device: str, threads: int | None, quiet: bool, resume: bool
) -> Path:
    from sonar_cli import render
    from sonar_cli.hub.resolve import resolve
    from sonar_cli.summary.cache import files_identity
    from sonar_cli.training import run

    shown = session.shows_progress(OutputOptions(quiet=quiet))
    request = ModelRequest(recipe.start or recipe.codec)
    paths = resolve(request, predictor=recipe.start is not None, progress=shown)
    if recipe.start is not None:
        _require_system(recipe, paths)
    notify = render.Notices(not quiet)
    model = run.train(
        recipe, paths, out, identity=files_identity(paths.encoder, paths.tokenizer),
        device=device, threads=threads or (1 if request.embedded else None),
        progress=not quiet, resume=resume, notify=notify,
    )  # fmt: skip
    render.draw_curves(
        out / "log.jsonl", out / CURVES, recipe.system,
        vector_steps=recipe.objective.vector_steps, terminal=shown, notify=notify,
    )  # fmt: skip
    return model

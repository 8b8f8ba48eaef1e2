"""`sonar-llm train`."""

from __future__ import annotations

from pathlib import Path

import click

from sonar_cli.cli.declare import Command, argument, option
from sonar_cli.cli.options import device, quiet
from sonar_cli.cli.parameters import Whole
from sonar_cli.errors import UsageError
from sonar_cli.options import RANGES

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
    "--seed", type=Whole(0, most=RANGES["seed"][1]), metavar="N", envvar="SONAR_LLM_TRAIN_SEED",
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
    from sonar_cli.cli import training
    from sonar_cli.training import recipe as recipes
    from sonar_cli.training.place import Place

    read = recipes.read(name, changes, seed)
    if show:
        render.show(read.toml().rstrip("\n"))
    elif dry_run:
        render.print_record(training.dry_run(read, device, threads), "text")
    else:
        where = output or Path("runs") / Path(name).stem
        place = Place(device, threads, not quiet, render.Notices(not quiet), log_to)
        training.run(read, where, place, resume)
    return 0

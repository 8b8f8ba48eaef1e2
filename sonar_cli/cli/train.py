"""`sonar-llm train`."""

from __future__ import annotations

from pathlib import Path

import click

from sonar_cli.cli.declare import Command, option
from sonar_cli.cli.options import device, quiet


@click.command(cls=Command, short_help="Train a model.")
@option(
    "--recipe",
    type=click.Choice(["mini"]),
    required=True,
    help="What to train: mini, from nothing.",
)
@option(
    "-o", "--output", default="runs/mini", show_default=True, metavar="DIR",
    type=click.Path(file_okay=False), envvar="SONAR_LLM_TRAIN_OUTPUT",
    help="Checkpoints, logs, and the model in DIR/model.",
)  # fmt: skip
@option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), metavar="N",
    envvar="SONAR_LLM_TRAIN_SEED", help="Of the texts, the first weights and the order of batches.",
)  # fmt: skip
@option("--resume/--no-resume", default=True, help="Go on where an earlier run stopped (default).")
@device
@quiet
def train(
    recipe: str,
    output: str,
    seed: int,
    resume: bool,
    device: str,
    threads: int | None,
    quiet: bool,
) -> int:
    """Train a model. A run that was stopped, however it was, goes on where it saved last."""
    from sonar_cli.mini import recipe as mini

    folder = mini.train(
        Path(output),
        device=device,
        seed=seed,
        threads=threads,
        progress=not quiet,
        resume=resume,
    )
    print(folder)
    return 0

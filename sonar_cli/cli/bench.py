"""`sonar-llm bench`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from sonar_cli.cli import session
from sonar_cli.cli.declare import Command, Decorator, group, option
from sonar_cli.cli.options import MODEL, NAMES, beam_size, device, parts, report
from sonar_cli.cli.parameters import Whole, counts, number_formats
from sonar_cli.options import ModelRequest, OutputOptions, Runtime


def _asked_model(
    model: str | None,
    config: str | None,
    encoder: str | None,
    decoder: str | None,
    tokenizer: str | None,
    offline: bool,
) -> ModelRequest | None:
    return ModelRequest(model, config, encoder, decoder, tokenizer, offline) if model else None


measured = group(
    "request",
    _asked_model,
    option(
        "-m", "--model", "model", section=MODEL, metavar=NAMES,
        help="Measure this model's own weights (default: random ones).",
    ),
    parts,
)  # fmt: skip


def _counts(name: str, default: str, help: str) -> Decorator[Any]:
    """Declare an option of counts parted by commas."""
    return option(
        name, default=default, show_default=True, metavar="N,N,...", callback=counts, help=help,
        may_be_empty=True,
    )  # fmt: skip


@click.command(cls=Command, short_help="Measure how fast this machine is.")
@option(
    "--against",
    type=click.Choice(["sonar-space", "ctranslate2", "plain"]),
    help="An opponent: the original, CTranslate2, or our decoder with its weights unpacked.",
)
@_counts("--texts", "1,4,8,16", "How many texts together.")
@_counts("--contexts", "10,100,1000", "Sentences before the one that the predictor writes.")
@option(
    "--steps", default=20, show_default=True, type=Whole(1, 500), metavar="N",
    help="Token steps of a search.",
)  # fmt: skip
@option(
    "--rounds", default=3, show_default=True, type=Whole(1), metavar="N",
    help="Turns of each engine; medians are shown.",
)  # fmt: skip
@option(
    "--size", default="full", show_default=True, type=click.Choice(["full", "tiny"]),
    help="full: SONAR's own size and the 900m predictor's, 8 GB of random weights.",
)  # fmt: skip
@option(
    "--files", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="Also run the whole loop from weights in DIR, written there once (11 GB).",
)  # fmt: skip
@option(
    "--training", is_flag=True, help="Measure training steps of mini's predictor, nothing else."
)  # fmt: skip
@option(
    "--dtype", "dtypes", default="auto", show_default=True, metavar="NAME,NAME,...",
    callback=number_formats,
    envvar="SONAR_LLM_BENCH_DTYPE",
    help="Number formats, of float32, bfloat16, float16, int8; auto: float32,int8 on the CPU, "
    "bfloat16,float16 on CUDA.",
)  # fmt: skip
@beam_size
@measured
@group("runtime", Runtime, device)
@report("BENCH")
def bench(
    against: str | None,
    texts: tuple[int, ...],
    contexts: tuple[int, ...],
    steps: int,
    rounds: int,
    size: str,
    files: Path | None,
    training: bool,
    dtypes: tuple[str, ...],
    beam_size: int,
    request: ModelRequest | None,
    runtime: Runtime,
    output: OutputOptions,
) -> int:
    """Measure how fast this machine is: token steps, sentences, memory.

    Weights are random, because the time does not depend on their values. Engines take turns.
    """
    import torch

    from sonar_cli import render
    from sonar_cli.evaluation.bench import training as trainings
    from sonar_cli.evaluation.bench.run import Plan, run
    from sonar_cli.hub.resolve import resolve

    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    with render.opened(output.path, session.read_by(request)) as out:
        plan = Plan(
            size=size,
            model=resolve(request, watcher=session.watcher(output)) if request else None,
            against=against,
            texts=texts,
            contexts=contexts,
            beam_size=beam_size,
            steps=steps,
            rounds=rounds,
            dtypes=_chosen(dtypes, runtime.device),
            device=runtime.device,
            threads=runtime.threads,
            files=files,
        )
        tell = partial(render.doing, quiet=output.quiet)
        found = trainings.measure(rounds, runtime.device, tell) if training else run(plan, tell)
        render.print_report(found, output.format, out)
    return 0


def _chosen(dtypes: tuple[str, ...], device: str) -> tuple[str, ...]:
    from sonar_cli.model.load import pick_device

    if "auto" not in dtypes:
        return dtypes
    return ("float32", "int8") if pick_device(device).type == "cpu" else ("bfloat16", "float16")

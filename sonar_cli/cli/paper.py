"""`sonar-llm evaluate paper`."""

from __future__ import annotations

from pathlib import Path

import click

from sonar_cli.cli.declare import Command, option
from sonar_cli.cli.options import OUTPUT, device, report
from sonar_cli.cli.parameters import seeds
from sonar_cli.errors import UsageError
from sonar_cli.options import OutputOptions

_place = option(
    "-o", "--output", section=OUTPUT, type=click.Path(), metavar="FILE|DIR",
    envvar="SONAR_LLM_PAPER_OUTPUT",
    help="Write the tables there instead of stdout (-: stdout). With --draw, the folder of the "
    "plots and tables (default: that of the JSON).",
)  # fmt: skip


@click.command("paper", cls=Command, short_help="Compare the paper's four systems.")
@option(
    "--terms", metavar="NAME|FILE", instead_of="small",
    help="On which terms: full, small, tiny or a TOML file (default: full).",
)  # fmt: skip
@option(
    "--small", is_flag=True, instead_of="terms",
    help="--terms small: at most half an hour on two cores.",
)  # fmt: skip
@option(
    "--texts", metavar="PATH", envvar="SONAR_LLM_PAPER_TEXTS",
    help="Train and measure on these texts: a file, a folder or a glob.",
)  # fmt: skip
@option(
    "--test", metavar="PATH", envvar="SONAR_LLM_PAPER_TEST",
    help="With --texts: measure on these (default: a part of --texts that is kept for it).",
)  # fmt: skip
@option(
    "--codec-from", metavar="NAME|REPO|DIR",
    help="The model whose codec all systems share (default: that of the terms).",
)  # fmt: skip
@option(
    "--seeds", metavar="N,N,...", callback=seeds, envvar="SONAR_LLM_PAPER_SEEDS",
    help="Train with these seeds (default: those of the terms).",
)  # fmt: skip
@option(
    "--runs", default="runs/paper", show_default=True, metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the trainings are kept, and found again.",
)  # fmt: skip
@option(
    "--draw", metavar="JSON", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Draw what an earlier --format json -o JSON found, as SVG, and write its tables; train "
    "and measure nothing.",
)  # fmt: skip
@device
@report("EVALUATE", _place)
def paper(
    terms: str | None,
    small: bool,
    texts: str | None,
    test: str | None,
    codec_from: str | None,
    seeds: tuple[int, ...] | None,
    runs: Path,
    draw: Path | None,
    device: str,
    threads: int | None,
    output: OutputOptions,
) -> int:
    """Train and measure SONAR-LLM, both LCMs and a token-level Llama on equal terms.

    A training that was made is never made again, and one that was stopped goes on, so that the same
    command may be given again at any time.
    """
    from sonar_cli import render
    from sonar_cli.cli import comparisons

    if draw is not None:
        for file in comparisons.drawn(draw, Path(output.path or draw.parent)):
            render.show(str(file))
        return 0
    if small and terms is not None:
        raise UsageError("--small is --terms small; give one of them")
    asked = comparisons.asked("small" if small else terms or "full", texts, test, codec_from, seeds)
    read = [each for each in (terms, texts, test) if each]
    with render.opened(output.path, read) as out:
        found = comparisons.compare(asked, runs, device, threads, output.quiet)
        render.print_report(found, output.format, out)
    return 0

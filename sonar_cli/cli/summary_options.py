"""The options of `sonar-llm summarize`."""

from __future__ import annotations

from pathlib import Path

import click

from sonar_cli.cli.declare import group, option, together
from sonar_cli.cli.options import CACHE, cache_dir
from sonar_cli.cli.parameters import Number, Whole, percent
from sonar_cli.options import CacheOptions, SummaryOptions

SUMMARY = "What the summary is"
summary = group(
    "summary",
    SummaryOptions,
    option(
        "-n", "--sentences", section=SUMMARY, type=Whole(1), metavar="N",
        instead_of="share",
        help="How many sentences at most (default: 5).",
    ),
    option(
        "--length", "share", section=SUMMARY, metavar="P%", callback=percent,
        instead_of="sentences",
        help="Instead of -n: so much of the text's sentences.",
    ),
    option(
        "--method", section=SUMMARY, default="auto", show_default=True,
        type=click.Choice(["auto", "extractive", "abstractive", "hybrid"]),
        help="extractive: sentences of the text. abstractive: new ones, from a model that has "
        "learned to. hybrid: new ones that the text supports. auto: hybrid where the model has "
        "learned to and can read the text at once, else extractive.",
    ),
    option(
        "--support", section=SUMMARY, default=SummaryOptions().support, show_default=True,
        type=Number(0, 1.01), metavar="SHARE",
        help="hybrid: how much of a new sentence its nearest sentences in the text must say.",
    ),
    option(
        "--context", section=SUMMARY, type=Whole(1), metavar="N",
        help="How many sentences the model is shown at once (default: as it was trained).",
    ),
    option(
        "--cue", section=SUMMARY, metavar="TEXT",
        help="The sentence that asks the model for a summary (default: the model's own).",
    ),
    option(
        "--force", section=SUMMARY, is_flag=True,
        help="Let a model write that has not learned to.",
    ),
)  # fmt: skip
shown = together(
    option(
        "--cite", section=SUMMARY, is_flag=True,
        help="Add the numbers of the sentences that each comes from.",
    ),
    option(
        "--keep-headings", section=SUMMARY, is_flag=True,
        help="Show the text's headings above what comes from under them.",
    ),
)  # fmt: skip


def _cache(cache: bool, cache_size: int, cache_dir: Path | None) -> CacheOptions:
    return CacheOptions(cache, cache_dir, cache_size)


_cache_size = option(
    "--cache-size", section=CACHE, default=1024, show_default=True, type=Whole(1),
    metavar="MB", help="How large the cache of vectors may grow.",
)  # fmt: skip
cache = group(
    "cache",
    _cache,
    option(
        "--cache/--no-cache", section=CACHE, default=True, show_default=True,
        help="Keep the sentences' vectors, so that they are not encoded again.",
    ),
    _cache_size,
    cache_dir,
)  # fmt: skip

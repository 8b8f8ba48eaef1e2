"""The options that all commands of `sonar-llm bulk` have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sonar_cli.cli.declare import group, option, together
from sonar_cli.cli.options import OUTPUT, input_format, quiet, splitting, verbose
from sonar_cli.cli.parameters import Whole
from sonar_cli.errors import UsageError
from sonar_cli.options import InputFormat, InputOptions, OutputOptions, SplitMode

if TYPE_CHECKING:
    from sonar_cli.bulk.job import BulkOptions, RayOptions

RECORDS = "Records"
RAY = "Ray"


def _reading(input_format: InputFormat, split: SplitMode, source_lang: str) -> InputOptions:
    return InputOptions(input_format, split, source_lang)


def _records(field: str, shard_size: int, max_chars: int, bulk_format: Any) -> BulkOptions:
    from sonar_cli.bulk.job import BulkOptions

    return BulkOptions(field, shard_size, max_chars, bulk_format)


def _ray(ray: bool, workers: int | None, address: str | None) -> RayOptions | None:
    from sonar_cli.bulk.job import RayOptions

    if not ray and (workers or address):
        raise UsageError("--workers and --address are for --ray; add it")
    return RayOptions(workers, address) if ray else None


def _output(quiet: bool, verbose: bool) -> OutputOptions:
    return OutputOptions(quiet=quiet, verbose=verbose)


records = group(
    "records",
    _records,
    option(
        "--field", section=RECORDS, default="text", show_default=True, metavar="NAME",
        help="The field, or column, that holds the text.",
    ),
    option(
        "--shard-size", section=RECORDS, default=1_000, show_default=True,
        type=Whole(1), metavar="N", help="Texts a shard: what is made, and kept, at once.",
    ),
    option(
        "--max-chars", section=RECORDS, default=1_000_000, show_default=True,
        type=Whole(1), metavar="N", help="A longer text is an error.",
    ),
    option(
        "--format", "bulk_format", section=OUTPUT, default="auto", show_default=True,
        type=click.Choice(["auto", "jsonl", "parquet"]), envvar="SONAR_LLM_BULK_FORMAT",
        help="Of the shards; auto: as the first input, and Parquet for vectors.",
    ),
)  # fmt: skip
ray = group(
    "ray",
    _ray,
    option(
        "--ray", section=RAY, is_flag=True,
        help="Share the shards among workers by Ray Data (extra [ray]); the result is the same.",
    ),
    option(
        "--workers", section=RAY, type=Whole(1), metavar="N",
        help="How many (default: one a GPU; without GPUs one a machine, of mini one a core).",
    ),
    option(
        "--address", section=RAY, metavar="HOST:PORT",
        help="Of a Ray cluster that is there (default: begin one on this machine).",
    ),
)  # fmt: skip
bulk_options = together(
    option(
        "-o", "--output", "folder", section=OUTPUT, required=True, metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path), envvar="SONAR_LLM_BULK_OUTPUT",
        help="The folder of the shards; one that was begun goes on.",
    ),
    records,
    group("reading", _reading, input_format, splitting),
    ray,
    group("output", _output, quiet, verbose),
)  # fmt: skip

"""`sonar-llm cache`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from sonar_cli import render
from sonar_cli.cli.declare import Command
from sonar_cli.cli.options import cache_dir, format_
from sonar_cli.options import OutputFormat


@click.group(short_help="Look at the cache of vectors, or empty it.")
def cache() -> None:
    """Look at the cache of vectors that `summarize` keeps, or empty it."""


@cache.command("info", cls=Command, short_help="Print where it lies and how large it is.")
@cache_dir
@format_
def info(cache_dir: Path | None, format: OutputFormat) -> int:
    """Print where the cache lies, how many vectors it holds and how large it is."""
    from sonar_cli.summary import cache as vectors

    found = vectors.info(cache_dir or vectors.default_folder())
    if format == "jsonl":
        render.print_record(asdict(found), format)
    else:
        render.show(found.path, f"{found.vectors} vectors, {found.bytes / 1e6:.1f} MB")
    return 0


@cache.command("clear", cls=Command, short_help="Delete the cache.")
@cache_dir
def clear(cache_dir: Path | None) -> int:
    """Delete the cache; what is summarized next is encoded anew."""
    from sonar_cli.summary import cache as vectors

    freed = vectors.clear(cache_dir or vectors.default_folder())
    render.show(f"{freed / 1e6:.1f} MB freed")
    return 0

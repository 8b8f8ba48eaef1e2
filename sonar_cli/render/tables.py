"""Tables: an evaluation's rows, the models that have names."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from sonar_cli.render.progress import console

if TYPE_CHECKING:
    from sonar_cli.evaluation.report import Tables
    from sonar_cli.hub.store import KnownModel


def print_tables(found: Tables, format: str, out: TextIO) -> None:
    """Print what an evaluation found: tables on a terminal, Markdown in a pipe, or JSON Lines."""
    if format == "jsonl":
        out.write(found.json_lines + "\n")
    elif out is sys.stdout and out.isatty():
        from rich.markdown import Markdown

        console(out).print(Markdown(found.markdown))
    else:
        out.write(found.markdown + "\n")


def print_models(models: Sequence[KnownModel], format: str) -> None:
    """Print the models that have names, aligned or as JSON Lines."""
    if format == "jsonl":
        for model in models:
            print(json.dumps(asdict(model)))
        return
    for model in models:
        here = "here" if model.present else "to be downloaded"
        does = "continues, summarizes" if model.summaries else "continues"
        print(f"{model.name:<6} {model.parameters:<20} {does:<22} {model.source:<26} {here}")

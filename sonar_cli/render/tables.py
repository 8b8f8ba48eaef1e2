"""Tables: what an evaluation found, and the models that have names."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from sonar_cli.render.output import STDOUT, naming
from sonar_cli.render.progress import console

if TYPE_CHECKING:
    from sonar_cli.evaluation.report import Report
    from sonar_cli.hub.catalogue import KnownModel
    from sonar_cli.options import OutputFormat


def print_report(report: Report, format: OutputFormat, out: TextIO) -> None:
    """Print a report to `out`.

    "text" is laid-out tables on a terminal and Markdown elsewhere, "json" one JSON object, "jsonl"
    one JSON object a line.
    """
    if format == "json":
        out.write(report.json() + "\n")
    elif format == "jsonl":
        lines = report.json_lines()
        out.write(lines + "\n" if lines else "")
    elif out is sys.stdout and out.isatty():
        from rich.markdown import Markdown

        console(out).print(Markdown(report.markdown()))
    else:
        out.write(report.markdown() + "\n")


@naming(STDOUT)
def print_record(record: Mapping[str, Any], format: str) -> None:
    """Print a record: a line a value, tables within indented, or one JSON object."""
    if format == "jsonl":
        print(json.dumps(record, ensure_ascii=False))
        return
    for name, value in record.items():
        if isinstance(value, Mapping):
            print(f"{name}:")
            for inner, each in value.items():
                print(f"    {inner}: {each}")
        elif "\n" in str(value):
            print(f"{name}:")
            print("".join(f"    {line}\n" for line in str(value).splitlines()), end="")
        else:
            print(f"{name}: {value}")


@naming(STDOUT)
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

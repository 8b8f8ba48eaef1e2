"""Tables: what an evaluation found, and the models that have names."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from sonar_cli.hub.space import spoken
from sonar_cli.render.output import STDOUT, naming
from sonar_cli.render.progress import console

if TYPE_CHECKING:
    from sonar_cli.evaluation.report import Report
    from sonar_cli.hub.listing import KnownModel
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
    """Print the models that have names: a table, aligned lines in a pipe, or JSON."""
    if format == "json":
        print(json.dumps({"models": [asdict(model) for model in models]}))
    elif format == "jsonl":
        for model in models:
            print(json.dumps(asdict(model)))
    elif sys.stdout.isatty():
        heads = ("name", *list(_COLUMNS)[:-1], "here?")
        _print_table(heads, [(m.name, *_row(m)[:-1], _here(m)) for m in models])
    else:
        for model in models:
            row = zip(_row(model), _COLUMNS.values(), strict=True)
            print(f"{model.name:<6}", *(f"{cell:<{width}}" for cell, width in row), _here(model))


# Each column with its width in a pipe.
_COLUMNS = {
    "parameters": 20,
    "does": 22,
    "licence": 20,
    "on disk": 8,
    "to download": 13,
    "where from": 26,
}


def _row(model: KnownModel) -> tuple[str, ...]:
    return (
        model.parameters,
        "continues, summarizes" if model.summaries else "continues",
        model.licence,
        spoken(model.on_disk) if model.on_disk else "-",
        f"about {spoken(model.to_download)}" if model.to_download else "-",
        model.source,
    )


def _here(model: KnownModel) -> str:
    """Return how much of a model is on this machine."""
    if model.present:
        return "here"
    return f"partly here: {', '.join(model.here)}" if model.here else "to be downloaded"


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table

    table = Table(*heads, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    console(sys.stdout).print(table, soft_wrap=False)

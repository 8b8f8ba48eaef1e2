"""Tables: what an evaluation found, the models that have names, and lines of any other kind."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from sonar_cli.render.progress import console
from sonar_cli.render.visible import as_json, visible, written_out

if TYPE_CHECKING:
    from sonar_cli.evaluation.report import Report
    from sonar_cli.hub.catalogue import KnownModel
    from sonar_cli.options import OutputFormat


def show(*lines: str, out: TextIO | None = None) -> None:
    """Write lines, to stdout by default: as they are, or so that none steers a terminal."""
    out = out or sys.stdout
    for line in lines:
        out.write((visible(line) if out.isatty() else line) + "\n")
    out.flush()


def print_report(report: Report, format: OutputFormat, out: TextIO) -> None:
    """Print a report to `out`.

    "text" is laid-out tables on a terminal and Markdown elsewhere, "json" one JSON object, "jsonl"
    one JSON object a line.
    """
    if format == "json":
        show(report.json(), out=out)
    elif format == "jsonl":
        lines = report.json_lines()
        show(*[lines] * bool(lines), out=out)
    elif out.isatty():
        from rich.markdown import Markdown

        console(out).print(Markdown(visible(report.markdown()), hyperlinks=False))
    else:
        show(written_out(report.markdown()), out=out)


def print_record(record: Mapping[str, Any], format: str) -> None:
    """Print a record: a line a value, tables within indented, or one JSON object."""
    show(*[as_json(record, sys.stdout)] if format == "jsonl" else _lines(record))


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield f"{name}:"
            yield from (f"    {inner}: {each}" for inner, each in value.items())
        elif "\n" in str(value):
            yield f"{name}:"
            yield from (f"    {line}" for line in str(value).splitlines())
        else:
            yield f"{name}: {value}"


def print_models(models: Sequence[KnownModel], format: str) -> None:
    """Print the models that have names, aligned or as JSON Lines."""
    for model in models:
        if format == "jsonl":
            show(as_json(asdict(model), sys.stdout))
            continue
        here = "here" if model.present else "to be downloaded"
        does = "continues, summarizes" if model.summaries else "continues"
        show(f"{model.name:<6} {model.parameters:<20} {does:<22} {model.source:<26} {here}")

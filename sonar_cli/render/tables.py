"""Tables: what an evaluation found, the models that have names, and lines of any other kind."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from sonar_cli.hub.space import spoken
from sonar_cli.render.progress import console
from sonar_cli.render.visible import as_json, visible, written_out

if TYPE_CHECKING:
    from sonar_cli.evaluation.report import Report
    from sonar_cli.hub.listing import KnownModel
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
    """Print the models that have names: a table, aligned lines in a pipe, or JSON."""
    if format == "json":
        show(as_json({"models": [asdict(model) for model in models]}, sys.stdout))
    elif format == "jsonl":
        show(*(as_json(asdict(model), sys.stdout) for model in models))
    elif sys.stdout.isatty():
        heads = ("name", *list(_COLUMNS)[:-1], "here?")
        _print_table(heads, [(m.name, *_row(m)[:-1], _parts(m)) for m in models])
    else:
        for model in models:
            row = zip(_row(model), _COLUMNS.values(), strict=True)
            cells = " ".join(f"{cell:<{width}}" for cell, width in row)
            show(f"{model.name:<6} {cells} {_here(model)}")


# Each column with its width in a pipe.
_COLUMNS = {
    "parameters": 20,
    "does": 22,
    "licence": 20,
    "on disk": 8,
    "to come": 10,
    "where from": 26,
}


def _row(model: KnownModel) -> tuple[str, ...]:
    return (
        model.parameters,
        "continues, summarizes" if model.summaries else "continues",
        model.licence,
        spoken(model.on_disk) if model.on_disk else "-",
        f"~{spoken(model.to_download)}" if model.to_download else "-",
        model.source,
    )


def _here(model: KnownModel) -> str:
    """Return how much of a model is on this machine."""
    if model.present:
        return "here"
    return f"partly here: {', '.join(model.here)}" if model.here else "to be downloaded"


def _parts(model: KnownModel) -> str:
    """Return the same in a word or the names of parts, for a narrow column."""
    return "yes" if model.present else ", ".join(model.here) or "no"


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table

    table = Table(*heads, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    console(sys.stdout).print(table, soft_wrap=False)

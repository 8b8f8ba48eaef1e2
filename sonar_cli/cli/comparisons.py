"""What `sonar-llm evaluate paper` does: reads terms, compares the systems, draws what was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sonar_cli import render
from sonar_cli.errors import UsageError
from sonar_cli.evaluation.metrics import rouge_scorer
from sonar_cli.evaluation.paper import terms as shipped
from sonar_cli.evaluation.paper.comparison import Comparison
from sonar_cli.evaluation.paper.runs import Runs
from sonar_cli.evaluation.paper.tables import compared, report
from sonar_cli.evaluation.paper.terms import Terms
from sonar_cli.evaluation.report import Report
from sonar_cli.training.place import Place


def asked(
    name: str,
    texts: str | None,
    test: str | None,
    codec: str | None,
    seeds: Sequence[int] | None,
) -> Terms:
    """Return the terms of a name or a TOML file, with what the command line changes of them.

    Texts of one's own have no summaries and no needle, which is the story world's. Raises
    UsageError for what cannot be compared on.
    """
    terms = shipped.read(name)
    if test and not texts:
        raise UsageError("--test goes with --texts, the texts to train on")
    if texts:
        data = replace(terms.data, path=texts, world=False, summaries=False)
        needle = replace(terms.needle, contexts=())
        terms = replace(terms, data=data, test=test or "", needle=needle)
    if codec:
        terms = replace(terms, codec=codec)
    return replace(terms, seeds=tuple(seeds)) if seeds else terms


def compare(terms: Terms, folder: Path, device: str, threads: int | None, quiet: bool) -> Report:
    """Compare the systems; what is trained and measured is said on stderr."""
    notices = render.Notices(not quiet)
    place = Place(device, threads, not quiet, notices)
    place.processes()  # sets the threads, also where nothing is left to train
    comparison = Comparison(Runs(terms, folder, place, notices))
    # What is missing is better said now than after the trainings.
    rouge_scorer()
    comparison.measured.require_texts()
    return compared(comparison)


def drawn(results: Path, folder: Path) -> list[Path]:
    """Draw what a file of results holds, and write its tables; return the files in `folder`.

    Raises UsageError where the file holds no results of a comparison.
    """
    plots = render.draw_comparison(results, folder)
    tables = folder / "tables.md"
    try:
        found = report(json.loads(results.read_text(encoding="utf-8")))
        with render.opened(str(tables), [str(results)]) as out:
            render.print_report(found, "text", out)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UsageError(f"{results}: no tables can be made of it ({error!r})") from None
    return [*plots, tables]

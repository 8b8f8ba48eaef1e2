"""Summaries of real documents: extractive ones held against what people wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from sonar_cli.errors import InputError
from sonar_cli.evaluation.metrics import rouge_scorer
from sonar_cli.evaluation.report import Column, Record, Report, Table, best_in_bold
from sonar_cli.evaluation.summarizers import Summarizer
from sonar_cli.text.inputs import Text

KINDS = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True)
class Referenced:
    """A document: its sentences, summaries that people wrote, and how many sentences to write."""

    sentences: tuple[str, ...]
    summaries: tuple[str, ...]
    count: int


# progress(documents, their number) -> the same documents
Progress = Callable[[Iterable[Any], int], Iterable[Any]]


def read(path: str) -> list[Referenced]:
    """Read documents of JSON Lines: objects with "sentences" or "text", "summaries" and "count".

    Raises InputError, which names the line, for a line that is none.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    return [_document(f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line]


def run(
    summarizers: Mapping[str, Summarizer],
    sets: Mapping[str, Sequence[Referenced]],
    progress: Progress | None = None,
) -> Report:
    """Let every summarizer sum up every set's documents; report ROUGE-1, 2 and L.

    They are F measures with stemming, as rouge-score computes them; of several references the one
    that fits best counts, for each measure by itself. Raises UsageError where the package is
    missing.
    """
    rouge_scorer(KINDS)
    pairs = list(product(sets, summarizers))
    tables = []
    records: list[Record] = []
    for name, system in progress(pairs, len(pairs)) if progress else pairs:
        records.append({"set": name, "system": system, **_score(summarizers[system], sets[name])})
    for name in sets:
        own = [each for each in records if each["set"] == name]
        tables.append(Table("documents", _columns(own), own))
    return Report(tables)


def _document(where: str, line: str) -> Referenced:
    try:
        found = json.loads(line)
        sentences = found.get("sentences")
        if sentences is None:
            sentences = [each.text for each in Text(where, found["text"]).sentences()]
        return Referenced(tuple(sentences), tuple(found["summaries"]), int(found["count"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f'{where}: no object with "sentences" or "text", "summaries" and "count"'
        ) from None


def _score(summarizer: Summarizer, documents: Sequence[Referenced]) -> dict[str, Any]:
    written = summarizer([each.sentences for each in documents], [each.count for each in documents])
    sums = dict.fromkeys(KINDS, 0.0)
    for document, summary in zip(documents, written, strict=True):
        found = rouge_scorer(KINDS).score_multi(document.summaries, " ".join(summary))
        for kind in KINDS:
            sums[kind] += found[kind].fmeasure
    count = len(documents)
    return {kind: total / max(count, 1) for kind, total in sums.items()} | {"documents": count}


def _columns(records: Sequence[Record]) -> list[Column]:
    heads = ("ROUGE-1", "ROUGE-2", "ROUGE-L")
    return [
        Column("set", "documents of", left=True),
        Column("system", "system", left=True),
        *(
            Column(kind, head, best_in_bold(each[kind] for each in records))
            for kind, head in zip(KINDS, heads, strict=True)
        ),
        Column("documents", "documents"),
    ]

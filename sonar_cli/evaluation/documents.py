"""Summaries of real documents: extractive ones held against what people wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from sonar_cli.errors import InputError
from sonar_cli.evaluation.metrics import rouge_scorer
from sonar_cli.evaluation.report import Column, Record, Report, Table, best_in_bold
from sonar_cli.evaluation.summarizers import Summarizer
from sonar_cli.text.inputs import Text

KINDS = ("rouge1", "rouge2", "rougeL")
# The bootstrap draws the documents anew so often; percentiles of its means are an interval's ends.
_DRAWS, _INTERVAL = 1_000, (2.5, 97.5)
Floats = npt.NDArray[np.float64]


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
    that fits best counts, for each measure by itself. `_low` and `_high` are the ends of a 95 %
    bootstrap interval over documents. Counting sentences rewards long ones, so there is a second
    figure of each, `_words`: of the first words of a longer summary, as many as the references have
    on average. Raises UsageError where the package is missing.
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
    texts, counts = [each.sentences for each in documents], [each.count for each in documents]
    written = [" ".join(summary) for summary in summarizer(texts, counts)]
    limits = [_words_of(each.summaries) for each in documents]
    # As many sentences as have the words, by those that were written.
    more = [
        min(len(each.sentences), ceil(each.count * limit / max(1, len(text.split()))))
        for each, limit, text in zip(documents, limits, written, strict=True)
    ]
    longer = [" ".join(summary).split() for summary in summarizer(texts, more)]
    cut = [" ".join(text[:limit]) for text, limit in zip(longer, limits, strict=True)]
    found = _rouge(documents, written), _rouge(documents, cut)  # each (documents, 3)
    return {"documents": len(documents), **_means(found[0]), **_means(found[1], "_words")}


def _words_of(summaries: Sequence[str]) -> int:
    """Return how many words summaries have on average."""
    return round(fmean(len(each.split()) for each in summaries))


def _rouge(documents: Sequence[Referenced], written: Sequence[str]) -> Floats:
    scorer = rouge_scorer(KINDS)
    scores = [
        scorer.score_multi(document.summaries, text)
        for document, text in zip(documents, written, strict=True)
    ]
    return np.array([[each[kind].fmeasure for kind in KINDS] for each in scores])


def _means(scores: Floats, name: str = "") -> dict[str, float]:
    """Return the means of scores (N, 3) by kind and a name, with a bootstrap interval of each."""
    draws = np.random.default_rng(0).integers(0, len(scores), (_DRAWS, len(scores)))
    low, high = np.percentile(scores[draws].mean(1), _INTERVAL, axis=0)
    found: dict[str, float] = {}
    for number, kind in enumerate(KINDS):
        ends = {"_low": low[number], "_high": high[number]}
        found[kind + name] = float(scores[:, number].mean())
        found |= {kind + name + end: float(value) for end, value in ends.items()}
    return found


def _columns(records: Sequence[Record]) -> list[Column]:
    heads = ("ROUGE-1", "ROUGE-2", "ROUGE-L")
    return [
        Column("set", "documents of", left=True),
        Column("system", "system", left=True),
        *(
            Column(None, head + suffix, _with_interval(kind + name, records))
            for name, suffix in (("", ""), ("_words", ", equal words"))
            for kind, head in zip(KINDS, heads, strict=True)
        ),
        Column("documents", "documents"),
    ]


def _with_interval(kind: str, records: Sequence[Record]) -> Callable[[Record], str]:
    """Show a mean in per cent and half its interval; the best mean is bold."""
    show = best_in_bold((each[kind] for each in records), lambda value: f"{100 * value:.1f}")

    def cell(record: Record) -> str:
        half = (record[kind + "_high"] - record[kind + "_low"]) / 2
        return f"{show(record[kind])} ± {100 * half:.1f}"

    return cell

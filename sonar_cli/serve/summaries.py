"""Summaries: a text -> the sentences of its summary, with where they come from."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from typing import Any

from sonar_cli.api import SonarLLM
from sonar_cli.options import Summary, SummaryOptions
from sonar_cli.serve.jobs import Work
from sonar_cli.serve.messages import SummaryRequest
from sonar_cli.text.sentences import gap


def sum_up(asked: SummaryRequest) -> Work:
    """Return the work of summing up a text; it comes to a Summary."""
    options = SummaryOptions(asked.method, asked.sentences, source_lang=asked.source_lang)

    def work(llm: SonarLLM) -> Generator[None, None, Summary]:
        yield
        return llm.summarize(asked.input, options)

    return work


def answer(found: Summary, model: str) -> dict[str, Any]:
    """Return the JSON of a summary; offsets count the text's characters."""
    text = ""
    for each in found.sentences:
        text += (gap(text, each.text) if text else "") + each.text
    shown = ("text", "method", "support", "heading", "sources")
    sentences = [{name: asdict(each)[name] for name in shown} for each in found.sentences]
    return {
        "object": "summary",
        "model": model,
        "summary": text,
        "sentences": sentences,
        "of": found.of,
    }

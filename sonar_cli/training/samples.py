"""What a model in training writes, so that one sees it learn."""

from __future__ import annotations

import json
from pathlib import Path

from sonar_cli.model.systems.base import System
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import GenerationOptions
from sonar_cli.pipeline import write_many
from sonar_cli.training.corpus import Corpus
from sonar_cli.training.log import cut_lines
from sonar_cli.training.vectors import read_sentences

SAMPLES = "samples.jsonl"
# Held-out texts that are continued, and from how many of their sentences.
_CONTINUED, _GIVEN = 2, 2


def write_samples(out: Path, step: int, system: System | TokenLLMSystem, corpus: Corpus) -> None:
    """Continue the first sentences of held-out texts, and add them to `samples.jsonl` in `out`.

    Lines of this step and later ones, from a run that was killed after them, are dropped.
    """
    texts = [corpus.documents.row(text)[:_GIVEN].tolist() for text in corpus.valid[:_CONTINUED]]
    if not texts:
        return
    cut_lines(out / SAMPLES, step - 1)
    folder = out / "corpus"
    prompts = [[read_sentences(folder, n, n + 1)[0] for n in text] for text in texts]
    options = GenerationOptions(sentences=3, seed=0, beam_size=1, max_tokens=40)
    written: list[list[str]] = [[] for _ in prompts]
    for number, one in write_many(system, prompts, options, len(prompts)):
        if one.text is not None:
            written[number].append(one.text)
    with (out / SAMPLES).open("a", encoding="utf-8") as file:
        for prompt, text in zip(prompts, written, strict=True):
            record = {"step": step, "prompt": prompt, "text": text}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

"""Frozen dataclasses: model shapes, options in, results out. Imports nothing of this package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

StopReason = Literal["end", "length", "repetition"]
Method = Literal["extractive", "abstractive", "hybrid"]

BEGIN_SENTENCE = "Begin of text."
END_SENTENCE = "End of sequence."
# What asks a predictor that has learned it for a summary of the sentences before.
SUMMARY_CUE = "Summary of the text."


@dataclass(frozen=True)
class ModelPaths:
    """Where a model's files lie.

    `predictor` is a directory with config.json or a bare .pt; then `predictor_config` names its
    JSON. `encoder` and `decoder` are directories or checkpoint files, `tokenizer` a SentencePiece
    file or a directory that holds one. `embedded` marks the model inside the package.
    """

    predictor: Path
    encoder: Path
    decoder: Path
    tokenizer: Path
    predictor_config: Path | None = None
    embedded: bool = False


@dataclass(frozen=True)
class GenerationOptions:
    """How to continue a text.

    Thresholds are cosines. `sentences` is the most to write. The text goes on in `source_lang`, its
    own language; each sentence is also decoded into every one of `target_langs`. `begin` None
    follows the model's own config. `temperature` scales the noise on the predictor's hidden state
    by its RMS; 0 is deterministic.
    """

    sentences: int = 32
    source_lang: str = "eng_Latn"
    target_langs: tuple[str, ...] = ()
    begin: bool | None = None
    beam_size: int = 5
    max_tokens: int = 256
    stop_threshold: float = 0.98
    repeat_threshold: float | None = None
    temperature: float = 0.0
    candidates: int = 1
    top_p: float = 1.0
    seed: int | None = None


@dataclass(frozen=True)
class Step:
    """One turn of the generation loop.

    A written sentence has `index` (from 0) and `text`, and `stop_reason` None. The last Step of a
    text has `text` None and says why the text stopped. `similarity_to_end` is the cosine of the
    re-encoded sentence to the end sentence, `fidelity` its cosine to the predicted vector. `texts`
    is the sentence in each of the options' target languages, where there are any; `lang` names the
    one that `text` is in where that is not the text's own.
    """

    index: int | None
    text: str | None
    similarity_to_end: float | None
    fidelity: float | None
    seconds: float
    stop_reason: StopReason | None = None
    texts: tuple[str, ...] = ()
    lang: str | None = None


@dataclass(frozen=True)
class SummaryOptions:
    """How to sum up a text.

    The summary has `sentences` at most or, where that is None, the `share` of the text's own.
    `cue` is the sentence that asks the predictor for it, `context` the most sentences it is shown
    at once. A sentence that it writes needs so much `support` by those. Each is also given in
    every one of `target_langs`.
    """

    method: Method = "extractive"
    sentences: int | None = 5
    share: float = 0.1
    source_lang: str = "eng_Latn"
    target_langs: tuple[str, ...] = ()
    cue: str = SUMMARY_CUE
    context: int = 64
    support: float = 0.6
    begin: bool | None = None
    beam_size: int = 5
    max_tokens: int = 256
    stop_threshold: float = 0.98
    batch_size: int = 8


@dataclass(frozen=True)
class Source:
    """A sentence of the text that supports one of the summary.

    `index` counts the text's sentences from 0, `start` and `end` are offsets in the text, `cosine`
    is that of the two vectors.
    """

    index: int
    start: int
    end: int
    cosine: float


@dataclass(frozen=True)
class SummarySentence:
    """A sentence of a summary, in the text's language and in each target language.

    `method` is extractive for a sentence of the text, abstractive for one that was written.
    `support` tells from 0 to 1 how much of it its nearest sources say together. `heading` is the
    text's heading above its first source.
    """

    text: str
    sources: tuple[Source, ...]
    method: Method
    support: float = 1.0
    heading: str | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summary:
    """A summary, how many sentences the text has to choose from, and its letters and digits."""

    sentences: tuple[SummarySentence, ...]
    of: int
    length: int

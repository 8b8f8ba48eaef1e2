"""Frozen dataclasses: model shapes, options in, results out. Imports nothing of this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

StopReason = Literal["end", "length", "repetition"]
Method = Literal["extractive", "abstractive", "hybrid"]

BEGIN_SENTENCE = "Begin of text."
END_SENTENCE = "End of sequence."
# What asks a predictor that has learned it for a summary of the sentences before.
SUMMARY_CUE = "Summary of the text."


@dataclass(frozen=True)
class TransformerConfig:
    """Shape of one half of a SONAR codec.

    `width` is the sentence vector's size D, `heads * head_dim` equals `width` in every published
    checkpoint. `max_len` counts tokens: 514 for SONAR's encoder, 512 for its decoder.
    """

    vocab_size: int
    width: int
    layers: int
    heads: int
    ffn: int
    max_len: int


@dataclass(frozen=True)
class RopeScaling:
    """Rotary frequency scaling of type "llama3"; lengths in positions."""

    factor: float = 32.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_len: int = 8192


@dataclass(frozen=True)
class PredictorConfig:
    """Shape of a SONAR-LLM predictor, and what it was trained for.

    `embed_dim` is the sentence vector's size D. `summary_cue` is the sentence after which it
    writes a summary of those before; None for a predictor that has not learned to. `trained_len`
    is the most sentences it was shown in front of that cue, None where nobody says.
    """

    embed_dim: int
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    rms_eps: float = 1e-6
    rope_theta: float = 500_000.0
    rope_scaling: RopeScaling | None = field(default_factory=RopeScaling)
    add_begin: bool = False
    summary_cue: str | None = None
    trained_len: int | None = None


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


def predictor_config(raw: Mapping[str, Any]) -> PredictorConfig:
    """Read the JSON that goes with a published predictor.

    >>> small = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2,
    ...          "num_attention_heads": 4}
    >>> predictor_config({"llama_config": small, "embed_dim": 32}).head_dim
    16

    Raises KeyError naming the first field that is missing.
    """
    llama = raw["llama_config"]
    heads = int(llama["num_attention_heads"])
    hidden = int(llama["hidden_size"])
    return PredictorConfig(
        embed_dim=int(raw.get("embed_dim", 1024)),
        hidden=hidden,
        ffn=int(llama["intermediate_size"]),
        layers=int(llama["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(llama.get("num_key_value_heads") or heads),
        head_dim=int(llama.get("head_dim") or hidden // heads),
        rms_eps=float(llama.get("rms_norm_eps", 1e-6)),
        rope_theta=float(llama.get("rope_theta", 10_000.0)),
        rope_scaling=_rope_scaling(llama.get("rope_scaling")),
        add_begin=bool(raw.get("add_begin", False)),
        summary_cue=raw.get("summary_cue"),
        trained_len=raw.get("trained_len"),
    )


def _rope_scaling(raw: Mapping[str, Any] | None) -> RopeScaling | None:
    if raw is None:
        return None
    kind = raw.get("rope_type", raw.get("type", "default"))
    if kind == "default":
        return None
    if kind != "llama3":
        raise ValueError(f"rotary scaling of type {kind!r} is not supported, only 'llama3'")
    return RopeScaling(
        factor=float(raw["factor"]),
        low_freq_factor=float(raw["low_freq_factor"]),
        high_freq_factor=float(raw["high_freq_factor"]),
        original_max_len=int(raw["original_max_position_embeddings"]),
    )

"""What is asked and what is answered, as frozen dataclasses.

Options refuse what contradicts itself with UsageError as soon as they are made, whoever makes
them. Needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf
from pathlib import Path
from typing import Literal

from sonar_cli.errors import UsageError

StopReason = Literal["end", "length", "repetition"]
Method = Literal["extractive", "abstractive", "hybrid"]
AskedMethod = Literal["auto", "extractive", "abstractive", "hybrid"]
InputFormat = Literal[
    "auto",
    "text",
    "markdown",
    "rst",
    "asciidoc",
    "org",
    "latex",
    "html",
    "mail",
    "subtitles",
    "chat",
    "jsonl",
]
SplitMode = Literal["auto", "lines", "punkt", "rules"]
OutputFormat = Literal["text", "json", "jsonl"]
CodecKind = Literal["native", "sonar-space"]

# Number formats of the weights.
DTYPES = ("float32", "bfloat16", "float16", "int8")
# Smallest and largest values. Noise of 100 times the size of what it is added to leaves nothing of
# it; a seed has 64 bits.
RANGES: dict[str, tuple[int, int]] = {
    "stop_threshold": (-1, 2),
    "repeat_threshold": (-1, 2),
    "temperature": (0, 100),
    "token_temperature": (0, 100),
    "top_p": (0, 1),
    "guidance": (0, 100),
    "initial_noise": (0, 100),
    "seed": (-(2**63), 2**63 - 1),
}
MINI = "mini"
ENGLISH = "eng_Latn"


@dataclass(frozen=True)
class ModelRequest:
    """The model that is asked for, by names.

    `model` is a name, a Hub repository, a directory or a file; `config` the JSON that goes with a
    bare checkpoint. `encoder`, `decoder` and `tokenizer` replace the model's own parts by paths,
    repositories, files of repositories (`owner/name:file`) or, for the codec `sonar-space`, its
    cards. `offline` forbids downloads.
    """

    model: str = MINI
    config: str | None = None
    encoder: str | None = None
    decoder: str | None = None
    tokenizer: str | None = None
    offline: bool = False
    codec: CodecKind = "native"

    @property
    def embedded(self) -> bool:
        """Whether it is the model inside the package, with its own codec."""
        return self.model == MINI and not (self.encoder or self.decoder or self.tokenizer)


# More than that many threads crash PyTorch on some machines.
MOST_THREADS = 1024


@dataclass(frozen=True)
class Runtime:
    """How models run.

    `device` is auto, cpu, cuda[:N] or mps; `dtype` auto (float32), float32, bfloat16, float16 or
    int8. `threads` is the number of CPU threads, None for torch's own choice. `batch_size` is how
    many texts are written side by side, None for 8 on the CPU and 32 on CUDA. `workers` is how many
    batches of sentences are encoded at a time.
    """

    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    batch_size: int | None = None
    workers: int = 1

    def __post_init__(self) -> None:
        for name, most in (("threads", MOST_THREADS), ("batch_size", inf), ("workers", inf)):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= most:
                bound = "at least 1" if most == inf else f"from 1 to {most}"
                raise UsageError(f"{name} is {bound}, not {value}")


@dataclass(frozen=True)
class ModelPaths:
    """Where a model's files lie.

    `encoder` and `decoder` are directories or checkpoint files, `tokenizer` a SentencePiece file
    or a tokenizer.json, or a directory that holds one. `predictor` is a directory with config.json
    or a bare .pt; then `predictor_config` names its JSON. It is None where only the codec was asked
    for.
    """

    encoder: Path
    decoder: Path
    tokenizer: Path
    predictor: Path | None = None
    predictor_config: Path | None = None


@dataclass(frozen=True)
class InputOptions:
    """How a text is read: its format, how it is split into sentences, and its language.

    `lang` is a FLORES-200 code. With `split` "lines" every line is one sentence of prose, and no
    format is parsed; "punkt" is what `nltk.sent_tokenize` finds, "rules" this package's own rules,
    and "auto" whichever of the two a model was trained with, "rules" without one. `encoding` is the
    character set of the file, by Python's name for it; None is for what its bytes tell.
    """

    format: InputFormat = "auto"
    split: SplitMode = "auto"
    lang: str = ENGLISH
    encoding: str | None = None

    def __post_init__(self) -> None:
        if self.encoding is not None:
            try:
                b" ".decode(self.encoding, "ignore")
            except (LookupError, ValueError):
                raise UsageError(
                    f"there is no character set {self.encoding!r}; name it as in latin-1, cp1252, "
                    "shift_jis or koi8-r"
                ) from None


@dataclass(frozen=True)
class OutputOptions:
    """Where results go (None: stdout), as text or JSON Lines, and what is said on stderr."""

    path: str | None = None
    format: OutputFormat = "text"
    quiet: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class CacheOptions:
    """Whether sentences' vectors are kept on disk, where (None: the user's cache), how many MiB."""

    enabled: bool = True
    folder: Path | None = None
    mebibytes: int = 1024


def check_ranges(options: object, *names: str) -> None:
    """Raise UsageError if an option of these names is not None and not in its range."""
    for name in names:
        least, most = RANGES[name]
        value = getattr(options, name)
        if value is not None and not least <= value <= most:  # nor is NaN
            raise UsageError(f"{name} is from {least} to {most}, not {value}")


@dataclass(frozen=True)
class Drawing:
    """How a sentence is drawn: by what noise, of how many candidates, within what nucleus.

    The fields are those of GenerationOptions. Without a `seed` it is another text every time.

    >>> Drawing(candidates=4)
    Traceback (most recent call last):
    sonar_cli.errors.UsageError: 4 candidates are all the same without noise; add --temperature 0.3
    """

    temperature: float = 0.0
    token_temperature: float = 0.0
    candidates: int = 1
    top_p: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        check_ranges(self, "temperature", "token_temperature", "top_p", "seed")
        if self.candidates > 1 and self.temperature == self.token_temperature == 0:
            raise UsageError(
                f"{self.candidates} candidates are all the same without noise; "
                "add --temperature 0.3"
            )


PLAIN = Drawing()


@dataclass(frozen=True)
class GenerationOptions:
    """How to continue a text.

    Thresholds are cosines. `sentences` is the most to write. The text goes on in `source_lang`, its
    own language; each sentence is also decoded into every one of `target_langs`. `begin` None
    follows the model's own config. `temperature` scales the noise on the predictor's hidden state
    by its RMS; 0 is deterministic. With a `token_temperature` a sentence's tokens are drawn from
    the decoder's distribution at that temperature, of the nucleus `top_p`; at 0 the likeliest
    sentence is searched for with `beam_size`. One of `candidates` sentences is drawn, in the same
    nucleus, or the best one taken where tokens were drawn. What of these and of `seed` is None
    follows the model's own config (see `drawing`). `reencode` tells what goes on: the vector of the
    sentence that was written, encoded again, or the predicted vector as it is. Thresholds and
    `reencode` that are None follow the system's paper, or what is known of a published model. Three
    are for diffusion: `diffusion_steps` of the sampling, the scale of the `guidance`, the standard
    deviation of the `initial_noise`. `llm_beams` is how many beginnings a token-level model keeps;
    1 takes or draws one token after the other.
    """

    sentences: int = 32
    source_lang: str = ENGLISH
    target_langs: tuple[str, ...] = ()
    begin: bool | None = None
    beam_size: int = 5
    max_tokens: int = 256
    stop_threshold: float | None = None
    repeat_threshold: float | None = None
    temperature: float | None = None
    token_temperature: float | None = None
    candidates: int | None = None
    top_p: float | None = None
    seed: int | None = None
    reencode: bool | None = None
    diffusion_steps: int = 40
    guidance: float = 3.0
    initial_noise: float = 0.6
    llm_beams: int = 1

    def __post_init__(self) -> None:
        check_ranges(self, *RANGES)
        if self.llm_beams > 1 and self.temperature:
            raise UsageError("a search with --llm-beams draws nothing; leave out --temperature")

    def drawing(self, own: Drawing = PLAIN) -> Drawing:
        """Return how a sentence is drawn by a model whose own way is `own`.

        A temperature that is given takes the place of all of the model's own way. Raises UsageError
        for several candidates without a temperature.

        >>> own = Drawing(token_temperature=1.0, candidates=4, top_p=0.6, seed=0)
        >>> GenerationOptions(top_p=0.9).drawing(own)
        Drawing(temperature=0.0, token_temperature=1.0, candidates=4, top_p=0.9, seed=0)
        >>> GenerationOptions(token_temperature=0).drawing(own) == Drawing()
        True
        """
        given = {field.name: getattr(self, field.name) for field in fields(Drawing)}
        if self.temperature is not None or self.token_temperature is not None:
            own = PLAIN
        return replace(own, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class Step:
    """One turn of the generation loop.

    A written sentence has `index` (from 0) and `text`, and `stop_reason` None. The last Step of a
    text has `text` None and says why the text stopped. `similarity_to_end` is the cosine of the
    vector that goes on to the end sentence's. `fidelity` is the cosine of the re-encoded sentence
    to the predicted vector, None where sentences are not encoded again. `texts` is the sentence in
    each of the options' target languages, where there are any. `seconds` is what the turn took.
    """

    index: int | None
    text: str | None
    similarity_to_end: float | None
    fidelity: float | None
    seconds: float
    stop_reason: StopReason | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class SummaryOptions:
    """How to sum up a text.

    The summary has at most `sentences` sentences or, where `share` is given, that share of the
    text's own (5 sentences where neither is). `cue` is the sentence that asks the predictor for it
    and `context` the most sentences it is shown at once; None for what the model was trained with.
    With the method "hybrid" a written sentence needs so much `support` by those. `force` lets a
    model write that has not learned to. Each sentence is also given in every one of
    `target_langs`.

    >>> SummaryOptions(sentences=3, share=0.2)
    Traceback (most recent call last):
    sonar_cli.errors.UsageError: -n and --length both say how long the summary is to be; give one
    """

    method: AskedMethod = "auto"
    sentences: int | None = None
    share: float | None = None
    source_lang: str = ENGLISH
    target_langs: tuple[str, ...] = ()
    cue: str | None = None
    context: int | None = None
    support: float = 0.47
    force: bool = False
    begin: bool | None = None
    beam_size: int = 5
    max_tokens: int = 256
    stop_threshold: float | None = None

    def __post_init__(self) -> None:
        if self.sentences is not None and self.share is not None:
            raise UsageError("-n and --length both say how long the summary is to be; give one")


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
    """A summary: its sentences, how many the text has to choose from, the text's letters."""

    sentences: tuple[SummarySentence, ...]
    of: int
    length: int

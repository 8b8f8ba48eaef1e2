"""What clients may ask: the fields of OpenAI's requests that have a meaning here, and our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from sonar_cli.options import ENGLISH, RANGES, AskedMethod, Drawing

# Most choices for one prompt, and most inputs for embeddings (OpenAI's own).
_MOST_CHOICES = 128
_MOST_INPUTS = 2048


def _texts(value: object) -> object:
    """Refuse what is neither a text nor a list of texts; token ids are of another tokenizer."""
    if isinstance(value, str) or (
        isinstance(value, list) and value and all(isinstance(each, str) for each in value)
    ):
        return value
    raise ValueError("it is a string or a list of strings; token ids are not taken")


def _only(*values: object) -> Callable[[object], object]:
    """Return what refuses all but the values that ask for nothing."""

    def check(value: object) -> object:
        if value not in values:
            raise ValueError("it has no meaning for text that is made a sentence at a time")
        return value

    return check


Texts = Annotated[str | list[str], BeforeValidator(_texts)]
NoPenalty = Annotated[Any, AfterValidator(_only(None, 0))]
Language = Annotated[str, Field(max_length=40)]


class Asked(BaseModel):
    """What all requests share. A field that is not known is refused, so that none is passed over.

    `user` is taken, as clients send it, and not used.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: str | None = None
    user: str | None = None
    source_lang: Language = ENGLISH


class StreamOptions(BaseModel):
    """What comes with a stream; `include_obfuscation` is taken and not used."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False
    include_obfuscation: bool | None = None


class Completion(Asked):
    """`POST /v1/completions`.

    `temperature` is that of the tokens and `meaning_temperature` the size of the noise on the
    predicted meaning; what is None follows the model's own way. `max_sentences` None is the
    server's most.
    """

    prompt: Texts
    n: Annotated[int, Field(ge=1, le=_MOST_CHOICES)] | None = None
    max_sentences: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    meaning_temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    candidates: Annotated[int, Field(ge=1, le=16)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=RANGES["seed"][0], le=RANGES["seed"][1])] | None = None
    beam_size: Annotated[int, Field(ge=1, le=16)] = 5

    best_of: Annotated[Any, AfterValidator(_only(None, 1))] = None
    echo: Annotated[Any, AfterValidator(_only(None, False))] = None
    frequency_penalty: NoPenalty = None
    presence_penalty: NoPenalty = None
    logit_bias: Annotated[Any, AfterValidator(_only(None, {}))] = None
    logprobs: Annotated[Any, AfterValidator(_only(None))] = None
    stop: Annotated[Any, AfterValidator(_only(None, "", []))] = None
    suffix: Annotated[Any, AfterValidator(_only(None, ""))] = None

    def seeds(self, own: Drawing) -> list[int | None]:
        """Return the seed of each choice: the first has the one that is asked for, or the model's.

        `own` is how the model draws with what was asked for. The seeds of the others follow.

        >>> Completion(prompt="Tom ran.", n=3, seed=7).seeds(Drawing())
        [7, 8, 9]
        >>> Completion(prompt="Tom ran.", n=2).seeds(Drawing())
        [None, None]
        """
        first = own.seed if self.seed is None else self.seed
        if first is None:
            return [None] * (self.n or 1)
        least, most = RANGES["seed"]
        span = most - least + 1
        return [(first + i - least) % span + least for i in range(self.n or 1)]


class Embedding(Asked):
    """`POST /v1/embeddings`; with `sentences` each text also has its sentences' own vectors."""

    input: Texts
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    sentences: bool = False

    @field_validator("input")
    @classmethod
    def _not_too_many(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, list) and len(value) > _MOST_INPUTS:
            raise ValueError(f"it has at most {_MOST_INPUTS} texts")
        return value

    @property
    def texts(self) -> list[str]:
        """The texts, also where there is but one."""
        return [self.input] if isinstance(self.input, str) else self.input


class SummaryRequest(Asked):
    """`POST /v1/summaries`: of one text, in so many sentences."""

    input: Annotated[str, Field(min_length=1)]
    sentences: Annotated[int, Field(ge=1, le=1000)] | None = None
    method: AskedMethod = "auto"

"""The catalogue of named models, and whether they were trained to write summaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from sonar_cli.errors import CheckpointError
from sonar_cli.model.disk import is_there, quoted
from sonar_cli.model.names import CONFIG
from sonar_cli.model.shapes import read_json
from sonar_cli.model.values import field
from sonar_cli.options import SplitMode

FAR_FROM_MINI = (
    "mini knows the English of simple stories, and this text is far from it; "
    "-m 900m gets a real model (once, several GB)"
)
# The folder of the model inside the package.
EMBEDDED = Path(__file__).parents[1] / "mini" / "weights"


@dataclass(frozen=True)
class SummaryTraining:
    """How a system was trained to write summaries.

    `cue` is the sentence that asked for a summary, None for the default. `context` is the most
    sentences before the cue, None if unknown.
    """

    cue: str | None = None
    context: int | None = None


@dataclass(frozen=True)
class Published:
    """A published predictor.

    `parameters` is the number of its parameters as text, without the vocabulary that it never uses.
    `bytes` is about the size of its file: float32, with that vocabulary.
    `summaries` tells that it was also trained to write summaries. Its authors published neither the
    cue nor the length of the texts, so the defaults are used. `split` is how its training texts
    were split into sentences. `repeat_threshold` is the default of that option for a model that is
    known to repeat itself.
    """

    repository: str
    parameters: str
    bytes: int
    summaries: bool = False
    split: SplitMode = "punkt"
    repeat_threshold: float | None = None


PUBLISHED = {
    "100m": Published("raxtemur/sonar-llm-100m", "35 M", 401_000_000),
    "300m": Published("raxtemur/sonar-llm-300m", "170 M", 1_205_000_000),
    "600m": Published("raxtemur/sonar-llm-600m", "454 M", 2_471_000_000),
    "900m": Published("raxtemur/sonar-llm-900m", "698 M", 3_582_000_000),
    # It goes round in a circle after almost every text, often with another word in each round: a
    # sentence that comes back has the cosine 1, one with another word a little less.
    "1.3b": Published(
        "raxtemur/sonar-llm-1.3b", "1.3 B", 5_200_000_000, summaries=True, repeat_threshold=0.95
    ),
}
SONAR_ENCODER = "cointegrated/SONAR_200_text_encoder"
SONAR_DECODER = "raxtemur/SONAR_200_text_decoder"
META_SONAR = "facebook/SONAR"
# The repositories that hold SONAR's weights.
SONAR = (SONAR_ENCODER, SONAR_DECODER, META_SONAR)
# About the sizes of its parts' files. The encoder's and the tokenizer's are those of their page,
# the decoder's is that of its weights in float32 with an encoder's, which its class holds as well.
CODEC_BYTES = {"encoder": 3_060_000_000, "decoder": 5_490_000_000, "tokenizer": 4_900_000}
# What everything that runs on SONAR's codec may be used for.
SONAR_TERMS = "CC-BY-NC-4.0 (codec)"
SONAR_LICENCE = "SONAR's weights have the licence CC-BY-NC-4.0: not for commercial use"


def published(model: str) -> Published | None:
    """Return the published predictor with a name or a repository, or None.

    >>> published("900M").repository
    'raxtemur/sonar-llm-900m'
    """
    if found := PUBLISHED.get(model.casefold()):
        return found
    return next((each for each in PUBLISHED.values() if each.repository == model), None)


def summary_training(model: str, predictor: Path | None = None) -> SummaryTraining | None:
    """Return how a model was trained to write summaries, or None if it was not.

    This is known from the catalogue for published models, and from the config.json in the folder
    `predictor` for others. Raises CheckpointError if that file is not JSON, or has no sentence or
    number where one belongs.
    """
    if found := published(model):
        return SummaryTraining() if found.summaries else None
    if predictor is None or not is_there(config := predictor / CONFIG):
        return None
    raw = read_json(config)
    cue, context = (_value(name, raw, config) for name in ("summary_cue", "trained_len"))
    return None if cue is None else SummaryTraining(cue, context)


def repeat_threshold(model: str, config: Path | None = None) -> float | None:
    """Return the cosine at which a model that is known to repeat itself is stopped, else None.

    This is known from the catalogue for published models, and from their config.json for others.
    Raises CheckpointError if that is not JSON, or has no number from -1 to 2 there.
    """
    if found := published(model):
        return found.repeat_threshold
    if config is None or not is_there(config):
        return None
    return _value("repeat_threshold", read_json(config), config)


def trained_split(model: str, config: Path | None = None) -> SplitMode:
    """Return how the texts that a model was trained on were split into sentences.

    This is known from the catalogue for published models, and from their config.json for others:
    its `split`, or else "punkt" for a file by SONAR-LLM's authors, which names no system. Raises
    CheckpointError for a file that is not JSON or that names no such split.

    >>> trained_split("900m"), trained_split("mini", EMBEDDED / "predictor" / CONFIG)
    ('punkt', 'rules')
    """
    if found := published(model):
        return found.split
    if config is None or not is_there(config):
        return "rules"
    raw = read_json(config)
    split = raw.get("split", "punkt" if "system" not in raw and "llama_config" in raw else "rules")
    if split not in get_args(SplitMode):
        known = ", ".join(get_args(SplitMode)[1:])
        raise CheckpointError(f"{config}: unknown split {quoted(split)}; known are {known}")
    return split


def _value(name: str, raw: Mapping[str, Any], config: Path) -> Any:
    """Return a field of a config.json, None if it is not given; CheckpointError if it is wrong."""
    try:
        return field(name, raw, default=None)
    except ValueError as error:
        raise CheckpointError(f"{config}: {error}") from None

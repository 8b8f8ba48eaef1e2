"""The tables of a recipe: texts, network, objective, steps; what each value may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sonar_cli.errors import UsageError
from sonar_cli.world.choices import FEWEST

Dtype = Literal["float32", "bfloat16", "float16"]
# Texts that the program writes itself: the story world, the one with choices, and stories in which
# facts are told and asked for.
WORLD, BRANCHING, NEEDLE = "world", "branching", "needle"
WORLDS = (WORLD, BRANCHING, NEEDLE)
# A fact, its question and its answer, and something before, between or behind.
_LEAST_NEEDLE = 4


@dataclass(frozen=True)
class Data:
    """The texts, and their parts.

    `path` is "world" or "branching", a story world (see `world`), "needle" (see `world.needle`), a
    file, a folder, a glob, or "hub:" and a data set's name or local folder; `split` names that data
    set's part, `column` the text in rows of it, of Parquet and JSON Lines. With `world` the story
    world's come beside these.
    Of a world `stories` are written, with at most `variety` words of each of its lists (0: all; at
    least 3), which for "branching" is also how many ways there are to tell a beat. With `summaries`
    every second one is followed by "Summary of the text." and its summary. A text's sentences
    beyond `max_sentences` make further texts, or are dropped with `cut`; a summary stays whole,
    behind the last of them.

    `valid` and `test` are the shares of the texts that are kept for validation and for a test,
    chosen by a hash of the text, so that none ever moves. `workers` is the number of processes that
    split and encode, 0 as many as it takes; the corpus is the same for any number.
    """

    path: str = WORLD
    column: str = "text"
    split: str = "train"
    world: bool = False
    stories: int = 8_000
    variety: int = 0
    summaries: bool = False
    max_sentences: int = 32
    cut: bool = False
    valid: float = 0.02
    test: float = 0.02
    workers: int = 0


@dataclass(frozen=True)
class Model:
    """The network's shape; `denoiser_layers` and `diffusion_steps` are the diffusion LCM's."""

    hidden: int = 256
    ffn: int = 640
    layers: int = 4
    heads: int = 8
    kv_heads: int | None = None
    head_dim: int | None = None
    dropout: float = 0.0
    denoiser_layers: int = 4
    diffusion_steps: int = 100


@dataclass(frozen=True)
class Objective:
    """What SONAR-LLM's loss counts.

    `double_eos` is the authors' labels, `mean` what the cross-entropy is averaged over (the authors
    average each text by itself), `decoder_dropout` the frozen decoder's (theirs is 0.1), and
    `begin` puts the begin sentence in front. With `decoder_learns` the decoder is not frozen: it
    learns to write the next sentence too, and goes on giving sentences back. Before `train.steps`,
    `vector_steps` minimize the squared error of the next vector, which needs no decoder, with the
    learning rate `vector_lr`.
    """

    double_eos: bool = False
    mean: Literal["token", "text"] = "token"
    decoder_dropout: float = 0.0
    begin: bool = True
    decoder_learns: bool = False
    vector_steps: int = 0
    vector_lr: float = 1.5e-3


@dataclass(frozen=True)
class Train:
    """Steps, batch, learning rate and regularization (see `schedule.Schedule`), and their means.

    `batch` counts the texts of an update, `micro_batch` those that a process computes at a time (0:
    all), whose gradients are added up. `precision` is autocast's: "auto" is bfloat16 where the
    device multiplies it. With `gradient_checkpointing` layers are computed again in the backward
    pass, which saves memory. The optimizer "muon" (see `muon.Muon`) learns more from a step, which
    takes it longer. `ema` is the decay of an average of the weights, and `keep` the number of
    checkpoints.
    """

    steps: int = 1_000
    batch: int = 24
    micro_batch: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
    optimizer: Literal["adamw", "muon"] = "adamw"
    lr: float = 1e-3
    warmup: int = 100
    weight_decay: float = 0.01
    beta2: float = 0.98
    eps: float = 1e-8
    clip: float = 1.0
    decay: Literal["cosine", "constant"] = "cosine"
    ema: float = 0.0
    seed: int = 0
    validate_every: int = 200
    save_seconds: float = 60.0
    keep: int = 2


@dataclass(frozen=True)
class CodecShape:
    """Shape of a codec: `width` is the vector's size D, `vocabulary` the most pieces.

    The decoder has `decoder_layers`, or with 0 as many as the encoder, which has `layers`.
    """

    width: int = 256
    layers: int = 2
    decoder_layers: int = 0
    heads: int = 4
    encoder_ffn: int = 768
    decoder_ffn: int = 1_024
    vocabulary: int = 4_000


@dataclass(frozen=True)
class CodecObjective:
    """What a codec has to bear, and on which sentences.

    `noise` is that on the vector, in units of its RMS, `blurred` the share of the vectors that are
    as uncertain as predicted ones (see `objectives.blur`), `masked` that of the pieces which the
    encoder does not see. A `frozen` encoder stays as it is, and the decoder alone learns, as
    SONAR's did. For each sentence of the texts there are `made` of their words (see `breadth`).
    Sentences of more than `longest` tokens are left out, and the encoder reads no more of any
    sentence (0: none). In the first part `grow` of the steps the shortest quarter of the sentences
    is learned, then the shorter half, and so on.
    """

    noise: float = 0.2
    blurred: float = 0.0
    masked: float = 0.0
    frozen: bool = False
    made: float = 0.05
    longest: int = 0
    grow: float = 0.0


def check(data: Data, train: Train, model: Model | CodecShape, sizes: Sequence[str]) -> None:
    """Raise UsageError for a value that no recipe may have; `sizes` of the model are at least 1."""
    _check_data(data)
    least = {
        "train.steps": train.steps,
        "train.batch": train.batch,
        "train.keep": train.keep,
        **{f"model.{name}": getattr(model, name) for name in sizes},
    }
    for name, value in least.items():
        if value < 1:
            raise UsageError(f"{name} is at least 1, not {value}")
    if data.max_sentences < 2:
        raise UsageError(f"data.max_sentences is at least 2, not {data.max_sentences}")
    if not (0 < train.lr < math.inf):
        raise UsageError(f"train.lr is a number above 0, not {train.lr}")
    if not 0 <= train.beta2 < 1:
        raise UsageError(f"train.beta2 is from 0 to below 1, not {train.beta2}")
    for name, value in {"seed": train.seed, "micro_batch": train.micro_batch}.items():
        if value < 0:
            raise UsageError(f"train.{name} is at least 0, not {value}")
    if not 0 <= train.ema < 1:
        raise UsageError(f"train.ema is from 0 to below 1, not {train.ema}")


def check_model(model: Model) -> None:
    """Raise UsageError for heads that do not fit."""
    if model.hidden % model.heads and model.head_dim is None:
        raise UsageError(
            f"model.heads {model.heads} does not divide model.hidden {model.hidden}; "
            "give model.head_dim"
        )
    if model.head_dim is not None and (model.head_dim < 2 or model.head_dim % 2):
        raise UsageError(f"model.head_dim is an even number from 2, not {model.head_dim}")
    if model.kv_heads is not None and (model.kv_heads < 1 or model.heads % model.kv_heads):
        raise UsageError(
            f"model.kv_heads {model.kv_heads} does not divide model.heads {model.heads}"
        )


def check_codec(shape: CodecShape, objective: CodecObjective) -> None:
    """Raise UsageError for a codec that cannot be."""
    if shape.decoder_layers < 0:
        raise UsageError(f"model.decoder_layers is at least 0, not {shape.decoder_layers}")
    for name in ("noise", "made", "longest"):
        if getattr(objective, name) < 0:
            raise UsageError(f"objective.{name} is at least 0, not {getattr(objective, name)}")
    for name in ("blurred", "masked", "grow"):
        if not 0 <= getattr(objective, name) <= 1:
            raise UsageError(f"objective.{name} is from 0 to 1, not {getattr(objective, name)}")
    if shape.width % shape.heads:
        raise UsageError(f"model.heads {shape.heads} does not divide model.width {shape.width}")


def _check_data(data: Data) -> None:
    for name, least in (("stories", 1), ("max_sentences", 1), ("workers", 0)):
        if getattr(data, name) < least:
            raise UsageError(f"data.{name} is at least {least}, not {getattr(data, name)}")
    if not 0 < data.valid < 1:
        raise UsageError(f"data.valid is a share between 0 and 1, not {data.valid}")
    if not 0 <= data.test < 1:
        raise UsageError(f"data.test is a share from 0 to below 1, not {data.test}")
    if data.variety != 0 and data.variety < FEWEST:
        raise UsageError(f"data.variety is 0 for all, or at least {FEWEST}, not {data.variety}")
    if data.valid + data.test >= 1:
        raise UsageError("data.valid and data.test leave nothing to train on; together below 1")
    if data.summaries and data.path not in WORLDS and not data.world:
        raise UsageError(
            "data.summaries are those of the story world; leave it out for own texts, or add "
            "data.world=true"
        )
    if data.path == NEEDLE and (data.summaries or data.max_sentences < _LEAST_NEEDLE):
        raise UsageError(
            "data.path=needle has no summaries, and data.max_sentences is at least "
            f"{_LEAST_NEEDLE} there"
        )
    for name in ("path", "column", "split"):
        if not getattr(data, name).strip():
            raise UsageError(f"data.{name} is empty")

"""Recipes: what is trained, on what, and how; TOML files, and some of them shipped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from sonar_cli.errors import UsageError
from sonar_cli.training import schema

Kind = Literal["sonar-llm", "lcm-mse", "lcm-diffusion", "llm"]
Dtype = Literal["float32", "bfloat16", "float16"]
WORLD = "world"
SHIPPED = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Data:
    """The texts, and their parts.

    `path` is "world", a file, a folder, a glob, or "hub:" and a data set's name or local folder;
    `split` names that data set's part, `column` the text in rows of it, of Parquet and JSON Lines.
    With `world` the story world's come beside these. Of the world `stories` are written; with
    `summaries` every second one is followed by "Summary of the text." and its summary. A text's
    sentences beyond `max_sentences` make further texts, or are dropped with `cut`; a summary stays
    whole, behind the last of them.

    `valid` and `test` are the shares of the texts that are kept for validation and for a test,
    chosen by a hash of the text, so that none ever moves. `workers` is the number of processes that
    split and encode, 0 as many as it takes; the corpus is the same for any number.
    """

    path: str = WORLD
    column: str = "text"
    split: str = "train"
    world: bool = False
    stories: int = 8_000
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
    `begin` puts the begin sentence in front. Before `train.steps`, `vector_steps` minimize the
    squared error of the next vector, which needs no decoder, with the learning rate `vector_lr`.
    """

    double_eos: bool = False
    mean: Literal["token", "text"] = "token"
    decoder_dropout: float = 0.0
    begin: bool = True
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

    `noise` is that on the vector, in units of its RMS, `masked` the share of pieces that the
    encoder does not see. For each sentence of the texts there are `made` of their words (see
    `breadth`). Sentences of more than `longest` tokens are left out, and the encoder reads no
    more of any sentence (0: none). In the first part `grow` of the steps the shortest quarter of
    the sentences is learned, then the shorter half, and so on.
    """

    noise: float = 0.2
    masked: float = 0.0
    made: float = 0.05
    longest: int = 0
    grow: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """A system's recipe. `codec` is the model whose codec makes and reads the vectors.

    `dtype` is that of the weights which are written at the end. `start` is a model whose weights
    the training begins with, of the same system; its shape then takes the place of `model`. In TOML
    its key is `from`.
    """

    system: Kind
    codec: str = "mini"
    start: str | None = field(default=None, metadata={"key": "from"})
    dtype: Dtype = "float32"
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    objective: Objective = field(default_factory=Objective)
    train: Train = field(default_factory=Train)

    def __post_init__(self) -> None:
        model = self.model
        sizes = ("hidden", "ffn", "layers", "heads", "denoiser_layers", "diffusion_steps")
        _check(self.data, self.train, model, sizes)
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
        if self.data.summaries and self.system != "sonar-llm":
            raise UsageError("data.summaries is for sonar-llm: no other system learns a cue yet")
        shares = {
            "model.dropout": model.dropout,
            "objective.decoder_dropout": self.objective.decoder_dropout,
        }
        for name, value in shares.items():
            if not 0 <= value < 1:
                raise UsageError(f"{name} is from 0 to below 1, not {value}")
        if self.objective.vector_steps < 0 or not (0 < self.objective.vector_lr < math.inf):
            raise UsageError("objective.vector_steps is at least 0, vector_lr a number above 0")

    def toml(self) -> str:
        """Return the whole recipe, defaults included."""
        return _toml(asdict(self))


@dataclass(frozen=True)
class CodecRecipe:
    """A codec's recipe. `start` (in TOML `from`) is a codec to go on with, its tokenizer too."""

    system: Literal["codec"] = "codec"
    start: str | None = field(default=None, metadata={"key": "from"})
    dtype: Dtype = "float32"
    data: Data = field(default_factory=Data)
    model: CodecShape = field(default_factory=CodecShape)
    objective: CodecObjective = field(default_factory=CodecObjective)
    train: Train = field(default_factory=Train)

    def __post_init__(self) -> None:
        sizes = ("width", "layers", "heads", "encoder_ffn", "decoder_ffn", "vocabulary")
        _check(self.data, self.train, self.model, sizes)
        if self.model.decoder_layers < 0:
            raise UsageError(f"model.decoder_layers is at least 0, not {self.model.decoder_layers}")
        objective = self.objective
        for name in ("noise", "made", "longest"):
            if getattr(objective, name) < 0:
                raise UsageError(f"objective.{name} is at least 0, not {getattr(objective, name)}")
        for name in ("masked", "grow"):
            if not 0 <= getattr(objective, name) <= 1:
                raise UsageError(f"objective.{name} is from 0 to 1, not {getattr(objective, name)}")
        if self.model.width % self.model.heads:
            raise UsageError(
                f"model.heads {self.model.heads} does not divide model.width {self.model.width}"
            )

    def toml(self) -> str:
        """Return the whole recipe, defaults included."""
        return _toml(asdict(self))


@dataclass(frozen=True)
class ModelRecipe:
    """A codec and a system on it, trained one after the other: a whole model from nothing."""

    system: Literal["model"] = "model"
    codec: CodecRecipe = field(default_factory=CodecRecipe)
    predictor: Recipe = field(default_factory=lambda: Recipe("sonar-llm"))

    def toml(self) -> str:
        """Return the whole recipe, defaults included."""
        values = asdict(self)
        # The codec is the one that was just trained.
        del values["predictor"]["codec"]
        parts = {name: _keyed(values[name]) for name in ("codec", "predictor")}
        return schema.write({"system": self.system, **parts})


AnyRecipe = Recipe | CodecRecipe | ModelRecipe


def _check(data: Data, train: Train, model: Model | CodecShape, sizes: Sequence[str]) -> None:
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


def _check_data(data: Data) -> None:
    for name, least in (("stories", 1), ("max_sentences", 1), ("workers", 0)):
        if getattr(data, name) < least:
            raise UsageError(f"data.{name} is at least {least}, not {getattr(data, name)}")
    if not 0 < data.valid < 1:
        raise UsageError(f"data.valid is a share between 0 and 1, not {data.valid}")
    if not 0 <= data.test < 1:
        raise UsageError(f"data.test is a share from 0 to below 1, not {data.test}")
    if data.valid + data.test >= 1:
        raise UsageError("data.valid and data.test leave nothing to train on; together below 1")
    if data.summaries and data.path != WORLD and not data.world:
        raise UsageError(
            "data.summaries are those of the story world; leave it out for own texts, or add "
            "data.world=true"
        )
    for name in ("path", "column", "split"):
        if not getattr(data, name).strip():
            raise UsageError(f"data.{name} is empty")


def _toml(values: dict[str, Any]) -> str:
    return schema.write(_keyed(values))


def _keyed(values: dict[str, Any]) -> dict[str, Any]:
    start = values.pop("start")
    return {"system": values.pop("system"), "from": start, **values}


def names() -> list[str]:
    """Return the names of the recipes that are shipped.

    >>> names()[:4]
    ['codec', 'finetune', 'lcm-diffusion', 'lcm-mse']
    """
    return sorted(file.stem for file in SHIPPED.glob("*.toml"))


def read(name: str, changes: Sequence[str] = (), seed: int | None = None) -> AnyRecipe:
    """Read a recipe: a shipped name or a TOML file, with `key=value` changes, and maybe a seed.

    Raises UsageError for a name or file that is not there, broken TOML, unknown keys and values of
    another type.
    """
    file = SHIPPED / f"{name}.toml" if name in names() else Path(name).expanduser()
    if file.is_dir():
        inside = file / "recipe.toml"
        hint = f"; {inside} is one" if inside.is_file() else ""
        raise UsageError(f"{name} is a folder, and a recipe is a name or a TOML file{hint}")
    if not file.is_file():
        known = ", ".join(names())
        raise UsageError(f"{name}: no such recipe; there are {known}, or give a TOML file")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name}: no recipe in TOML ({error})") from None
    raw = schema.parse(text, name)
    for change in changes:
        # The texts of a codec and of the system on it are the same.
        both = raw.get("system") == "model" and change.startswith("data.")
        for table in ("codec.", "predictor.") if both else ("",):
            schema.override(raw, f"{table}{change}")
    if "system" not in raw:
        known = ", ".join([*get_args(Kind), "codec", "model"])
        raise UsageError(f"{name}: system is missing; one of {known}")
    if seed is not None:
        for table in ("codec.", "predictor.") if raw["system"] == "model" else ("",):
            schema.override(raw, f"{table}train.seed={seed}")
    if raw["system"] == "codec":
        return schema.make(CodecRecipe, raw, name)
    if raw["system"] == "model":
        return schema.make(ModelRecipe, raw, name)
    return schema.make(Recipe, raw, name)

"""Recipes: what is trained, on what, and how; TOML files, and some of them shipped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from sonar_cli.errors import UsageError
from sonar_cli.options import PLAIN, Drawing
from sonar_cli.training import schema
from sonar_cli.training.tables import (
    CodecObjective,
    CodecShape,
    Data,
    Dtype,
    Model,
    Objective,
    Train,
    check,
    check_codec,
    check_model,
)

Kind = Literal["sonar-llm", "lcm-mse", "lcm-diffusion", "llm"]
SHIPPED = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """A system's recipe. `codec` is the model whose codec makes and reads the vectors.

    `dtype` is that of the weights which are written at the end. `drawing` is what a SONAR-LLM's
    config says of how it writes where the options say nothing else. `start` is a model whose
    weights the training begins with, of the same system; its shape then takes the place of `model`.
    In TOML its key is `from`.
    """

    system: Kind
    codec: str = "mini"
    start: str | None = field(default=None, metadata={"key": "from"})
    dtype: Dtype = "float32"
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    objective: Objective = field(default_factory=Objective)
    train: Train = field(default_factory=Train)
    drawing: Drawing = PLAIN

    def __post_init__(self) -> None:
        model = self.model
        if self.system != "sonar-llm" and self.drawing != PLAIN:
            raise UsageError(f"drawing is for a sonar-llm, not for {self.system}; leave it out")
        sizes = ("hidden", "ffn", "layers", "heads", "denoiser_layers", "diffusion_steps")
        check(self.data, self.train, model, sizes)
        check_model(model)
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
        check(self.data, self.train, self.model, sizes)
        check_codec(self.model, self.objective)
        if self.objective.frozen and self.start is None:
            raise UsageError("objective.frozen keeps an encoder that has learned: name it in from")

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
    return schema.shipped(SHIPPED)


def read(name: str, changes: Sequence[str] = (), seed: int | None = None) -> AnyRecipe:
    """Read a recipe: a shipped name or a TOML file, with `key=value` changes, and maybe a seed.

    Raises UsageError for a name or file that is not there, broken TOML, unknown keys and values of
    another type.
    """
    file = Path(name).expanduser()
    if name not in names() and file.is_dir():
        inside = file / "recipe.toml"
        hint = f"; {inside} is one" if inside.is_file() else ""
        raise UsageError(f"{name} is a folder, and a recipe is a name or a TOML file{hint}")
    raw = schema.load(name, SHIPPED, "recipe")
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

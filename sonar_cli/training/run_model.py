"""A recipe of a codec and a system on it -> one folder with both, such as `mini`."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from sonar_cli.model.whole import moved_whole
from sonar_cli.options import ModelPaths
from sonar_cli.training.place import Place
from sonar_cli.training.recipe import ModelRecipe
from sonar_cli.training.record import digest, write_whole
from sonar_cli.training.run import train
from sonar_cli.training.run_codec import train_codec


def train_model(
    recipe: ModelRecipe, out: Path, *, place: Place | None = None, resume: bool = True
) -> Path:
    """Train a codec and then a system on it; return the folder that `-m` takes.

    `out` gets codec/ and predictor/, each as its own training leaves it, and in one move at the end
    model/ with encoder/, decoder/, tokenizer/ and predictor/. A run that was stopped goes on.
    """
    codec = train_codec(recipe.codec, None, out / "codec", place=place, resume=resume)
    parts = {name: codec / name for name in ("encoder", "decoder", "tokenizer")}
    identity = digest(
        np.fromfile(codec / half / "model.safetensors", np.uint8) for half in ("encoder", "decoder")
    )
    paths = ModelPaths(**parts)
    made = train(
        recipe.predictor, paths, out / "predictor", identity=identity, place=place, resume=resume
    )
    processes, _ = (place or Place()).processes()
    if not processes.rank:
        # A decoder that learned beside the predictor lies with it, and a small codec does anyway.
        parts |= {part: made / part for part in ("predictor", "decoder") if (made / part).exists()}
        _join(recipe, parts, made / "metrics.json", out)
    with processes.in_turn():
        return out / "model"


def _join(recipe: ModelRecipe, parts: dict[str, Path], metrics: Path, out: Path) -> None:
    with moved_whole(out / "model") as model:
        for name, path in parts.items():
            shutil.copytree(path, model / name)
        write_whole(model / "recipe.toml", recipe.toml())
        shutil.copy(metrics, model / metrics.name)

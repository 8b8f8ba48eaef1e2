"""What `sonar-llm train` does with a recipe: finds the models it names, trains, draws, prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sonar_cli import render
from sonar_cli.cli import session
from sonar_cli.errors import UsageError
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.formats.system import kind_of
from sonar_cli.model.load import load_codec
from sonar_cli.options import MINI, ModelPaths, ModelRequest, OutputOptions, Runtime
from sonar_cli.summary.cache import files_identity
from sonar_cli.training import dry_run as dry
from sonar_cli.training.place import Place
from sonar_cli.training.processes import first_of_launch
from sonar_cli.training.recipe import AnyRecipe, CodecRecipe, ModelRecipe, Recipe
from sonar_cli.training.run import VECTORS, train
from sonar_cli.training.run_codec import train_codec
from sonar_cli.training.run_model import train_model

LOG, CURVES = "log.jsonl", "curves.png"


def run(recipe: AnyRecipe, out: Path, place: Place, resume: bool) -> None:
    """Train a recipe into a folder, print what `-m` takes, and draw the curves."""
    if isinstance(recipe, ModelRecipe):
        model = train_model(recipe, out, place=place, resume=resume)
    elif isinstance(recipe, CodecRecipe):
        start = _paths(recipe.start, place) if recipe.start is not None else None
        model = train_codec(recipe, start, out, place=place, resume=resume)
    else:
        model = _train_system(recipe, out, place, resume)
    if not first_of_launch():
        return
    render.show(str(model))
    title = f"{out.resolve().name} ({recipe.system})"
    terminal = place.progress and sys.stderr.isatty()
    logs = [(log, name) for log, name in _logs(recipe, out) if log.exists()]
    render.draw_curves(logs, out / CURVES, title, terminal=terminal, notify=place.notify)


def dry_run(recipe: AnyRecipe, device: str, threads: int | None) -> dict[str, Any]:
    """Return what a recipe would take."""
    if isinstance(recipe, ModelRecipe):
        return dry.dry_run_model(recipe, device, threads)
    if isinstance(recipe, CodecRecipe):
        return dry.dry_run_codec(recipe, device, threads)[1]
    name = MINI if recipe.codec == dry.RANDOM else recipe.codec
    codec = load_codec(resolve(ModelRequest(name), predictor=False), Runtime(device), trains=True)
    assert isinstance(codec, NativeCodec)  # no other is asked for
    return dry.dry_run(recipe, codec, device, threads)


def _train_system(recipe: Recipe, out: Path, place: Place, resume: bool) -> Path:
    paths = _paths(recipe.start or recipe.codec, place, predictor=recipe.start is not None)
    if recipe.start is not None:
        _require_system(recipe, paths)
    identity = files_identity(paths.encoder, paths.tokenizer)
    return train(recipe, paths, out, identity=identity, place=place, resume=resume)


def _paths(model: str, place: Place, predictor: bool = False) -> ModelPaths:
    watcher = session.watcher(OutputOptions(quiet=not place.progress))
    return resolve(ModelRequest(model), predictor=predictor, watcher=watcher)


def _require_system(recipe: Recipe, paths: ModelPaths) -> None:
    """Raise UsageError, before anything is written, where the model is no such system."""
    if paths.predictor is None:
        raise UsageError(f"{recipe.start} is a codec alone; from= takes a model with a predictor")
    if (found := kind_of(paths.predictor)) != recipe.system:
        raise UsageError(
            f"{recipe.start} is a {found}, and the recipe trains a {recipe.system}; "
            f"add system={found}"
        )


def _logs(recipe: AnyRecipe, out: Path) -> list[tuple[Path, str]]:
    """Return the logs that a training leaves, each with what was trained."""
    if isinstance(recipe, ModelRecipe):
        parts = _logs(recipe.codec, out / "codec"), _logs(recipe.predictor, out / "predictor")
        return [*parts[0], *parts[1]]
    if isinstance(recipe, CodecRecipe):
        return [(out / "codec" / LOG, recipe.system)]
    return [(out / VECTORS / LOG, VECTORS), (out / LOG, recipe.system)]

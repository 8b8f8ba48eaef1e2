"""The finished model: a folder that `-m` takes, moved into place whole."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.formats.codec import save_decoder
from sonar_cli.model.formats.system import save_system
from sonar_cli.model.whole import moved_whole
from sonar_cli.options import ModelPaths

# A codec of at most so many bytes is copied beside what was trained on it.
_SMALL = 64 << 20


def copy_notes(out: Path, model: Path) -> None:
    """Copy a training's recipe and figures to its model."""
    for name in ("recipe.toml", "metrics.json"):
        shutil.copy(out / name, model / name)


def export(
    network: nn.Module,
    dtype: torch.dtype,
    paths: ModelPaths,
    out: Path,
    decoder: TextDecoder | None = None,
) -> None:
    """Write out/model in one move: the network, the recipe and figures, and a small codec.

    A `decoder` that has learned takes the place of the one at `paths`.
    """
    with moved_whole(out / "model") as model:
        save_system(network, model / "predictor", dtype)
        copy_notes(out, model)
        parts = {"encoder": paths.encoder, "decoder": paths.decoder, "tokenizer": paths.tokenizer}
        if sum(map(_bytes, parts.values())) <= _SMALL and all(p.is_dir() for p in parts.values()):
            for part, path in parts.items():
                shutil.copytree(path, model / part)
        if decoder is not None:
            shutil.rmtree(model / "decoder", ignore_errors=True)
            save_decoder(decoder, model / "decoder", dtype)


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else islice([path], 1)
    return sum(file.stat().st_size for file in files if file.is_file())

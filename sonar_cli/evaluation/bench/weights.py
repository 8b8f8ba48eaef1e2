"""Random weights of a model: in memory, or in files as a published model has them.

How long a model takes does not depend on the values of its weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.formats.codec import save_decoder, save_encoder
from sonar_cli.model.formats.layouts import State
from sonar_cli.model.formats.predictor import save_predictor
from sonar_cli.model.load import build
from sonar_cli.model.shapes import (
    SONAR_DECODER,
    SONAR_ENCODER,
    LlamaConfig,
    PredictorConfig,
    TransformerConfig,
)
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import ModelPaths

Shape = TypeVar("Shape", bound=TransformerConfig | LlamaConfig)
Module = TypeVar("Module", bound=nn.Module)

# Random numbers that are drawn; all weights repeat them. A full-size model has two billion
# weights, and drawing each would take longer than measuring the model.
_DRAWN = 2**24


@dataclass(frozen=True)
class Sizes:
    """The shapes of a SONAR codec and of a SONAR-LLM predictor."""

    encoder: TransformerConfig
    decoder: TransformerConfig
    predictor: PredictorConfig


# SONAR's published codec and the 900m SONAR-LLM.
FULL = Sizes(
    SONAR_ENCODER,
    SONAR_DECODER,
    PredictorConfig(
        embed_dim=1024, hidden=1536, ffn=6144, layers=17, heads=32, kv_heads=32, head_dim=64
    ),
)
# For trying things out.
TINY = Sizes(
    TransformerConfig(600, 64, layers=2, heads=1, ffn=128, max_len=514),
    TransformerConfig(600, 64, layers=2, heads=1, ffn=128, max_len=512),
    PredictorConfig(embed_dim=64, hidden=64, ffn=128, layers=2, heads=2, kv_heads=2, head_dim=32),
)
SIZES = {"full": FULL, "tiny": TINY}


def random_state(model: Callable[[Shape], nn.Module], config: Shape) -> State:
    """Return random weights under a model's own names: float32, normal, of deviation 0.02."""
    with torch.device("meta"):
        shapes = model(config).state_dict()
    drawn = 0.02 * torch.randn(_DRAWN)
    return {name: _filled(tensor.shape, drawn) for name, tensor in shapes.items()}


def write_weights(folder: Path, sizes: Sizes) -> ModelPaths:
    """Write random weights in the published layouts, and return where they lie.

    A part that is in the folder already stays as it is. No tokenizer is written, though the paths
    name one.
    """
    paths = ModelPaths(
        encoder=folder / "encoder",
        decoder=folder / "decoder",
        tokenizer=folder / "tokenizer",
        predictor=folder / "predictor",
    )
    _write(TextEncoder, sizes.encoder, save_encoder, folder / "encoder")
    _write(TextDecoder, sizes.decoder, save_decoder, folder / "decoder")
    _write(Predictor, sizes.predictor, save_predictor, folder / "predictor")
    return paths


def _write(
    model: Callable[[Shape], Module],
    config: Shape,
    save: Callable[[Module, Path], None],
    folder: Path,
) -> None:
    if not any(folder.glob("*")):
        state = random_state(model, config)
        save(build(model, config, state, torch.device("cpu"), torch.float32), folder)


def _filled(shape: torch.Size, drawn: Tensor) -> Tensor:
    """Return a tensor that repeats the numbers drawn (n,)."""
    tensor = torch.empty(shape)
    for part in tensor.view(-1).split(len(drawn)):
        part.copy_(drawn[: len(part)])
    return tensor

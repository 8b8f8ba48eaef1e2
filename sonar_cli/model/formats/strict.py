"""Check the tensors of a checkpoint strictly, and write checkpoints.

A tensor that is missing, unknown or of another shape is an error. The message names the file, and
the tensor as the file does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from sonar_cli.errors import CheckpointError, counted
from sonar_cli.model.disk import shown
from sonar_cli.model.formats.layouts import Layout, State
from sonar_cli.model.names import CONFIG, WEIGHTS
from sonar_cli.model.quantized import SCALE, as_int8, dequantized, trouble
from sonar_cli.model.shapes import LlamaConfig, TransformerConfig
from sonar_cli.model.weights import locate


def expected_shapes(model: Any, shape: TransformerConfig | LlamaConfig) -> dict[str, torch.Size]:
    """Return the shapes of a model's tensors by our names, without allocating them."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in model(shape).state_dict().items()}


def check(
    path: Path,
    state: State,
    unknown: list[str],
    expected: Mapping[str, torch.Size],
    layout: Layout,
    config: Path | None = None,
) -> None:
    """Raise CheckpointError unless `state` holds the expected tensors and nothing else.

    `unknown` are the names in the file that `layout` does not know, `config` is the file that says
    what is expected.
    """
    known = {*expected, *(name + SCALE for name in expected if name in state)}
    unknown = unknown + [layout.theirs(name) for name in state if name not in known]
    missing = [layout.theirs(name) for name in expected if name not in state]
    if missing:
        raise CheckpointError(f"{path} lacks {_some(missing)}; is it complete?")
    if unknown:
        raise CheckpointError(f"{path} holds tensors this model does not have: {_some(unknown)}")
    for name, shape in expected.items():
        if state[name].shape != shape:
            raise CheckpointError(
                f"{path}: {layout.theirs(name)} has the shape {list(state[name].shape)}, "
                f"but {list(shape)} is expected{f' by {config}' if config else ''}"
            )
        if not state[name].is_floating_point() and (wrong := trouble(state, name)):
            raise CheckpointError(f"{path}: {layout.theirs(name)} {wrong}")


def check_layers(path: Path, state: State, config: Path, wanted: Mapping[str, int]) -> None:
    """Raise CheckpointError if a file has fewer or more layers than its config says.

    `wanted` tells how many are below which path. To be called before a model is made of a config,
    whose layers may be many.
    """
    for above, count in wanted.items():
        found, expected = _layers(state, above), set(map(str, range(count)))
        if found and (found < expected or expected < found):
            files = locate(path)
            raise CheckpointError(
                f"{files[0] if len(files) == 1 else path} holds {counted(len(found), 'layer')}, "
                f"but its config says {count}; get both from the same place (see {config})"
            )


def other_architecture(path: Path, wanted: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the message that a file holds another model than the one wanted."""
    first = shown(next(iter(tensors), "nothing"))
    return f"{path} is not a {wanted}: its first tensor is {first}"


def write(folder: Path, config: Mapping[str, Any], state: State, dtype: torch.dtype) -> None:
    """Write config.json and model.safetensors, in `dtype` and readable by every user.

    In torch.int8 every matrix has scales beside it, see `quantized`; all else is in float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    whole = {name: tensor.detach().cpu() for name, tensor in dequantized(state).items()}
    if dtype == torch.int8:
        stored = as_int8(whole)
    else:
        stored = {name: tensor.to(dtype).contiguous() for name, tensor in whole.items()}
    file = folder / WEIGHTS[0]
    save_file(stored, str(file), metadata={"format": "pt"})
    file.chmod(0o644)  # safetensors makes files that only the owner can read


def _layers(names: Iterable[str], above: str) -> set[str]:
    """Return the numbers of the layers below a path that tensors belong to, such as "0"."""
    found = (re.match(rf"{re.escape(above)}\.(\d+)\.", name) for name in names)
    return {match[1] for match in found if match}


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(shown, names[:3])) + more

"""Run int8 weights as a checkpoint stores them: mapped from its file, and never made larger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from sonar_cli.model.fast.groups import forget, joined_bias, replace
from sonar_cli.model.fast.int8 import Int8Linear, Int8Weights, quantize
from sonar_cli.model.quantized import SCALE, rows, with_matrices


def placeholders(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors with one of the same shape that takes no memory for each int8 matrix."""
    return with_matrices(state, lambda values, scale: torch.zeros(1).expand(values.shape))


def use_stored(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a model that was built of `placeholders` its int8 weights, in place.

    Linear maps are replaced as `int8_file.quantized` does. An embedding looks up its rows among the
    int8 ones, if it has `look_up_in`; any other matrix is made float32.
    """
    stored = {
        each.data_ptr(): name for name, each in model.named_parameters() if name + SCALE in state
    }

    def make(_: str, maps: Sequence[nn.Linear]) -> nn.Module:
        names = [stored.get(each.weight.data_ptr()) for each in maps]
        if None in names:
            return Int8Linear(quantize(maps), joined_bias(maps))
        values = _joined([state[str(name)] for name in names])
        scale = _joined([state[f"{name}{SCALE}"].float() for name in names])
        weights = Int8Weights(values, scale, _sums(values))
        forget(values)
        return Int8Linear(weights, joined_bias(maps))

    replace(model, make, smallest=0)
    for path, module in model.named_modules():
        for leaf, parameter in list(module.named_parameters(recurse=False)):
            name = f"{path}.{leaf}".lstrip(".")
            if name + SCALE not in state:
                continue
            values, scale = state[name], state[name + SCALE]
            if hasattr(module, "look_up_in"):
                module.look_up_in(values, scale.float())
            else:
                parameter.data = rows(values, scale)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    if len(parts) == 1:
        return parts[0]
    whole = torch.cat(list(parts))
    for part in parts:
        forget(part)
    return whole


def _sums(values: Tensor) -> Tensor:
    """Return the sums (out,) int32 of values (out, in) over the inputs."""
    # NumPy's, since torch's makes int32 copies of all values first.
    return torch.from_numpy(values.numpy().sum(1, dtype=np.int32))

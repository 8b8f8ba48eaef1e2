"""Whether a device multiplies bfloat16 faster than float32."""

from __future__ import annotations

import torch

from sonar_cli.model.fast.instructions import instruction_sets


def multiplies_bfloat16(device: torch.device) -> bool:
    """Tell whether the device has instructions that multiply bfloat16.

    On x86 these are AVX512-BF16 and AMX; on CUDA all devices since Ampere have them.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    sets = instruction_sets()
    return device.type == "cpu" and (sets["AVX512-BF16"] or sets["AMX"])

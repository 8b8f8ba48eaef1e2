"""Instruction sets of the CPU that decide how fast models run on it, by torch's own flags."""

from __future__ import annotations

import torch

_FLAGS = {
    "AVX2": "_is_avx2_supported",
    "AVX512": "_is_avx512_supported",
    "VNNI": "_is_vnni_supported",
    "AVX512-BF16": "_is_avx512_bf16_supported",
    "AMX": "_is_amx_tile_supported",
}


def instruction_sets() -> dict[str, bool]:
    """Tell which of x86's instruction sets there are; one that this torch does not know is False.

    >>> sorted(instruction_sets())
    ['AMX', 'AVX2', 'AVX512', 'AVX512-BF16', 'VNNI']
    """
    return {name: bool(getattr(torch.cpu, flag, bool)()) for name, flag in _FLAGS.items()}

"""Attention as every network here computes it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    grouped: bool = False,
) -> Tensor:
    """Return the values (N, h, S, hd) that queries (N, h, S, hd) find over keys and values.

    Keys and values are (N, h, T, hd), or of fewer heads where they are `grouped`. `mask`, bool and
    broadcast to (N, h, S, T), is True where a query may attend. `dropout` is that of the weights.
    """
    # In bfloat16 a CPU's backward pass takes four times as long as in float32.
    if q.dtype == torch.bfloat16 and q.is_cpu and q.requires_grad:
        with torch.autocast("cpu", enabled=False):
            found = attention(q.float(), k.float(), v.float(), mask, causal, dropout, grouped)
        return found.to(q.dtype)
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal, enable_gqa=grouped
    )

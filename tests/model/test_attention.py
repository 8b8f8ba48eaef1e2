"""Attention where gradients are wanted, beside the same in float32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sonar_cli.model.attention import attention


@pytest.mark.parametrize("how", ["causal", "mask", "grouped"])
def test_bfloat16_in_training_is_float32_rounded(how: str) -> None:
    torch.manual_seed(0)
    heads = 2 if how == "grouped" else 4
    given = [torch.randn(2, n, 6, 8).bfloat16() for n in (4, heads, heads)]
    mask = torch.rand(2, 1, 1, 6) < 0.7 if how == "mask" else None
    if mask is not None:
        mask[..., 0] = True

    def run(tensors: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        leaves = [each.clone().requires_grad_(True) for each in tensors]
        with torch.autocast("cpu", torch.bfloat16, enabled=tensors[0].dtype == torch.bfloat16):
            found = attention(*leaves, mask, how == "causal", grouped=how == "grouped")
        found.float().square().sum().backward()
        return found.detach(), [each.grad for each in leaves if each.grad is not None]

    ours, gradients = run(given)
    exact, wanted = run([each.float() for each in given])
    assert ours.dtype == torch.bfloat16 and torch.equal(ours, exact.bfloat16())
    assert len(gradients) == 3
    for found, right in zip(gradients, wanted, strict=True):
        assert found.dtype == torch.bfloat16
        assert torch.allclose(found.float(), right, atol=0.05, rtol=0.02)

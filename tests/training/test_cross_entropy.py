"""The cross-entropy that never has all logits, and layers that are computed again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.recompute import set_recompute
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.training import cross_entropy
from sonar_cli.training.cross_entropy import linear_cross_entropy
from sonar_cli.training.objectives import decoding_loss


def _inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    hidden = torch.randn(50, 8, requires_grad=True)
    weight = torch.randn(30, 8, requires_grad=True)
    return hidden, weight, torch.randint(30, (50,)), torch.rand(50)


@pytest.mark.parametrize("rows", [1, 7, 1_000])
def test_loss_and_gradients_are_those_of_pytorch(monkeypatch, rows: int) -> None:
    monkeypatch.setattr(cross_entropy, "_ROWS", rows)
    hidden, weight, labels, scale = _inputs()
    plain = (F.cross_entropy(hidden @ weight.T, labels, reduction="none") * scale).sum()
    wanted = torch.autograd.grad(3 * plain, (hidden, weight))
    found = linear_cross_entropy(hidden, weight, labels, scale)
    torch.testing.assert_close(found, plain)
    torch.testing.assert_close(torch.autograd.grad(3 * found, (hidden, weight)), wanted)


def test_a_frozen_map_gets_no_gradient_and_nothing_asks_for_one() -> None:
    hidden, weight, labels, scale = _inputs()
    linear_cross_entropy(hidden, weight.detach(), labels, scale).backward()
    assert hidden.grad is not None and weight.grad is None
    with torch.no_grad():
        found = linear_cross_entropy(hidden, weight, labels, scale)
    assert not found.requires_grad


def test_the_logits_are_a_chunk_at_most(monkeypatch) -> None:
    monkeypatch.setattr(cross_entropy, "_LOGITS", 30 * 4)
    monkeypatch.setattr(cross_entropy, "_FILLED", 25)  # so that no row is filled up
    sizes: list[int] = []
    linear = F.linear
    monkeypatch.setattr(F, "linear", lambda x, w: sizes.append(len(x)) or linear(x, w))
    hidden, weight, labels, scale = _inputs()
    linear_cross_entropy(hidden, weight, labels, scale).backward()
    assert max(sizes) == 4 and sum(sizes) == 50, "once each: nothing is computed again"


def test_autocast_stays_close() -> None:
    hidden, weight, labels, scale = _inputs()
    plain = linear_cross_entropy(hidden, weight, labels, scale)
    wanted = torch.autograd.grad(plain, hidden)[0]
    with torch.autocast("cpu", torch.bfloat16):
        found = linear_cross_entropy(hidden, weight, labels, scale)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, plain, atol=0, rtol=0.01)
    torch.testing.assert_close(torch.autograd.grad(found, hidden)[0], wanted, atol=0.02, rtol=0.05)


def _target() -> Tensor:
    torch.manual_seed(0)
    target = torch.randint(4, 50, (6, 9))
    target[:, 0] = 3
    return target


def test_computing_layers_again_changes_nothing(predictor: Predictor, decoder: TextDecoder) -> None:
    """With the decoder's dropout, whose draws have to be the same the second time."""
    predictor.requires_grad_(True)
    vectors = torch.randn(1, 6, 64)
    grads: list[list[Tensor]] = []
    for again in (False, True):
        set_recompute((predictor, decoder), again)
        predictor.zero_grad()
        torch.manual_seed(5)
        loss = decoding_loss(decoder, predictor(vectors)[0], _target(), dropout=0.3)
        loss.total.backward()
        grads.append([each.grad.clone() for each in predictor.parameters()])  # type: ignore[union-attr]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other)
    assert predictor.layers[0] is not None and decoder.recompute


def test_computing_layers_again_keeps_less(decoder: TextDecoder) -> None:
    kept: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        kept[-1] += tensor.nbytes
        return tensor

    vectors = torch.randn(6, 64, requires_grad=True)
    for again in (False, True):
        set_recompute([decoder], again)
        kept.append(0)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            decoding_loss(decoder, vectors, _target())
    assert kept[1] < 0.5 * kept[0]


def test_the_frozen_decoders_dropout(decoder: TextDecoder) -> None:
    """On average the hidden states stay; each time they are others; without it nothing is drawn."""
    vectors, ids = torch.randn(2, 64), torch.randint(4, 50, (2, 5))
    plain = decoder.hidden(vectors, ids)
    assert torch.equal(plain, decoder.hidden(vectors, ids))
    one, other = (decoder.hidden(vectors, ids, 0.2) for _ in range(2))
    assert not torch.equal(one, other) and not torch.equal(one, plain)
    layer: nn.Module = decoder.layers[0]
    draws = [layer.vector_attn.dropped(vectors, 5, 2, 0.2) for _ in range(4000)]  # type: ignore[union-attr,operator]
    wanted = layer.vector_attn(vectors).expand(2, 5, 64)  # type: ignore[operator]
    torch.testing.assert_close(torch.stack(draws).mean(0), wanted, atol=0.02, rtol=0)

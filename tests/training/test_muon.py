"""Muon: its matrices move by orthogonal steps, the rest as with AdamW, and a run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from sonar_cli.cli import run
from sonar_cli.training.muon import Muon, matrices, orthogonal
from tests.training.dying import killed

SMALL = [
    "data.stories=40", "data.valid=0.2", "model.width=32", "model.heads=2", "model.layers=1",
    "model.encoder_ffn=48", "model.decoder_ffn=48", "model.vocabulary=420", "train.batch=8",
    "train.steps=6", "train.warmup=2", "train.save_seconds=0", "train.optimizer=muon",
]  # fmt: skip


class Network(nn.Module):
    """A table, a matrix and a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 8)
        self.map = nn.Linear(8, 12)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.map(self.table(ids))
        return result


@pytest.mark.parametrize("shape", [(8, 12), (12, 8), (8, 8)])
def test_the_nearest_orthogonal_matrices(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    given = torch.randn(2, *shape) * torch.tensor([1.0, 100.0]).view(2, 1, 1)
    u, _, v = torch.linalg.svd(given, full_matrices=False)
    found = orthogonal(given)
    assert found.dtype == torch.float32
    for inner in u.mT @ found @ v.mT:
        assert inner.diagonal().min() > 0.6 and inner.diagonal().max() < 1.3
        assert (inner - inner.diagonal().diag()).abs().max() < 0.1  # the singular vectors stay


def test_only_matrices_move_so() -> None:
    torch.manual_seed(0)
    ours, theirs = Network(), Network()
    theirs.load_state_dict(ours.state_dict())
    assert matrices(ours) == [ours.map.weight]
    how = {"lr": 0.01, "weight_decay": 0.1, "fused": True}
    muon = Muon(ours.parameters(), matrices(ours), **how)
    adamw = torch.optim.AdamW(theirs.parameters(), **how)  # type: ignore[arg-type]
    before = ours.map.weight.detach().clone()
    for network, optimizer in ((ours, muon), (theirs, adamw)):
        network(torch.arange(10)).square().sum().backward()
        gradient = network.map.weight.grad
        optimizer.step()
    assert torch.equal(ours.table.weight, theirs.table.weight)
    assert torch.equal(ours.map.bias, theirs.map.bias)
    assert gradient is not None
    # The momentum after one step is the gradient itself.
    wanted = before * (1 - 0.01 * 0.1) - 0.01 * 0.2 * 12**0.5 * orthogonal(1.95 * gradient[None])[0]
    assert torch.allclose(ours.map.weight, wanted, atol=1e-6)


def test_killed_and_resumed(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    order = ["train", "codec", *SMALL, "--device", "cpu", "--threads", "1", "-q", "-o"]
    assert run([*order, str(whole)]) == 0
    assert killed([*order, str(broken)], "number == 4")
    assert run([*order, str(broken)]) == 0
    for half in ("encoder", "decoder"):
        file = Path("model") / half / "model.safetensors"
        assert (whole / file).read_bytes() == (broken / file).read_bytes()
    shown = (whole / "recipe.toml").read_text()
    assert 'optimizer = "muon"' in shown
    assert json.loads((whole / "metrics.json").read_text())["parameters"] > 10_000

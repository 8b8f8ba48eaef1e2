"""Drawing within the nucleus."""

from __future__ import annotations

import torch

from sonar_cli.model.sampling import draw


def test_the_nucleus_keeps_the_likely() -> None:
    random = torch.Generator().manual_seed(0)
    scores = torch.tensor([-1.0, -5.0, -1.2, -9.0])
    assert {draw(scores, 0.4, random) for _ in range(50)} == {0}
    assert {draw(scores, 0.9, random) for _ in range(50)} == {0, 2}
    draws = [draw(torch.zeros(3), 1.0, random) for _ in range(300)]
    assert min(map(draws.count, range(3))) > 60


def test_a_temperature_flattens_or_sharpens() -> None:
    random = torch.Generator().manual_seed(0)
    scores = torch.tensor([1.0, 0.0])
    assert {draw(scores, 1.0, random, temperature=0) for _ in range(20)} == {0}
    cold = sum(draw(scores, 1.0, random, temperature=0.2) == 0 for _ in range(300))
    hot = sum(draw(scores, 1.0, random, temperature=5.0) == 0 for _ in range(300))
    assert cold > 285 and 135 < hot < 195

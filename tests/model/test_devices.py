"""Devices that are not here: what is done on them, as far as the CPU can show it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sonar_cli import SonarLLM
from sonar_cli.errors import UsageError
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.load import load_decoder, pick_device
from sonar_cli.options import Runtime

STORY = "One day Lily found a kite. Lily was glad. The sun was red. It rained."


class NoFloat64(TorchDispatchMode):
    """A Mac's GPU has no float64: an operator that makes some there fails, as it does here."""

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        result = operator(*args, **(kwargs or {}))
        made = {each.dtype for each in tree_leaves(result) if isinstance(each, torch.Tensor)}
        assert torch.float64 not in made, operator
        return result


def test_mps_is_taken_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no mps device"):
        pick_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("mps") == torch.device("mps")
    assert pick_device("auto").type != "mps"
    with pytest.raises(UsageError, match="int8 runs on the CPU only"):
        load_decoder(resolve().decoder, Runtime("mps", "int8"))


@pytest.mark.parametrize(
    "drawing", [{}, {"temperature": 0.3, "candidates": 2, "top_p": 0.9, "seed": 1}]
)
def test_nothing_is_computed_in_float64(drawing: dict[str, Any]) -> None:
    llm = SonarLLM.load("mini", threads=1)
    with NoFloat64():
        written = [step.text for step in llm.continue_(STORY, sentences=2, **drawing)]
    assert len(written) >= 2


def test_the_fake_sees_float64() -> None:
    with NoFloat64(), pytest.raises(AssertionError):
        torch.ones(2).double()

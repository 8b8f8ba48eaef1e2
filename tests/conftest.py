"""Shared pieces: tiny models, random but reproducible."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.shapes import PredictorConfig, TransformerConfig
from sonar_cli.model.systems.sonar_llm import Predictor

ENCODER = TransformerConfig(vocab_size=60, width=64, layers=2, heads=1, ffn=96, max_len=514)
DECODER = TransformerConfig(vocab_size=60, width=64, layers=2, heads=1, ffn=96, max_len=512)
PREDICTOR = PredictorConfig(
    embed_dim=64, hidden=48, ffn=80, layers=2, heads=4, kv_heads=2, head_dim=32
)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many of the hostile files were refused, so that a run shows that they were tried."""
    tests = {
        "test_a_hostile_file_is_refused": "hostile files: {} of {} refused cleanly",
        "test_a_strange_text_is_read": "strange texts: {} of {} read",
    }
    for name, line in tests.items():
        good, bad = (
            sum(
                name in report.nodeid and report.when == "call"
                for report in terminalreporter.stats.get(outcome, ())
            )
            for outcome in ("passed", "failed")
        )
        if good + bad:
            terminalreporter.write_line(line.format(good, good + bad))


@pytest.fixture(autouse=True)
def _one_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or fills the user's cache of vectors."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def encoder() -> TextEncoder:
    return TextEncoder(ENCODER).eval().requires_grad_(False)


@pytest.fixture
def decoder() -> TextDecoder:
    return TextDecoder(DECODER).eval().requires_grad_(False)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(PREDICTOR).eval().requires_grad_(False)


@pytest.fixture
def goldens() -> Path:
    return Path(__file__).parent / "goldens"

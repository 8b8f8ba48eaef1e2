"""Shared pieces: tiny models, random but reproducible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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


@pytest.fixture(autouse=True)
def _one_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or fills the user's cache of vectors."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def _no_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the user's configuration file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setenv("SONAR_LLM_CONFIG_FILE", "")


_TOLD: pytest.StashKey[list[str]] = pytest.StashKey()


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> list[str]:
    """Lines that are printed when all tests are over, for counts that a reader should see."""
    return request.config.stash.setdefault(_TOLD, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was told, and how many of the hostile files were refused."""
    lines = [*config.stash.get(_TOLD, []), *_hostile(terminalreporter.stats)]
    if lines:
        terminalreporter.section("counts")
        for line in lines:
            terminalreporter.write_line(line)


def _hostile(stats: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    tests = {
        "test_a_hostile_file_is_refused": "hostile files: {} of {} refused cleanly",
        "test_a_strange_text_is_read": "strange texts: {} of {} read",
    }
    for name, line in tests.items():
        good, bad = (
            sum(name in each.nodeid and each.when == "call" for each in stats.get(outcome, ()))
            for outcome in ("passed", "failed")
        )
        if good + bad:
            yield line.format(good, good + bad)


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

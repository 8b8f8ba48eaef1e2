"""A server in this process, with `mini`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from sonar_cli import SonarLLM
from sonar_cli.serve.app import application
from sonar_cli.serve.options import ServeOptions

STORY = "One day Lily found a kite."


@pytest.fixture(scope="session")
def llm() -> SonarLLM:
    llm = SonarLLM.load("mini", device="cpu", threads=1)
    llm.load_predictor()
    llm.pack()
    return llm


@pytest.fixture
def said() -> list[str]:
    """What the server complains of."""
    return []


@pytest.fixture
def client(llm: SonarLLM, said: list[str]) -> Iterator[TestClient]:
    app = application(llm, ServeOptions(max_chars=2_000, max_body=20_000), said.append)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client

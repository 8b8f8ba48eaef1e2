"""A Hub on loopback, for this process and for processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sonar_cli.hub import transfer
from tests.hub_server import HubServer, serving

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """An empty Hub that this process asks, with an empty cache."""
    from huggingface_hub import constants, file_download

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache" / "hub"))
    for name in ("HTTP_PROXY", "http_proxy", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "hub").mkdir()
    with serving(tmp_path / "hub") as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        for module in (constants, file_download):  # the second before version 1 of the library
            monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        transfer._network.cache_clear()
        yield server
    transfer._network.cache_clear()


def add(server: HubServer, repository: str, files: dict[str, bytes]) -> None:
    """Put files into a repository of the Hub."""
    for name, data in files.items():
        path = server.root / repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def environment(tmp_path: Path, endpoint: str) -> dict[str, str]:
    """Point a process at the test's Hub, and its cache into the test's folder."""
    found = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN"):
        found.pop(name, None)
    return found


def run_models(
    tmp_path: Path, endpoint: str, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `models ...` as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "sonar_cli", "models", *arguments],
        capture_output=True,
        text=True,
        env=environment(tmp_path, endpoint) | variables,
        timeout=120,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )

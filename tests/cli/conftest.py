"""The command line, run in this process: torch is loaded once for all tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sonar_cli.cli import run


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line; return its exit status, and what it wrote to stdout and stderr."""

    def called(*arguments: str) -> tuple[int, str, str]:
        status = run(list(arguments))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return called

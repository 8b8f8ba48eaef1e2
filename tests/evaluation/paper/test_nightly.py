"""What takes too long for every run of the tests: `python -m pytest -m nightly`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sonar_cli.cli import run


@pytest.mark.nightly
@pytest.mark.timeout(3_600)
def test_the_small_comparison_has_sonar_llm_ahead_of_both_lcms(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    words = ["--small", "--runs", str(tmp_path / "runs"), "--format", "json", "-o", str(file)]
    assert run(["evaluate", "paper", *words]) == 0
    found = json.loads(file.read_text())
    (line,) = (each for each in found["steps"] if each["measure"] == "nats a token")
    for other in ("lcm-mse", "lcm-diffusion"):
        assert line["sonar-llm"]["mean"] < line[other]["mean"]

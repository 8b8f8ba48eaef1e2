"""What other number formats cost, on the goldens and on the embedded model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sonar_cli.cli import run as command
from sonar_cli.errors import UsageError
from sonar_cli.evaluation import precision
from sonar_cli.evaluation.report import Record, Report
from sonar_cli.model.load import load_system
from sonar_cli.model.systems.sonar_llm import SonarLLMSystem
from sonar_cli.options import ModelPaths, Runtime


def _system(goldens: Path, dtype: str) -> SonarLLMSystem:
    paths = ModelPaths(
        goldens / "fairseq2/encoder.pt",
        goldens / "fairseq2/decoder.pt",
        goldens / "tokenizer",
        goldens / "predictors" / "wide-heads",
    )
    return load_system(paths, Runtime("cpu", dtype))


def _by_measure(report: Report) -> dict[str, Record]:
    (table,) = report.tables
    return {row["measure"]: row for row in table.records}


def _rows(goldens: Path, dtype: str) -> dict[str, Record]:
    expected = json.loads((goldens / "expected.json").read_text(encoding="utf-8"))
    texts = [loop["sentences"] for loop in expected["loops"]]
    assert sum(map(len, texts)) > 10
    return _by_measure(precision.run(_system(goldens, "float32"), _system(goldens, dtype), texts))


def test_a_model_is_like_itself(goldens: Path) -> None:
    rows = _rows(goldens, "float32")
    assert [round(row["value"], 6) for row in rows.values()] == [1.0] * len(rows)


# Bounds with room above what these tiny models measure; a big one loses less.
@pytest.mark.parametrize(("dtype", "cosine"), [("int8", 0.98), ("bfloat16", 0.995)])
def test_other_formats_stay_close(goldens: Path, dtype: str, cosine: float) -> None:
    rows = _rows(goldens, dtype)
    assert 0.9 < rows["cosine of a sentence's vector, least"]["value"] < 1.0
    assert rows["cosine of a sentence's vector, mean"]["value"] > cosine
    assert rows["cosine of the predicted vector, mean"]["value"] > cosine
    assert rows["the same sentence from the same vector"]["value"] >= 0.9


def test_the_command_compares_to_float32(capsys: pytest.CaptureFixture[str]) -> None:
    order = ["evaluate", "dtype", "--stories", "2", "--threads", "1"]
    assert command([*order, "--dtype", "int8"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"\| cosine of a sentence's vector, mean \| (0\.99|1\.00)\d\d \| ", out)
    assert err == ""
    assert "target" not in out
    assert command([*order, "--dtype", "float32"]) == 2
    assert "--dtype int8" in capsys.readouterr().err
    assert command([*order, "--dtype", "int8", "--codec", "sonar-space"]) == 2
    assert "--codec" in capsys.readouterr().err


def test_a_broken_format_would_show(goldens: Path) -> None:
    exact, other = _system(goldens, "float32"), _system(goldens, "float32")
    weight = other.codec.decoder.embed.weight
    with torch.no_grad():
        weight.copy_(weight[torch.randperm(len(weight))])
    texts = [["Lily had a kite."]]
    rows = _by_measure(precision.run(exact, other, texts))
    assert rows["cosine of a sentence's vector, least"]["value"] == pytest.approx(1.0)
    assert rows["the same sentence from the same vector"]["value"] == 0.0


def test_only_a_sonar_llm_is_compared(goldens: Path) -> None:
    stranger: Any = SimpleNamespace(codec=None)
    with pytest.raises(UsageError):
        precision.run(_system(goldens, "float32"), stranger, [["Lily had a kite."]])

"""What other number formats cost, on the goldens and on the embedded model."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from sonar_cli.cli import run as command
from sonar_cli.evaluation import precision
from sonar_cli.evaluation.report import Row
from sonar_cli.model.load import Model, load_codec, load_predictor


def _model(goldens: Path, dtype: str) -> Model:
    files = (goldens / "fairseq2/encoder.pt", goldens / "fairseq2/decoder.pt")
    codec = load_codec(*files, goldens / "tokenizer", "cpu", dtype)
    predictor = load_predictor(goldens / "predictors" / "wide-heads", None, "cpu", dtype)
    return Model(codec, predictor)


def _rows(goldens: Path, dtype: str) -> dict[str, Row]:
    expected = json.loads((goldens / "expected.json").read_text(encoding="utf-8"))
    texts = [loop["sentences"] for loop in expected["loops"]]
    assert sum(map(len, texts)) > 10
    found = precision.run(_model(goldens, "float32"), _model(goldens, dtype), texts)
    return {row.measure: row for row in found}


def test_a_model_is_like_itself(goldens: Path) -> None:
    rows = _rows(goldens, "float32")
    assert [round(row.value, 6) for row in rows.values()] == [1.0] * len(rows)


# Bounds with room above what these tiny models measure; a big one loses less.
@pytest.mark.parametrize(("dtype", "cosine"), [("int8", 0.98), ("bfloat16", 0.995)])
def test_other_formats_stay_close(goldens: Path, dtype: str, cosine: float) -> None:
    rows = _rows(goldens, dtype)
    assert 0.9 < rows["cosine of a sentence's vector, least"].value < 1.0
    assert rows["cosine of a sentence's vector, mean"].value > cosine
    assert rows["cosine of the predicted vector, mean"].value > cosine
    assert rows["the same sentence from the same vector"].value >= 0.9


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
    exact, other = _model(goldens, "float32"), _model(goldens, "float32")
    weight = other.codec.decoder.embed.weight
    with torch.no_grad():
        weight.copy_(weight[torch.randperm(len(weight))])
    texts = [["Lily had a kite."]]
    rows = {row.measure: row.value for row in precision.run(exact, other, texts)}
    assert rows["cosine of a sentence's vector, least"] == pytest.approx(1.0)
    assert rows["the same sentence from the same vector"] == 0.0

"""Known values of weights, with `mini` as a stand-in for SONAR's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sonar_cli import SonarLLM
from sonar_cli.cli import run
from sonar_cli.hub import verify
from sonar_cli.hub.verify import KnownValues

SENTENCES = ("One day Lily found a kite.", "Tom ran to the lake.")
VERIFY = ["models", "verify", "mini", "--run"]


@pytest.fixture(scope="module")
def known() -> KnownValues:
    """What `mini` itself gives, known to six decimals as SONAR's is."""
    llm = SonarLLM.load("mini", threads=1)
    vectors = llm.encode(SENTENCES)
    numbers = [tuple(round(number, 6) for number in row[:5].tolist()) for row in vectors]
    written = [each.text for each in llm.decode(vectors)]
    return KnownValues(
        llm.codec.width,
        dict(zip(SENTENCES, numbers, strict=True)),
        dict(zip(SENTENCES, written, strict=True)),
    )


def test_the_right_weights_are_good(
    known: KnownValues, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verify, "SONAR", known)
    assert run(VERIFY) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert not err and len(lines) == 5 and all(line.startswith("good: ") for line in lines)
    assert lines[0] == "good: encoder, decoder, tokenizer, predictor are whole and fit together"
    assert lines[1].startswith(f'good: the vector of "{SENTENCES[0]}" is ')


def test_wrong_numbers_and_words_are_told(
    known: KnownValues, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = known.vectors[SENTENCES[1]]
    vectors = {**known.vectors, SENTENCES[1]: (first * 1.01, *others)}
    other = replace(known, vectors=vectors, written={**known.written, SENTENCES[0]: "No."})
    monkeypatch.setattr(verify, "SONAR", other)
    assert run(VERIFY) == 1
    out, err = capsys.readouterr()
    begins = [line.partition(":")[0] for line in out.splitlines()]
    assert begins == ["good", "good", "wrong", "wrong", "good"]
    assert f"but should be {first * 1.01:.6f} " in out
    assert 'but should be "No."' in out
    assert len(err.splitlines()) == 1 and "do not do what SONAR's published weights do" in err


def test_a_codec_that_nothing_is_known_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(VERIFY) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == len(err.splitlines()) == 1
    assert "no values are known of this codec" in err


def test_files_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    assert run(["models", "verify", "mini", "--encoder", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert not out and "truncated or not a checkpoint" in err


def test_the_known_values_of_sonar() -> None:
    assert verify.SONAR.vectors.keys() == verify.SONAR.written.keys()
    assert verify.SONAR.vectors["My name is SONAR."][0] == -0.005286
    _, second = verify.SONAR.written.items()
    assert second[0].replace("vectorial", "vector") == second[1]

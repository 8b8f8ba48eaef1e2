"""The face of the package: what a notebook calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import sonar_cli
from sonar_cli import GenerationOptions, InputOptions, SonarLLM, SummaryOptions, Text
from sonar_cli.cli import run
from sonar_cli.errors import CheckpointError, DownloadError, SonarError, UsageError
from sonar_cli.options import Runtime, Step
from sonar_cli.pipeline import in_order
from sonar_cli.summary.cache import opened
from sonar_cli.world import stories as world

STORY = "One day Lily found a kite."
FAR = "Quarterly revenue exceeded expectations."
TALE = " ".join(next(world.stories(1, 77, held_out=True)).sentences)


@pytest.fixture(scope="module")
def llm() -> SonarLLM:
    return SonarLLM.load("mini", device="cpu")


def _texts(steps: list[Step]) -> list[str]:
    return [step.text for step in steps if step.text is not None]


def test_names_are_there_and_others_are_not() -> None:
    assert set(sonar_cli.__all__) >= {"SonarLLM", "GenerationOptions", "SummaryOptions", "Text"}
    assert all(getattr(sonar_cli, name) for name in sonar_cli.__all__)
    with pytest.raises(AttributeError, match="no attribute 'SonarLM'"):
        _ = sonar_cli.SonarLM  # type: ignore[attr-defined]


def test_continue_is_what_the_command_writes(llm: SonarLLM, capsys, tmp_path: Path) -> None:
    file = tmp_path / "story.txt"
    file.write_text(STORY)
    assert run(["continue", str(file), "-n", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert _texts(list(llm.continue_(STORY, sentences=4))) == lines
    assert _texts(list(llm.continue_([STORY], GenerationOptions(sentences=4)))) == lines


def test_continue_yields_as_it_goes(llm: SonarLLM) -> None:
    steps = llm.continue_(STORY, sentences=10_000, stop_threshold=2.0)
    assert next(steps).index == 0 and next(steps).index == 1


def test_many_texts_side_by_side(llm: SonarLLM) -> None:
    texts = [STORY, ["Tom had a boat."], Text("x.md", "# Iris\n\nNear the pier lived Iris.")]
    steps = list(in_order(llm.continue_many(texts, sentences=2)))
    assert [number for number, _ in steps] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [step.text for _, step in steps[:3]] == [
        step.text for step in llm.continue_(STORY, sentences=2)
    ]


def test_summarize_and_its_cache(llm: SonarLLM, tmp_path: Path) -> None:
    found = llm.summarize(TALE, sentences=2, method="extractive")
    assert len(found.sentences) == 2
    assert all(each.text == TALE[s.start : s.end] for each in found.sentences for s in each.sources)
    with opened(tmp_path, 10**7) as cache:
        assert llm.summarize(TALE, SummaryOptions("extractive", 2), cache=cache) == found
        assert cache.info(tmp_path).vectors > 5
    written = llm.summarize(TALE, method="abstractive")
    assert {each.method for each in written.sentences} == {"abstractive"}


def test_markdown_is_read_for_its_prose(llm: SonarLLM) -> None:
    text = Text("notes", f"# A *tale*\n\n{TALE}\n\n```\nx = 1\n```\n", InputOptions("markdown"))
    found = llm.summarize(text, sentences=3, method="extractive")
    assert {each.heading for each in found.sentences} == {"A tale"}
    assert not any("x = 1" in each.text for each in found.sentences)


def test_encode_and_decode(llm: SonarLLM) -> None:
    sentences = list(next(world.stories(1, 5)).sentences[:2])
    vectors = llm.encode(sentences)
    assert vectors.shape == (2, llm.codec.width) and vectors.dtype == torch.float32
    assert [each.text for each in llm.decode(vectors)] == sentences


def test_what_a_user_should_know_is_told(llm: SonarLLM) -> None:
    told: list[str] = []
    other = SonarLLM.load("mini", device="cpu", notify=told.append)
    next(other.continue_(FAR))
    assert len(told) == 1 and "mini knows the English of simple stories" in told[0]
    other.summarize(" ".join([FAR] * 7))
    assert len(told) == 2 and "its own sentences are chosen" in told[1]


@pytest.mark.parametrize(
    ("kind", "words", "call"),
    [
        (UsageError, "near: 900m", lambda: SonarLLM.load("90m")),
        (DownloadError, "not in the cache", lambda: SonarLLM.load("100m", offline=True)),
        (UsageError, "auto, cpu, cuda[:N] or mps", lambda: SonarLLM.load(device="tpu")),
        (UsageError, "unknown dtype", lambda: SonarLLM.load(dtype="float64")),
        (UsageError, "--temperature", lambda: GenerationOptions(candidates=2).drawing()),
        (UsageError, "give one", lambda: SummaryOptions(sentences=2, share=0.5)),
        (CheckpointError, "no SentencePiece", lambda: SonarLLM.load(tokenizer="/proc/self")),
    ],
)
def test_what_cannot_be_is_one_line(kind: type[SonarError], words: str, call) -> None:
    with pytest.raises(kind) as caught:
        call().load_predictor()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_languages_and_fields(llm: SonarLLM) -> None:
    with pytest.raises(UsageError, match="near: eng_Latn"):
        llm.check_languages("eng_Latn", "eng")
    with pytest.raises(UsageError, match="near: eng_Latn"):
        llm.encode([STORY], "eng")
    with pytest.raises(TypeError, match="sentence"):
        llm.continue_(STORY, sentence=3)


def test_the_original_codec_can_be_asked_for_from_python() -> None:
    """Where sonar-space is not installed, the line says how to get it."""
    try:
        import sonar.models.sonar_text  # noqa: F401
    except (ImportError, OSError):
        with pytest.raises(SonarError, match="sonar-space"):
            SonarLLM.load("mini", codec="sonar-space")
    else:
        llm = SonarLLM.load("mini", codec="sonar-space", device="cpu")
        assert llm.decode(llm.encode([STORY]))[0].text == STORY


def test_threads_are_torchs_own_unless_asked_for() -> None:
    code = (
        "import torch; from sonar_cli import SonarLLM; before = torch.get_num_threads(); "
        "SonarLLM.load(); print(before == torch.get_num_threads()); "
        "SonarLLM.load(threads=1); print(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "1"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"threads": 0}, "threads is from 1 to 1024, not 0"),
        ({"threads": 100_000}, "threads is from 1 to 1024, not 100000"),
        ({"batch_size": 0}, "batch_size is at least 1, not 0"),
        ({"workers": -1}, "workers is at least 1, not -1"),
    ],
)
def test_how_nothing_can_be_run(asked, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Runtime(**asked)

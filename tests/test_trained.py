"""What a model takes from its own training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nltk.data
import pytest

from sonar_cli import SonarLLM
from sonar_cli.cli import run
from sonar_cli.errors import CheckpointError
from sonar_cli.hub.catalogue import PUBLISHED, trained_split
from sonar_cli.hub.resolve import resolve
from sonar_cli.options import GenerationOptions, InputOptions
from sonar_cli.text import sent_tokenize
from sonar_cli.text.inputs import Text
from sonar_cli.trained import as_trained

TEXT = Text("tale", '"Where is it?" asked Tom.')
TWO, ONE = ['"Where is it?"', "asked Tom."], ['"Where is it?" asked Tom.']


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nltk.data, "path", [])


def test_published_models_get_the_sentences_of_punkt(no_data: None) -> None:
    said: list[str] = []

    def sentences(model: str, text: Text = TEXT) -> list[str]:
        return [each.text for each in as_trained(text, model, resolve(), said.append).sentences()]

    for name, each in PUBLISHED.items():
        assert sentences(name) == sentences(each.repository) == TWO
    assert set(said) == {sent_tokenize.NO_DATA}
    said.clear()
    assert sentences("mini") == ONE
    for asked in (InputOptions(split="rules"), InputOptions(lang="fra_Latn")):
        assert sentences("900m", replace(TEXT, options=asked)) == ONE
    assert not said
    assert sentences("mini", replace(TEXT, options=InputOptions(split="punkt"))) == TWO
    assert said == [sent_tokenize.NO_DATA]


@pytest.mark.parametrize(
    ("config", "split"),
    [
        ({"llama_config": {}, "embed_dim": 1024}, "punkt"),
        ({"llama_config": {}, "system": "sonar-llm"}, "rules"),
        ({"llama_config": {}, "split": "rules"}, "rules"),
        ({"llama_config": {}, "system": "sonar-llm", "split": "punkt"}, "punkt"),
        ({"system": "lcm-mse", "split": "lines"}, "lines"),
    ],
)
def test_other_models_say_it_in_their_config(tmp_path: Path, config: dict, split: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    assert trained_split(str(tmp_path), file) == split


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"split": "spacy"}')
    with pytest.raises(CheckpointError, match=r"unknown split 'spacy'; known are lines, punkt, r"):
        trained_split("own", file)


def test_the_command_line_and_the_api_follow_it(
    no_data: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tale.txt"
    file.write_text(TEXT.content)
    assert run(["encode", "--format", "jsonl", "--split", "punkt", str(file)]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["text"] for line in out.splitlines()] == TWO
    assert len(err.splitlines()) == 1 and "nltk.download('punkt_tab')" in err
    arguments = ["continue", "-n", "1", "--echo", str(file)]
    assert run([*arguments, "--split", "punkt", "-q"]) == run([*arguments]) == 0
    assert not capsys.readouterr().err
    summary = ["summarize", "--split", "punkt", "-n", "9", "--no-cache", str(file)]
    assert run([*summary, "--method", "extractive"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == TWO and "punkt_tab" in err
    llm = SonarLLM.load("mini")
    assert llm.as_trained(TEXT).options.split == "rules"


def test_a_model_that_loops_stops_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[GenerationOptions] = []

    def write(system: object, prompts: object, options: GenerationOptions, *_: object) -> object:
        asked.append(options)
        return iter(())

    monkeypatch.setattr("sonar_cli.api.write_many", write)
    llm = SonarLLM.load("mini")
    for name in ("mini", "900m", "1.3B", "raxtemur/sonar-llm-1.3b"):
        monkeypatch.setattr(llm, "request", replace(llm.request, model=name))
        list(llm.continue_("Tom ran."))
    list(llm.continue_("Tom ran.", repeat_threshold=2.0))
    assert [each.repeat_threshold for each in asked] == [None, None, 0.95, 0.95, 2.0]

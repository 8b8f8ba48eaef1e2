"""Completions, as OpenAI's clients ask for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from sonar_cli import SonarLLM
from tests.serve.conftest import STORY


def _alone(llm: SonarLLM, text: str = STORY, **options: Any) -> str:
    steps = llm.continue_(text, **options)
    return "".join(f" {step.text}" for step in steps if step.text is not None)


def _ask(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/completions", json={"prompt": STORY, "model": "mini", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def _events(text: str) -> list[Any]:
    assert text.endswith("data: [DONE]\n\n")
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    return [json.loads(line) for line in lines[:-1]]


def test_a_completion_is_what_continue_writes(client: TestClient, llm: SonarLLM) -> None:
    found = _ask(client, max_sentences=3)
    assert found["object"] == "text_completion" and found["model"] == "mini"
    (choice,) = found["choices"]
    assert choice["text"] == _alone(llm, sentences=3)
    assert (choice["index"], choice["finish_reason"], choice["stop_reason"]) == (
        *(0, "length"),
        "length",
    )
    usage = found["usage"]
    assert usage["prompt_tokens"] == llm.count_tokens(STORY)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens"] > 3


def test_the_end_of_a_text_is_a_stop(client: TestClient, llm: SonarLLM) -> None:
    found = _ask(client)["choices"][0]
    last = list(llm.continue_(STORY))[-1].stop_reason
    assert (found["stop_reason"], found["text"]) == (last, _alone(llm))
    assert found["finish_reason"] == ("length" if last == "length" else "stop")


def test_a_stream_has_a_sentence_a_chunk(client: TestClient, llm: SonarLLM) -> None:
    body = {"prompt": STORY, "max_sentences": 3, "stream": True}
    answer = client.post(
        "/v1/completions", json={**body, "stream_options": {"include_usage": True}}
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, last, usage = _events(answer.text)
    pieces = [chunk["choices"][0]["text"] for chunk in chunks]
    assert len(pieces) == 3 and "".join(pieces) == _alone(llm, sentences=3)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"][0]["finish_reason"] == "length"
    whole = _ask(client, max_sentences=3)
    assert usage["choices"] == [] and usage["usage"] == whole["usage"]
    assert len({chunk["id"] for chunk in [*chunks, last, usage]}) == 1


def test_several_prompts_and_choices(client: TestClient, llm: SonarLLM) -> None:
    prompts = [STORY, "Tom had a red ball."]
    found = _ask(client, prompt=prompts, n=2, seed=5, max_sentences=2)["choices"]
    wanted = [_alone(llm, text, sentences=2, seed=seed) for text in prompts for seed in (5, 6)]
    assert [each["text"] for each in found] == wanted
    assert [each["index"] for each in found] == [0, 1, 2, 3]
    assert len(set(wanted)) == 4


def test_without_a_seed_choices_follow_the_models_own(client: TestClient, llm: SonarLLM) -> None:
    own = llm.drawing.seed
    assert own is not None
    found = _ask(client, n=2, max_sentences=2)["choices"]
    assert [each["text"] for each in found] == [
        _alone(llm, sentences=2, seed=seed) for seed in (own, own + 1)
    ]


def test_temperature_is_that_of_the_tokens(client: TestClient, llm: SonarLLM) -> None:
    zero = _ask(client, temperature=0, max_sentences=2)["choices"][0]["text"]
    assert zero == _alone(llm, token_temperature=0, sentences=2)
    drawn = _ask(client, temperature=0.7, top_p=0.9, seed=3, max_sentences=2)["choices"][0]["text"]
    assert drawn == _alone(llm, token_temperature=0.7, top_p=0.9, seed=3, sentences=2)
    noise = {"meaning_temperature": 2.0, "candidates": 2, "seed": 3}
    moved = _ask(client, **noise, max_sentences=2)["choices"][0]["text"]
    assert moved == _alone(llm, temperature=2.0, candidates=2, seed=3, sentences=2)
    assert len({zero, drawn, moved}) == 3


def test_max_tokens_ends_with_the_sentence_that_reaches_it(
    client: TestClient, llm: SonarLLM
) -> None:
    whole = [step.text for step in llm.continue_(STORY, sentences=4) if step.text is not None]
    first = llm.count_tokens(whole[0])
    for most, sentences in ((1, 1), (first, 1), (first + 1, 2)):
        found = _ask(client, max_tokens=most)
        assert found["choices"][0]["text"] == "".join(f" {each}" for each in whole[:sentences])
        assert found["choices"][0]["finish_reason"] == "length"
        assert found["usage"]["completion_tokens"] >= most


def test_a_space_that_is_there_is_not_put_twice(client: TestClient, llm: SonarLLM) -> None:
    found = _ask(client, prompt=f"{STORY} ", max_sentences=1)["choices"][0]["text"]
    assert found == _alone(llm, sentences=1)[1:]


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        ({}, 422, "prompt", "Field required"),
        ({"prompt": [1, 2]}, 422, "prompt", "token ids are not taken"),
        ({"prompt": []}, 422, "prompt", "list of strings"),
        ({"prompt": ""}, 422, None, "no sentence"),
        ({"prompt": " \n "}, 422, None, "no sentence"),
        ({"prompt": STORY, "temperature": 9}, 422, "temperature", "less than or equal to 2"),
        ({"prompt": STORY, "top_p": 0}, 422, "top_p", "greater than 0"),
        ({"prompt": STORY, "seed": 2**63}, 422, "seed", "less than or equal"),
        ({"prompt": STORY, "n": 0}, 422, "n", "greater than or equal"),
        ({"prompt": STORY, "max_tokens": 0}, 422, "max_tokens", "greater than or equal"),
        ({"prompt": STORY, "stop": "\n"}, 422, "stop", "a sentence at a time"),
        ({"prompt": STORY, "logprobs": 1}, 422, "logprobs", "a sentence at a time"),
        ({"prompt": STORY, "sentences": 1}, 422, "sentences", "Extra inputs"),
        ({"prompt": STORY, "model": "gpt"}, 404, "model", "no model 'gpt' here; this is mini"),
        ({"prompt": STORY, "source_lang": "xyz"}, 422, None, "xyz"),
        ({"prompt": STORY, "candidates": 2, "temperature": 0}, 422, None, "without noise"),
        ({"prompt": "x" * 2_001}, 422, "prompt", "at most 2000 characters"),
        ({"prompt": [STORY] * 100}, 422, "prompt", "100 texts never have a place"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_asked_for(
    client: TestClient, body: Any, status: int, param: str | None, words: str, stream: bool
) -> None:
    answer = client.post("/v1/completions", json={**body, "stream": stream})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert words in error["message"] and error["type"] == "invalid_request_error"


def test_values_that_ask_for_nothing_are_taken(client: TestClient) -> None:
    neutral = {
        "best_of": 1, "echo": False, "frequency_penalty": 0, "presence_penalty": 0.0,
        "logit_bias": {}, "logprobs": None, "stop": None, "suffix": None, "user": "me",
    }  # fmt: skip
    assert _ask(client, max_sentences=1, **neutral)["choices"][0]["text"]


def test_an_error_of_the_model_is_told_without_its_words(
    client: TestClient, llm: SonarLLM, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("inner words")

    with monkeypatch.context() as broken:
        broken.setattr(llm.codec, "decode", fail)
        answer = client.post("/v1/completions", json={"prompt": STORY})
        assert answer.status_code == 500 and "inner words" not in answer.text
        assert answer.json()["error"]["type"] == "api_error"
        body = {"prompt": STORY, "stream": True}
        streamed = client.post("/v1/completions", json=body).text
        assert "[DONE]" not in streamed and "inner words" not in streamed
        assert json.loads(streamed.removeprefix("data: "))["error"]["type"] == "api_error"
    assert said == ["a request failed: RuntimeError: inner words"] * 2
    assert _ask(client, max_sentences=1)["choices"][0]["text"]

"""Embeddings and summaries."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from sonar_cli import SonarLLM
from tests.serve.conftest import STORY

TWO = ["Tom ran home.", "His dog sat down."]
TALE = "Tom found a kite. It was stuck in a tree. Tom was sad. His father came. They got it down."


def test_a_sentence_has_its_vector_and_a_text_the_mean(client: TestClient, llm: SonarLLM) -> None:
    answer = client.post("/v1/embeddings", json={"input": [STORY, " ".join(TWO)]}).json()
    one, mean = (torch.tensor(each["embedding"]) for each in answer["data"])
    assert torch.allclose(one, llm.encode([STORY])[0], atol=1e-5)
    assert torch.allclose(mean, llm.encode(TWO).mean(0), atol=1e-5)
    assert [each["index"] for each in answer["data"]] == [0, 1]
    tokens = sum(map(llm.count_tokens, [STORY, *TWO]))
    assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert (answer["object"], answer["model"]) == ("list", "mini")


def test_sentences_have_their_own_if_asked_for(client: TestClient, llm: SonarLLM) -> None:
    body = {"input": " ".join(TWO), "sentences": True}
    (data,) = client.post("/v1/embeddings", json=body).json()["data"]
    assert [each["text"] for each in data["sentences"]] == TWO
    rows = torch.tensor([each["embedding"] for each in data["sentences"]])
    assert torch.allclose(rows, llm.encode(TWO), atol=1e-5)


def test_base64_is_float32(client: TestClient) -> None:
    body = {"input": STORY, "encoding_format": "base64"}
    (coded,) = client.post("/v1/embeddings", json=body).json()["data"]
    (plain,) = client.post("/v1/embeddings", json={"input": STORY}).json()["data"]
    found = np.frombuffer(base64.b64decode(coded["embedding"]), "<f4")
    assert found.tolist() == plain["embedding"]


def test_more_sentences_than_a_piece(client: TestClient, llm: SonarLLM) -> None:
    texts = [f"Tom had {number} balls." for number in range(150)]
    data = client.post("/v1/embeddings", json={"input": texts}).json()["data"]
    found = torch.tensor([each["embedding"] for each in data])
    assert torch.allclose(found, llm.encode(texts), atol=1e-5)


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"input": []}, "input", "list of strings"),
        ({"input": [[1, 2]]}, "input", "token ids"),
        ({"input": [STORY, ""]}, None, "no sentence in input 1"),
        ({"input": STORY, "dimensions": 3}, "dimensions", "dimensions"),
        ({"input": STORY, "encoding_format": "hex"}, "encoding_format", "float"),
        ({"input": ["a"] * 2_049}, "input", "at most 2048"),
    ],
)
def test_what_cannot_be_embedded(client: TestClient, body, param: str | None, words: str) -> None:
    answer = client.post("/v1/embeddings", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (422, param) and words in error["message"]


def test_the_models_own_dimensions_may_be_named(client: TestClient, llm: SonarLLM) -> None:
    body = {"input": STORY, "dimensions": llm.codec.width}
    assert client.post("/v1/embeddings", json=body).status_code == 200


def test_a_summary_is_what_summarize_chooses(client: TestClient, llm: SonarLLM) -> None:
    body = {"input": TALE, "sentences": 2, "method": "extractive"}
    answer = client.post("/v1/summaries", json=body).json()
    wanted = llm.summarize(TALE, sentences=2, method="extractive")
    assert [each["text"] for each in answer["sentences"]] == [e.text for e in wanted.sentences]
    assert answer["summary"] == " ".join(each.text for each in wanted.sentences)
    assert answer["of"] == 5
    for each in answer["sentences"]:
        (source,) = each["sources"]
        assert TALE[source["start"] : source["end"]] == each["text"]


@pytest.mark.parametrize("body", [{"input": ""}, {"input": "  "}, {"input": TALE, "method": "x"}])
def test_what_cannot_be_summed_up(client: TestClient, said: list[str], body) -> None:
    answer = client.post("/v1/summaries", json=body)
    assert answer.status_code == 422 and answer.json()["error"]["message"]
    assert said == []

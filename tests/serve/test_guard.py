"""Who is let in, and with what; what the other addresses answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from sonar_cli import SonarLLM
from sonar_cli.errors import UsageError
from sonar_cli.serve.app import application
from sonar_cli.serve.options import ServeOptions
from tests.serve.conftest import STORY

BODY = {"prompt": STORY, "max_sentences": 1}


@pytest.fixture
def guarded(llm: SonarLLM) -> Iterator[TestClient]:
    app = application(llm, ServeOptions(host="0.0.0.0", token="s3cret"), print)
    with TestClient(app, base_url="http://any.example") as client:
        yield client


@pytest.mark.parametrize(
    "given", [None, "Bearer", "Bearer wrong", "Basic s3cret", "s3cret", "Bearer é"]
)
def test_without_the_token_nothing_is_told(guarded: TestClient, given: str | None) -> None:
    headers = {"Authorization": given.encode()} if given else {}
    for method, path in (
        ("GET", "/v1/models"),
        ("POST", "/v1/completions"),
        ("GET", "/openapi.json"),
    ):
        answer = guarded.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_with_the_token_all_is_open(guarded: TestClient) -> None:
    headers = {"Authorization": "Bearer s3cret"}
    assert guarded.get("/v1/models", headers=headers).status_code == 200
    assert guarded.post("/v1/completions", json=BODY, headers=headers).status_code == 200


def test_the_page_and_the_health_need_none(guarded: TestClient) -> None:
    assert guarded.get("/").status_code == guarded.get("/healthz").status_code == 200
    assert "s3cret" not in guarded.get("/").text


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000", "[::1]"]
)
def test_this_machines_names_are_known(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""]
)
def test_another_sites_name_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/v1/models", headers={"Host": host})
    assert answer.status_code == 403 and "not" in answer.json()["error"]["message"]


def test_no_other_site_may_read(client: TestClient) -> None:
    answer = client.get("/v1/models", headers={"Origin": "http://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    assert client.options("/v1/completions", headers=asked).status_code == 405


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_only_json_is_taken(client: TestClient, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = client.post("/v1/completions", content=b'{"prompt": "A."}', headers=headers)
    assert answer.status_code == 415


def test_a_large_body_is_refused(client: TestClient) -> None:
    """Also one that does not say how large it is."""
    head = {"Content-Type": "application/json"}
    large = b'{"prompt": "' + b"a " * 20_000 + b'"}'

    def pieces() -> Iterator[bytes]:
        yield from (large[at : at + 1_000] for at in range(0, len(large), 1_000))

    for content in (large, pieces()):
        answer = client.post("/v1/completions", content=content, headers=head)
        assert answer.status_code == 413
        assert answer.json()["error"]["message"] == "a request has at most 20000 bytes"


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{", 400), (b"", 422), (b"[]", 422), (b"\xff", 400), (b"[" * 9_000, 400),
     (b'{"prompt": NaN}', 422), (b'{"prompt": "\\ud800."}', 422)],
)  # fmt: skip
def test_a_broken_body_is_refused(client: TestClient, content: bytes, status: int) -> None:
    head = {"Content-Type": "application/json"}
    answer = client.post("/v1/completions", content=content, headers=head)
    assert answer.status_code == status and answer.json()["error"]["message"]


def test_the_model_and_the_health(client: TestClient) -> None:
    (model,) = client.get("/v1/models").json()["data"]
    assert model["id"] == "mini" and model["object"] == "model"
    assert client.get("/v1/models/mini").json() == model
    assert client.get("/v1/models/other").status_code == 404
    assert client.get("/healthz").json() == {"status": "ok", "running": 0, "waiting": 0}


def test_other_addresses_have_openais_errors(client: TestClient) -> None:
    assert client.get("/nowhere").json()["error"]["message"] == "Not Found"
    assert client.get("/v1/completions").status_code == 405
    assert "error" in client.get("/v1/completions").json()
    for path in ("/docs", "/redoc"):  # they would load from other hosts
        assert client.get(path).status_code == 404


def test_a_full_queue_says_when_to_come_again(llm: SonarLLM) -> None:
    app = application(llm, ServeOptions(queue=1), print)
    with TestClient(app, base_url="http://localhost") as client:
        worker = app.state.worker
        worker.submit = lambda jobs: type(worker).submit(worker, list(jobs) * (worker.most + 1))
        answer = client.post("/v1/completions", json=BODY)
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.org"])
def test_an_open_address_needs_a_token_or_a_word(host: str) -> None:
    with pytest.raises(UsageError, match="--token, or --no-token"):
        ServeOptions(host=host)
    assert not ServeOptions(host=host, token="x").is_local
    assert not ServeOptions(host=host, no_token=True).is_local


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machines_own_needs_none(host: str) -> None:
    assert ServeOptions(host=host).is_local


def test_a_token_is_what_a_header_can_hold() -> None:
    with pytest.raises(UsageError, match="ASCII"):
        ServeOptions(token="é")
    with pytest.raises(UsageError, match="exclude"):
        ServeOptions(token="x", no_token=True)

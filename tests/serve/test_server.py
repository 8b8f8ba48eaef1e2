"""A real server in a process of its own: many clients, some of whom vanish, and its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from sonar_cli import SonarLLM
from sonar_cli.serve.run import listen
from tests.serve.process import ROOT, Server, serving
from tests.serve.test_worker import TEXTS


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--batch-size", "4") as server:
        yield server


def _client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=120, trust_env=False)


async def _whole(client: httpx.AsyncClient, text: str) -> str:
    body = {"prompt": text, "max_sentences": 3, "seed": 2}
    answer = await client.post("/v1/completions", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["text"])


async def _streamed(client: httpx.AsyncClient, text: str) -> str:
    body = {"prompt": text, "max_sentences": 3, "seed": 2, "stream": True}
    pieces = []
    async with client.stream("POST", "/v1/completions", json=body) as answer:
        lines = [line async for line in answer.aiter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    pieces = [json.loads(line[6:])["choices"][0]["text"] for line in lines[:-1]]
    return "".join(pieces)


async def _vanishing(client: httpx.AsyncClient, text: str, stream: bool) -> None:
    """Ask for a long text, and go after its first sentence, or while waiting for all of it."""
    body = {"prompt": text, "max_sentences": 32, "temperature": 0.9, "stream": stream}
    if stream:
        async with client.stream("POST", "/v1/completions", json=body) as answer:
            async for _ in answer.aiter_lines():
                return
    else:
        with pytest.raises((httpx.TimeoutException, httpx.TransportError)):
            await client.post("/v1/completions", json=body, timeout=0.3)


async def _idle(client: httpx.AsyncClient) -> bool:
    """Wait until nobody has a place any more."""
    for _ in range(600):
        found = (await client.get("/healthz")).json()
        if found["running"] == found["waiting"] == 0:
            return True
        await asyncio.sleep(0.05)
    return False


def test_clients_that_vanish_disturb_none(server: Server, llm: SonarLLM) -> None:
    async def run() -> list[str]:
        async with _client(server.url) as client:
            asked = [(_whole, _streamed)[i % 2](client, text) for i, text in enumerate(TEXTS)]
            gone = [_vanishing(client, text, i % 2 == 0) for i, text in enumerate(TEXTS[:8])]
            found = await asyncio.gather(*gone, *asked)
            assert await _idle(client)
            return found[len(gone) :]  # type: ignore[return-value]

    found = asyncio.run(run())
    wanted = [
        "".join(f" {s.text}" for s in llm.continue_(text, sentences=3, seed=2) if s.text)
        for text in TEXTS
    ]
    assert found == wanted


def test_a_connection_that_is_cut_frees_its_place(server: Server) -> None:
    """By a reset, in the middle of a stream."""
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"prompt": TEXTS[0], "stream": True, "max_sentences": 32}).encode()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(head.encode() + body)
        assert connection.recv(20).startswith(b"HTTP/1.1 200")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async def run() -> bool:
        async with _client(server.url) as client:
            return await _idle(client)

    assert asyncio.run(run())


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "status", "said"), [
    (signal.SIGTERM, 0, ""), (signal.SIGINT, 130, "sonar-llm: interrupted\n"),
])  # fmt: skip
def test_a_signal_lets_what_runs_end(number: int, status: int, said: str) -> None:
    with serving("--grace", "60") as server:

        async def run() -> str:
            async with _client(server.url) as client:
                body = {"prompt": TEXTS[0], "stream": True, "max_sentences": 20}
                lines = []
                async with client.stream("POST", "/v1/completions", json=body) as answer:
                    async for line in answer.aiter_lines():
                        if not lines:
                            server.process.send_signal(number)
                        lines.append(line)
                return [line for line in lines if line][-1]

        assert asyncio.run(run()) == "data: [DONE]"
        out, err = server.process.communicate(timeout=120)
        assert (server.process.returncode, out, err) == (status, "", said)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_what_takes_longer_than_its_grace_is_cut() -> None:
    """The stream has no [DONE], and nothing hangs."""
    with serving("--grace", "0", "--max-sentences", "100000") as server:

        async def run() -> list[str]:
            async with _client(server.url) as client:
                body = {"prompt": TEXTS, "stream": True, "temperature": 1, "meaning_temperature": 2}
                lines: list[str] = []
                try:
                    async with client.stream("POST", "/v1/completions", json=body) as answer:
                        async for line in answer.aiter_lines():
                            if not lines:
                                server.process.send_signal(signal.SIGTERM)
                            lines.append(line)
                except httpx.TransportError:
                    pass
                return lines

        lines = asyncio.run(run())
        assert lines and "data: [DONE]" not in lines
        server.process.communicate(timeout=120)
        assert server.process.returncode == 0


def _refused(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "sonar_cli", "serve", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_port_that_is_taken_is_said(server: Server) -> None:
    port = server.url.rpartition(":")[2]
    status, out, err = _refused("--port", port)
    assert (status, out) == (1, "") and err.count("\n") == 1
    assert err.startswith(f"sonar-llm: cannot listen on 127.0.0.1:{port}: ")


def test_an_open_address_is_refused_without_a_token() -> None:
    status, out, err = _refused("--host", "0.0.0.0")
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert "give --token, or --no-token" in err


def test_a_token_from_the_environment() -> None:
    with serving(SONAR_LLM_TOKEN="s3cret") as server, httpx.Client(trust_env=False) as client:
        assert client.get(f"{server.url}/v1/models").status_code == 401
        found = client.get(f"{server.url}/v1/models", headers={"Authorization": "Bearer s3cret"})
        assert found.status_code == 200


def test_small_answers_are_sent_at_once() -> None:
    """asyncio turns off the delay of what is accepted only where the socket names its protocol."""

    async def delays() -> int:
        found: asyncio.Queue[int] = asyncio.Queue()

        async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            found.put_nowait(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen("127.0.0.1", 0) as listening:
            async with await asyncio.start_server(accepted, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                writer.close()
                return await asyncio.wait_for(found.get(), 10)

    assert asyncio.run(delays()) != 0

"""Load a server of our own on loopback: `python -m tests.serve.load --clients 64`.

Each client asks again as soon as it has its answer, until all requests are done. Prints a Markdown
table: what was asked, how many clients, requests and sentences a second, and latencies.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import quantiles
from time import perf_counter

import httpx

from tests.serve.process import serving

PROMPT = "One day Lily found a {}."
COLUMNS = (
    *("request", "clients", "requests/s", "sentences/s", "first sentence, s"),
    *("median, s", "95 %, s", "99 %, s"),
)
THINGS = ("kite", "ball", "cake", "box", "book", "shell", "hat", "drum")


@dataclass
class Measured:
    """Seconds a request took, seconds until its first sentence, and sentences in all."""

    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    sentences: int = 0


Ask = Callable[[httpx.AsyncClient, int, Measured], Awaitable[None]]


def _prompt(number: int) -> str:
    return PROMPT.format(THINGS[number % len(THINGS)])


def stream(sentences: int) -> Ask:
    """Return who asks for a stream of so many sentences."""

    async def ask(client: httpx.AsyncClient, number: int, measured: Measured) -> None:
        body = {
            "prompt": _prompt(number), "max_sentences": sentences, "seed": number, "stream": True
        }  # fmt: skip
        started = perf_counter()
        made = 0
        async with client.stream("POST", "/v1/completions", json=body) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if line.startswith("data: {") and json.loads(line[6:])["choices"][0]["text"]:
                    made += 1
                    if made == 1:
                        measured.first.append(perf_counter() - started)
        measured.seconds.append(perf_counter() - started)
        measured.sentences += made

    return ask


async def embed(client: httpx.AsyncClient, number: int, measured: Measured) -> None:
    """Ask for the vector of a sentence."""
    started = perf_counter()
    answer = await client.post("/v1/embeddings", json={"input": _prompt(number)})
    answer.raise_for_status()
    measured.seconds.append(perf_counter() - started)
    measured.sentences += 1


async def health(client: httpx.AsyncClient, number: int, measured: Measured) -> None:
    """Ask what needs no model."""
    started = perf_counter()
    (await client.get("/healthz")).raise_for_status()
    measured.seconds.append(perf_counter() - started)


async def load(url: str, ask: Ask, clients: int, requests: int) -> tuple[float, Measured]:
    """Return the seconds that all requests took together, and what was measured of each."""
    measured = Measured()
    numbers = iter(range(requests))
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(
        base_url=url, timeout=600, trust_env=False, limits=limits
    ) as client:

        async def one() -> None:
            for number in numbers:
                await ask(client, number, measured)

        started = perf_counter()
        await asyncio.gather(*(one() for _ in range(clients)))
        return perf_counter() - started, measured


def _row(name: str, clients: int, seconds: float, measured: Measured) -> str:
    cuts = quantiles(measured.seconds, n=100)
    first = f"{quantiles(measured.first, n=100)[49]:.2f}" if measured.first else ""
    sentences = f"{measured.sentences / seconds:.1f}" if measured.sentences else ""
    cells = (
        *(name, clients, f"{len(measured.seconds) / seconds:.1f}", sentences, first),
        *(f"{cuts[at]:.3f}" for at in (49, 94, 98)),
    )
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=256)
    parser.add_argument("--sentences", type=int, default=5)
    parser.add_argument("--batch-size", default="auto")
    asked = parser.parse_args()
    kinds = {f"{asked.sentences} sentences, streamed": stream(asked.sentences)}
    kinds |= {"an embedding": embed, "/healthz": health}
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    with serving("--queue", str(asked.clients), "--batch-size", asked.batch_size) as server:
        for name, ask in kinds.items():
            for clients in (1, asked.clients):
                count = asked.requests if clients > 1 else max(2, asked.requests // 4)
                found = asyncio.run(load(server.url, ask, clients, count))
                print(_row(name, clients, *found), flush=True)


if __name__ == "__main__":
    main()

"""What is measured of long contexts. How long it takes is never tested."""

from __future__ import annotations

import pytest
import torch

from sonar_cli.evaluation.bench.weights import TINY
from sonar_cli.evaluation.paper import cost
from sonar_cli.evaluation.paper.cost import Crossover, cache_bytes, crossover, measure, table
from sonar_cli.evaluation.paper.flops import sentence_level, token_level
from sonar_cli.evaluation.paper.networks import networks_of, random_networks, shapes
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.load import load_system
from sonar_cli.model.systems.lcm_diffusion import TwoTowerLCM
from sonar_cli.options import GenerationOptions
from tests.evaluation.paper.test_flops import SHAPES, SIZES, counted

OPTIONS = GenerationOptions(beam_size=3, diffusion_steps=4)


@pytest.mark.parametrize("kind", list(SHAPES))
def test_a_record_is_complete(kind: str) -> None:
    networks = random_networks(SHAPES[kind], SIZES, "cpu")
    record = measure(networks, 20, 5, reads=2, writes=3, options=OPTIONS)
    assert list(record) == [
        *("system", "sentences", "tokens", "encode_seconds", "read_seconds", "write_seconds"),
        *("encode_rounds", "read_rounds", "write_rounds", "cache_bytes", "peak_bytes"),
    ]
    assert (record["system"], record["sentences"], record["tokens"]) == (kind, 20, 5)
    of_tokens = kind == "llm"
    rounds = [len(record[f"{part}_rounds"]) for part in ("encode", "read", "write")]
    assert rounds == [0 if of_tokens else 2, 2, 3]
    assert (record["encode_seconds"] == 0) == of_tokens
    assert record["read_seconds"] == sum(record["read_rounds"]) / 2
    assert record["write_seconds"] == sorted(record["write_rounds"])[1] > 0
    assert record["cache_bytes"] == cache_bytes(SHAPES[kind], 100 if of_tokens else 20)
    weights = sum(each.numel() for each in networks.network.parameters())
    assert record["peak_bytes"] > 4 * weights


@pytest.mark.parametrize("kind", list(SHAPES))
def test_what_is_timed_is_what_is_counted(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time a sentence is written after the same context, whatever was written before."""
    monkeypatch.setattr(cost, "timed", counted)
    networks = random_networks(SHAPES[kind], SIZES, "cpu")
    record = measure(networks, 40, 5, reads=2, writes=3, options=OPTIONS)
    if kind == "llm":
        whole, again = (token_level(SHAPES[kind], 40, 5, cached=cached) for cached in (False, True))
    else:
        whole, again = (
            sentence_level(
                SHAPES[kind], SIZES.encoder, SIZES.decoder, 40, 5,
                beam_size=3, diffusion_steps=4, cached=cached,
            )
            for cached in (False, True)
        )  # fmt: skip
        assert record["encode_rounds"] == [whole.encode] * 2
    assert record["read_rounds"] == [whole.read] * 2
    assert record["write_rounds"] == [again.total] * 3


@pytest.mark.parametrize("kind", list(SHAPES))
def test_bytes_are_those_that_the_cache_holds(kind: str) -> None:
    network = random_networks(SHAPES[kind], SIZES, "cpu", "bfloat16").network
    cache = network.new_cache()
    if kind == "llm":
        network.hidden(torch.zeros(1, 70, dtype=torch.int64), cache)
    else:
        network.hidden(torch.zeros(1, 70, 64, dtype=torch.bfloat16), cache)
    keys = 0
    if isinstance(network, TwoTowerLCM):
        contexts = torch.zeros(1, 70, network.config.hidden, dtype=torch.bfloat16)
        keys = network.keys(contexts).nbytes
    assert cache._memory is not None and cache.length == 70
    assert cache_bytes(network.config, 70, 2) == cache._memory.nbytes + keys


def test_the_embedded_model_can_be_measured() -> None:
    records = [measure(networks_of(load_system(resolve())), 3, 4, reads=1, writes=1)]
    records.append(measure(random_networks(shapes(TINY)["llm"], TINY, "cpu"), 3, 4))
    assert [each["system"] for each in records] == ["sonar-llm", "llm"]
    lines = table(records).markdown().splitlines()
    assert lines[0].startswith("| system | sentences | s to encode them |") and len(lines) == 4
    assert f"| {records[1]['read_seconds']:.4f} |" in lines[3]


@pytest.mark.parametrize("wrong", [(0, 5, 1, 1), (5, 0, 1, 1), (5, 5, 0, 1), (5, 5, 1, 0)])
def test_nothing_cannot_be_measured(wrong: tuple[int, ...]) -> None:
    sentences, tokens, reads, writes = wrong
    networks = random_networks(SHAPES["llm"], SIZES, "cpu")
    with pytest.raises(ValueError, match="at least 1"):
        measure(networks, sentences, tokens, reads=reads, writes=writes)


@pytest.mark.parametrize("at", [17, 100, 5_000, 16_384])
def test_bisection_finds_where_costs_cross(at: int) -> None:
    asked: list[int] = []

    def ours(sentences: int) -> float:
        asked.append(sentences)
        return at + 0.0

    found = crossover(ours, float, 16, 16_384, ratio=1.0)
    assert found == Crossover(at - 1, at, "theirs", "ours") and found.found
    assert len(asked) == len(set(asked)) <= 22
    turned = crossover(lambda n: n + 0.5, lambda n: at + 0.0, 16, 16_384, ratio=1.0)
    assert turned == Crossover(at - 1, at, "ours", "theirs")


def test_the_bracket_is_as_narrow_as_asked_for() -> None:
    found = crossover(lambda n: 5.0 + 0.001 * n, lambda n: 0.01 * n, 16, 16_384, ratio=1.2)
    assert found.low < 5.0 / 0.009 <= found.high <= 1.2 * found.low


def test_none_in_the_range_is_said_plainly() -> None:
    found = crossover(lambda n: 1.0, lambda n: 2.0, 16, 64)
    assert not found.found
    assert str(found) == "none in the range: ours is cheaper at 16 and at 64"
    for low, high in ((0, 5), (5, 5), (6, 5)):
        with pytest.raises(ValueError, match="a range"):
            crossover(lambda n: 1.0, lambda n: 2.0, low, high)

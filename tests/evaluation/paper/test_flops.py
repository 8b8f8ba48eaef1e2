"""FLOPs by formula are those that PyTorch counts when tiny networks run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sonar_cli.evaluation.bench.engines import NativeEngine
from sonar_cli.evaluation.bench.weights import TINY, Sizes
from sonar_cli.evaluation.paper.flops import sentence_level, token_level
from sonar_cli.evaluation.paper.networks import Networks, random_networks, shapes
from sonar_cli.model.shapes import PredictorConfig
from sonar_cli.model.systems.lcm_diffusion import TwoTowerLCM
from sonar_cli.model.systems.llama import KVCache, Llama
from sonar_cli.model.systems.sonar_llm import Predictor

# Every width differs from the others, and there are fewer key-value heads than heads.
SIZES = Sizes(
    replace(TINY.encoder, layers=3, heads=2, ffn=112),
    replace(TINY.decoder, heads=4, ffn=144),
    PredictorConfig(embed_dim=64, hidden=48, ffn=80, layers=6, heads=4, kv_heads=2, head_dim=16),
)
SHAPES = shapes(SIZES)
VECTORS = ("sonar-llm", "lcm-mse", "lcm-diffusion")
SENTENCES, TOKENS = 9, 7


def counted(run: Callable[[], object]) -> int:
    """Return the FLOPs that PyTorch counts; the CPU's own attention kernel it would not count."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def _networks(kind: str) -> Networks:
    return random_networks(SHAPES[kind], SIZES, "cpu")


def _read(network: Llama, vectors: Tensor, cache: KVCache) -> Tensor:
    hidden = network.hidden(vectors, cache)
    return network.keys(hidden) if isinstance(network, TwoTowerLCM) else hidden


@pytest.mark.parametrize("kind", VECTORS)
def test_the_parts_of_a_sentence_level_system(kind: str) -> None:
    networks = _networks(kind)
    network = networks.network
    assert networks.encoder is not None and networks.decoder is not None
    found = sentence_level(
        SHAPES[kind], SIZES.encoder, SIZES.decoder, SENTENCES, TOKENS,
        beam_size=3, diffusion_steps=4,
    )  # fmt: skip
    ids = torch.randint(600, (SENTENCES, TOKENS + 2))
    assert counted(lambda: networks.encoder(ids)) == found.encode
    vectors, cache = networks.encoder(ids)[None], network.new_cache()
    assert counted(lambda: _read(network, vectors, cache)) == found.read
    hidden = network.hidden(vectors)
    if isinstance(network, TwoTowerLCM):
        lengths, noise = torch.tensor([SENTENCES]), torch.randn(1, 64)
        keys = network.keys(hidden)
        propose = counted(lambda: network.sample(keys, lengths, noise, 4, 3.0))
    else:
        propose = counted(lambda: network.reverse_proj(hidden[:, -1]))
    assert propose == found.propose
    search = NativeEngine("", networks.decoder, 0).search
    assert counted(lambda: search(1, 3, TOKENS + 1)) == found.decode
    assert found.total == found.encode + found.read + found.propose + found.decode


@pytest.mark.parametrize("kind", VECTORS)
def test_with_a_cache_one_sentence_is_read(kind: str) -> None:
    networks = _networks(kind)
    network, vectors = networks.network, torch.randn(1, SENTENCES + 1, 64)
    args = SHAPES[kind], SIZES.encoder, SIZES.decoder
    whole = sentence_level(*args, SENTENCES, TOKENS)
    found = sentence_level(*args, SENTENCES, TOKENS, cached=True)
    cache = network.new_cache()
    network.hidden(vectors[:, :-1], cache)
    assert counted(lambda: _read(network, vectors[:, -1:], cache)) == found.read
    again = whole.encode // SENTENCES if isinstance(network, Predictor) else 0
    assert found.encode == again
    assert (found.propose, found.decode) == (whole.propose, whole.decode)


def test_a_token_level_system() -> None:
    network = _networks("llm").network
    found = token_level(SHAPES["llm"], SENTENCES, TOKENS)
    ids, cache = torch.randint(600, (1, SENTENCES * TOKENS)), network.new_cache()
    assert counted(lambda: network.following(ids, cache)) == found.read
    steps = [counted(lambda: network.following(ids[:, :1], cache)) for _ in range(TOKENS)]
    assert sum(steps) == found.decode
    cached = token_level(SHAPES["llm"], SENTENCES, TOKENS, cached=True)
    assert cached.total == cached.decode == found.decode
    assert found.encode == found.propose == 0


def test_pairs_that_the_mask_hides_can_be_left_out() -> None:
    args = SHAPES["sonar-llm"], SIZES.encoder, SIZES.decoder, SENTENCES, TOKENS
    all_pairs, seen = sentence_level(*args), sentence_level(*args, masked=False)
    hidden = SENTENCES * (SENTENCES - 1) // 2
    assert all_pairs.read - seen.read == 6 * hidden * 4 * 64  # layers, pairs, heads * head size
    assert all_pairs.encode == seen.encode  # the encoder sees whole sentences
    assert all_pairs.decode - seen.decode == 2 * 1 * 4 * 64  # in the prefix of two tokens
    tokens = SENTENCES * TOKENS
    of_llm = SHAPES["llm"], SENTENCES, TOKENS
    all_pairs, seen = token_level(*of_llm), token_level(*of_llm, masked=False)
    assert all_pairs.read - seen.read == 6 * tokens * (tokens - 1) // 2 * 4 * 64
    assert all_pairs.decode == seen.decode

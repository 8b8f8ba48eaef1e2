"""The fast path equals the slow path, on weights whose values do not matter."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from sonar_cli.model.shapes import RopeScaling
from sonar_cli.model.systems.llama import _attend_alone, rotary_rates
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.model.systems.state import perturb
from tests.conftest import PREDICTOR


@pytest.mark.parametrize("first", [1, 3, 8])
def test_cache_on_equals_cache_off(predictor: Predictor, first: int) -> None:
    vectors = torch.randn(2, 9, 64)
    cache = predictor.new_cache()
    parts = [predictor(vectors[:, :first], cache)]
    parts += [predictor(vectors[:, i : i + 1], cache) for i in range(first, 9)]
    assert cache.length == 9
    torch.testing.assert_close(torch.cat(parts, 1), predictor(vectors), atol=1e-5, rtol=0)


def test_cache_takes_several_new_sentences(predictor: Predictor) -> None:
    vectors = torch.randn(1, 9, 64)
    cache = predictor.new_cache()
    parts = [predictor(vectors[:, a:b], cache) for a, b in ((0, 4), (4, 7), (7, 9))]
    torch.testing.assert_close(torch.cat(parts, 1), predictor(vectors), atol=1e-5, rtol=0)


@pytest.mark.parametrize("lengths", [(5, 2, 1), (3, 3, 7), (1, 1, 1)])
def test_texts_side_by_side_are_as_alone(predictor: Predictor, lengths: tuple[int, ...]) -> None:
    """Texts of different lengths, one of which ends, and one that takes a place later."""
    texts = [torch.randn(1, length + 6, 64) for length in (*lengths, 4)]
    alone = [predictor(text) for text in texts]
    cache, at = predictor.new_cache(), [0] * len(texts)

    def begin(row: int, text: int, length: int) -> None:
        own = predictor.new_cache()
        last = predictor(texts[text][:, :length], own)[:, -1]
        torch.testing.assert_close(last, alone[text][:, length - 1], atol=1e-5, rtol=0)
        cache.put(row, own)
        at[text] = length

    def step(running: list[int]) -> None:
        newest = torch.cat([texts[text][:, at[text] : at[text] + 1] for text in running])
        found = predictor(newest, cache)
        expected = torch.cat([alone[text][:, at[text] : at[text] + 1] for text in running])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        for text in running:
            at[text] += 1

    for row, length in enumerate(lengths):
        begin(row, row, length)
    step([0, 1, 2])
    step([0, 1, 2])
    cache.keep([0, 2])
    step([0, 2])
    begin(2, 3, 4)
    step([0, 2, 3])
    step([0, 2, 3])
    begin(0, 1, 5)  # in the place of a text that has ended
    step([1, 2, 3])
    assert cache.lengths == [6, lengths[2] + 6, 7]


def test_uneven_texts_take_one_sentence_at_a_time(predictor: Predictor) -> None:
    cache = predictor.new_cache()
    for row, length in enumerate((1, 2)):
        own = predictor.new_cache()
        predictor(torch.randn(1, length, 64), own)
        cache.put(row, own)
    with pytest.raises(ValueError, match="one position"):
        predictor(torch.randn(2, 2, 64), cache)


def test_the_cache_grows_in_steps(predictor: Predictor) -> None:
    vectors = torch.randn(1, 400, 64)
    cache, places = predictor.new_cache(), set()
    with torch.inference_mode():
        expected = predictor(vectors)
        for i in range(400):
            found = predictor(vectors[:, i : i + 1], cache)
            places.add(cache._memory.data_ptr())
            torch.testing.assert_close(found[:, 0], expected[:, i], atol=1e-5, rtol=0)
    assert len(places) <= 8


def test_the_future_is_not_seen(predictor: Predictor) -> None:
    vectors = torch.randn(1, 6, 64)
    changed = vectors.clone()
    changed[:, 4:] = 9.0
    before, after = predictor(vectors), predictor(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_rates_are_scaled_in_three_ranges() -> None:
    plain = rotary_rates(32, 500_000.0, None)
    scaled = rotary_rates(32, 500_000.0, RopeScaling(8.0, 1.0, 4.0, original_max_len=64))
    ratio = scaled / plain
    assert ratio[0] == 1.0
    torch.testing.assert_close(ratio[-1], torch.tensor(1 / 8))
    assert ((ratio > 1 / 8 + 1e-6) & (ratio < 1)).any()


def test_positions_matter(predictor: Predictor) -> None:
    vectors = torch.randn(1, 2, 64)
    swapped = vectors[:, [1, 0, 1]]
    assert not torch.allclose(predictor(swapped)[:, -1], predictor(vectors)[:, -1], atol=1e-4)


def test_without_grouping(predictor: Predictor) -> None:
    full = Predictor(replace(PREDICTOR, kv_heads=4)).eval()
    state = predictor.state_dict()
    for name in state:
        if name.endswith(("attn.k.weight", "attn.v.weight")):
            heads = state[name].unflatten(0, (2, 32))
            state[name] = heads.repeat_interleave(2, 0).flatten(0, 1)
    full.load_state_dict(state)
    vectors = torch.randn(2, 5, 64)
    torch.testing.assert_close(full(vectors), predictor(vectors), atol=1e-5, rtol=0)


def test_noise_has_the_size_of_the_temperature() -> None:
    hidden = torch.randn(3, 48) * 7
    moved = perturb(hidden, 0.5, torch.Generator().manual_seed(1)) - hidden
    expected = 0.5 * hidden.square().mean(-1).sqrt()
    torch.testing.assert_close(moved.norm(dim=-1), expected)
    again = perturb(hidden, 0.5, torch.Generator().manual_seed(1)) - hidden
    assert torch.equal(moved, again)


@pytest.mark.parametrize("kv_heads", [6, 2])
def test_one_sentence_attends_as_all_do(kv_heads: int) -> None:
    q = torch.randn(3, 6, 1, 16)
    memory = torch.randn(2, 3, kv_heads, 40, 16)  # longer than what is attended to
    k, v = memory[0, :, :, :25], memory[1, :, :, :25]
    wanted = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    torch.testing.assert_close(_attend_alone(q, k, v), wanted, rtol=0, atol=1e-6)

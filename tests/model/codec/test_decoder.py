"""The decoder's memory: a search's steps equal teacher forcing, whatever it reorders."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from sonar_cli.model.codec.beam import _top
from sonar_cli.model.codec.decoder import DecoderState, TextDecoder

PREFIX = [3, 7]


def _memory(state: DecoderState) -> int:
    return state._memory.shape[4]


@pytest.mark.parametrize("seed", range(6))
@torch.inference_mode()
def test_steps_equal_teacher_forcing_through_any_reordering(
    decoder: TextDecoder, seed: int
) -> None:
    """Rows are repeated, dropped and swapped, also between texts, for longer than memory grows."""
    draw = random.Random(seed)
    vectors = torch.randn(3, 64)
    state = decoder.start(vectors)
    texts, tokens = [0, 1, 2], [list(PREFIX) for _ in range(3)]
    logits = decoder.step(torch.tensor(tokens), state)
    for turn in range(45):
        _equal(decoder, vectors[texts], tokens, logits[:, -1])
        count = draw.choice([1, len(texts), len(texts), 6]) if turn % 7 == 0 else len(texts)
        rows = [draw.randrange(len(texts)) if draw.random() < 0.3 else i for i in range(count)]
        rows = [min(row, len(texts) - 1) for row in rows]
        state.reorder(torch.tensor(rows))
        texts, tokens = [texts[i] for i in rows], [list(tokens[i]) for i in rows]
        for row in tokens:
            row.append(draw.randrange(4, 60))
        logits = decoder.step(torch.tensor([row[-1:] for row in tokens]), state)
    assert _memory(state) > 32


def _equal(decoder: TextDecoder, vectors: Tensor, tokens: list[list[int]], logits: Tensor) -> None:
    forced = decoder(vectors, torch.tensor(tokens))[:, -1]
    torch.testing.assert_close(logits, forced, rtol=0, atol=2e-5)


@torch.inference_mode()
def test_only_what_differs_is_moved(decoder: TextDecoder) -> None:
    """Rows that share their beginning keep it where it is; equal tokens of other texts do not."""
    state = decoder.start(torch.randn(2, 64))
    decoder.step(torch.tensor([PREFIX, PREFIX]), state)
    state.reorder(torch.tensor([0, 0, 1, 1]))
    decoder.step(torch.tensor([[10], [11], [12], [12]]), state)
    decoder.step(torch.tensor([[13], [13], [14], [15]]), state)
    past = state._past
    assert state._unchanged(past) == 4
    assert state._unchanged(past[[1, 0, 2, 3]]) == 2
    assert state._unchanged(past[[0, 1, 3, 2]]) == 3
    assert state._unchanged(past[[2, 3, 0, 1]]) == 0
    assert state._unchanged(past[[0, 1]]) == 4


@torch.inference_mode()
def test_several_positions_come_first_only(decoder: TextDecoder) -> None:
    state = decoder.start(torch.randn(1, 64))
    decoder.step(torch.tensor([PREFIX]), state)
    with pytest.raises(ValueError, match="one position"):
        decoder.step(torch.tensor([PREFIX]), state)


@pytest.mark.parametrize("columns", [20_000, 20_480, 256_206])
@pytest.mark.parametrize("count", [2, 10, 64])
def test_the_best_of_a_wide_row(columns: int, count: int) -> None:
    logits = torch.randn(3, columns)
    logits[0, -count:] += 10  # behind the last whole block
    logits[1, 700 : 700 + count] += 10  # all in one block
    logits[2, :7] = -torch.inf
    values, tokens = _top(logits, count)
    torch.testing.assert_close(values.sort(1, True).values, logits.topk(count).values)
    assert torch.equal(logits.gather(1, tokens), values)
    assert all(len(set(row)) == count for row in tokens.tolist())

"""BrierLM, held to distributions whose score is known, and to draws made the slow way."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from sonar_cli.evaluation.paper import brier as module
from sonar_cli.evaluation.paper.brier import (
    MOST,
    Brier,
    brier,
    draw_next,
    draw_pieces,
    estimates,
    pick,
)
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.tokenizer import BOS, EOS, PAD
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from tests.evaluation.paper.four import KINDS, QUICK, TEXTS, codec, system

TRUE = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.9, 0.06, 0.04])
PLACES = 20_000


def _toy(shares: Tensor) -> Brier:
    """Score a distribution of independent tokens on truths that are drawn from TRUE."""

    def drawn(of: Tensor, number: int) -> Tensor:
        logits = of.log().expand(PLACES * number * MOST, -1)
        return pick(logits, torch.rand(len(logits))).view(PLACES, number, MOST)

    truth = drawn(TRUE, 1)[:, 0].tolist()
    found, counted = estimates(drawn(shares, 2), truth)
    assert counted.all()
    return Brier(found.numpy(), counted.long().numpy())


def test_a_distribution_in_closed_form() -> None:
    """At the truth `2 P(y) - sum P**2` is sum P**2 on average, for n tokens to the power of n."""
    found, square = _toy(TRUE), float(TRUE.square().sum())
    for n, mean in enumerate(found.means, 1):
        assert mean == pytest.approx(square**n, abs=0.01)
    assert found.score == pytest.approx(100 * square ** (10 / 4), abs=1)


@pytest.mark.parametrize(
    "wrong",
    [
        [0, 0, 0, 0, 0.06, 0.9, 0.04],
        [0, 0, 0, 0, 1 / 3, 1 / 3, 1 / 3],
        [0, 0, 0, 0, 1.0, 0, 0],
    ],
)
def test_the_true_distribution_is_best(wrong: list[float]) -> None:
    shares = torch.tensor(wrong)
    right, other = _toy(TRUE), _toy(shares)
    expected = float((2 * TRUE * shares - shares.square()).sum())
    assert other.means[0] == pytest.approx(expected, abs=0.02)
    assert expected < float(TRUE.square().sum())
    assert other.means[0] < right.means[0] and other.score < right.score


def test_a_perfect_predictor_gets_a_hundred_and_a_wrong_one_nothing() -> None:
    truth = [[5, 6, 7, 8], [9, 9, 9]]
    rows = torch.tensor([[5, 6, 7, 8], [9, 9, 9, 4]])
    found, counted = estimates(rows[:, None].expand(-1, 2, -1), truth)
    assert Brier(found.numpy(), counted.long().numpy()).score == 100
    assert counted.sum(0).tolist() == [2, 2, 2, 1]
    found, counted = estimates(rows.flip(0)[:, None].expand(-1, 2, -1), truth)
    wrong = Brier(found.numpy(), counted.long().numpy())
    assert wrong.means == (-1, -1, -1, -1) and wrong.score == 0
    nothing = Brier(np.zeros((0, MOST)), np.zeros((0, MOST), np.int64))
    assert nothing.score == 0


def test_true_vectors_score_high_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    true = codec().encode([sentence for text in TEXTS for sentence in text[1:]])
    found = system("sonar-llm")
    monkeypatch.setattr(module, "foretold", lambda *_: true[None])
    assert brier(found, TEXTS).score > 80
    monkeypatch.setattr(module, "foretold", lambda *_: true.roll(1, 0)[None])
    assert brier(found, TEXTS).score < 40
    # Two vectors a place, one right and one wrong: one sample of the two is right.
    monkeypatch.setattr(module, "foretold", lambda *_: torch.stack([true, true.flip(1)]))
    assert 0.6 < brier(found, TEXTS).means[3] <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_each_system_by_seed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = system(kind)
    drawn: list[Tensor] = []

    def spy(tokens: Tensor, truth: list[list[int]]) -> tuple[Tensor, Tensor]:
        drawn.append(tokens)
        return estimates(tokens, truth)

    monkeypatch.setattr(module, "estimates", spy)
    scores = [brier(found, [*TEXTS, []], seed, QUICK) for seed in (3, 3, 4)]
    assert scores[0].sums.shape == (4, MOST)
    assert scores[0].places.tolist() == [[3] * MOST, [0] * MOST, [2] * MOST, [0] * MOST]
    assert drawn[0].shape == (5, 2, MOST)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0][:, 0], drawn[0][:, 1])
    monkeypatch.setattr(module, "_ROWS", 3)
    brier(found, [*TEXTS, []], 3, QUICK)
    assert torch.equal(drawn[0], drawn[3])
    assert brier(found, [TEXTS[1]], 3, QUICK).score == 0


def _slowly(logits_of: partial[Tensor], ids: list[int], uniform: Tensor) -> list[int]:
    tokens: list[int] = []
    for chance in uniform:
        logits = logits_of(torch.tensor([[*ids, *tokens]]))[:, -1]
        tokens.append(int(pick(logits, chance[None])))
    ended = tokens.index(EOS) + 1 if EOS in tokens else len(tokens)
    return tokens[:ended] + [PAD] * (len(tokens) - ended)


def test_the_decoder_draws_token_after_token(decoder: TextDecoder) -> None:
    vectors, uniform = torch.randn(6, 64), torch.rand(6, MOST)
    found = draw_pieces(decoder, vectors, torch.tensor([EOS, 50]), uniform)
    for row, vector in enumerate(vectors):
        slow = _slowly(partial(decoder, vector[None]), [EOS, 50], uniform[row])
        assert found[row].tolist() == slow
    assert len(set(map(tuple, found.tolist()))) > 1


def test_a_token_model_draws_at_all_places_at_once() -> None:
    found = system("llm")
    assert isinstance(found, TokenLLMSystem)
    ids = [BOS, *found.tokenizer.pieces(" ".join(TEXTS[0][:3]))]
    lengths, uniform = [4, 9, len(ids)], torch.rand(3, 2, MOST)
    drawn = draw_next(found.model, torch.tensor([ids]), lengths, uniform)
    for place, length in enumerate(lengths):
        for sample in range(2):
            slow = _slowly(partial(found.model), ids[:length], uniform[place, sample])
            assert drawn[place, sample].tolist() == slow


def test_frequencies_are_the_probabilities(decoder: TextDecoder) -> None:
    vector, prefix = torch.randn(64), torch.tensor([EOS, 50])
    rows = 4_000
    drawn = draw_pieces(decoder, vector.expand(rows, -1), prefix, torch.rand(rows, 1))
    shares = torch.bincount(drawn[:, 0], minlength=60) / rows
    expected = decoder(vector[None], prefix[None])[0, -1].softmax(0)
    torch.testing.assert_close(shares, expected, atol=0.03, rtol=0)


def test_nothing_counts_after_eos() -> None:
    tokens = torch.tensor([[5, EOS, 7, EOS], [5, 6, 7, 8], [EOS, 4, 4, 4]])
    expected = [[5, EOS, PAD, PAD], [5, 6, 7, 8], [EOS, PAD, PAD, PAD]]
    assert module._ended(tokens).tolist() == expected

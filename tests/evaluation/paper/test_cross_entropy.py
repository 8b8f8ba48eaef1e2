"""Nats of next sentences, held to the same computed one sentence at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sonar_cli.evaluation import likelihood
from sonar_cli.evaluation.paper import cross_entropy as module
from sonar_cli.evaluation.paper.cross_entropy import CrossEntropy, cross_entropy, sentence_nats
from sonar_cli.evaluation.paper.places import foretold
from sonar_cli.model.codec.tokenizer import BOS, EOS
from sonar_cli.model.sampling import generator
from sonar_cli.model.systems.lcm_diffusion import LCMDiffusionSystem
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import ENGLISH
from sonar_cli.training.objectives import decoding_loss, next_token_loss
from tests.evaluation.paper.four import KINDS, QUICK, TEXTS, codec, system


def _one(vector: Tensor, sentence: str) -> tuple[float, float]:
    """Return the nats of a sentence's pieces and of its eos, given a vector (D,)."""
    ids = codec().tokenizer.target(sentence, ENGLISH)
    logits = codec().decoder(vector[None], torch.tensor([ids[:-1]]))[0]
    nats = [-float(row.log_softmax(0)[n]) for row, n in zip(logits, ids[1:], strict=True)]
    assert ids[-1] == EOS
    return sum(nats[1:-1]), nats[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_all_are_divided_by_the_same_tokens(kind: str) -> None:
    found = cross_entropy(system(kind), TEXTS, samples=2, options=QUICK)
    expected = [sum(len(codec().tokenizer.pieces(each)) for each in text[1:]) for text in TEXTS]
    assert found.tokens.tolist() == expected and expected[1] == 0
    for nats in (found.nats, found.sample_nats, found.piece_nats):
        assert nats.shape == (3,) and nats[1] == 0 and nats[0] > 0 and nats[2] > 0
        assert found.a_token(nats) == pytest.approx(nats.sum() / sum(expected))
    assert (found.sample_nats >= found.nats - 1e-9).all()
    assert (found.piece_nats <= found.nats + 1e-9).all()


@pytest.mark.parametrize("kind", ["sonar-llm", "lcm-mse"])
def test_one_vector_by_hand(kind: str) -> None:
    found = system(kind)
    sums = cross_entropy(found, TEXTS, options=QUICK)
    vectors = iter(foretold(found, TEXTS, 1, generator(0), QUICK)[0])  # type: ignore[arg-type]
    for number, text in enumerate(TEXTS):
        nats = [_one(next(vectors), sentence) for sentence in text[1:]]
        assert sums.piece_nats[number] == pytest.approx(sum(n for n, _ in nats), rel=1e-4)
        assert sums.nats[number] == pytest.approx(sum(map(sum, nats)), rel=1e-4)
    np.testing.assert_allclose(sums.nats, sums.sample_nats)


def test_the_probability_is_the_mean_over_samples() -> None:
    found = system("lcm-diffusion")
    assert isinstance(found, LCMDiffusionSystem)
    sums = cross_entropy(found, TEXTS, samples=3, seed=5, options=QUICK)
    vectors = foretold(found, TEXTS, 3, generator(5), QUICK)
    row = 0
    for number, text in enumerate(TEXTS):
        mixed = mean = 0.0
        for sentence in text[1:]:
            nats = [sum(_one(vector, sentence)) for vector in vectors[:, row]]
            least = min(nats)
            mixed += least - math.log(sum(math.exp(least - each) for each in nats) / 3)
            mean += sum(nats) / 3
            row += 1
        assert sums.nats[number] == pytest.approx(mixed, rel=1e-4)
        assert sums.sample_nats[number] == pytest.approx(mean, rel=1e-4)
    assert sums.nats.sum() < sums.sample_nats.sum() - 1e-3
    alone = cross_entropy(found, TEXTS, samples=1, seed=5, options=QUICK)
    np.testing.assert_allclose(alone.nats, alone.sample_nats)
    again = cross_entropy(found, TEXTS, samples=3, seed=5, options=QUICK)
    np.testing.assert_array_equal(again.nats, sums.nats)


def test_with_the_language_token_it_is_the_training_loss() -> None:
    following = TEXTS[0][1:]
    target = likelihood.targets(codec(), following)
    vectors = codec().encode(following)
    with torch.inference_mode():
        loss = decoding_loss(codec().decoder, vectors, target)
        first = codec().decoder(vectors, target[:, :1])[:, 0].log_softmax(1)
    language = -float(first.gather(1, target[:, 1:2]).sum())
    nats = sentence_nats(codec().decoder, vectors, target)
    assert float(nats.sum()) + language == pytest.approx(float(loss.total), rel=1e-4)


def test_a_token_model_is_read_as_it_was_trained() -> None:
    found = system("llm")
    assert isinstance(found, TokenLLMSystem)
    sums = cross_entropy(found, TEXTS)
    for text, nats in zip(TEXTS, sums.nats, strict=True):
        rows = [found.tokenizer.pieces(sentence) for sentence in text]
        whole = torch.tensor([[BOS, *(piece for row in rows for piece in row)]])
        first = torch.tensor([[BOS, *rows[0]]])
        with torch.inference_mode():
            losses = [float(next_token_loss(found.model, ids).total) for ids in (whole, first)]
        assert nats == pytest.approx(losses[0] - losses[1], rel=1e-4, abs=1e-3)
    np.testing.assert_array_equal(sums.nats, sums.piece_nats)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = system(kind)
    together = cross_entropy(found, TEXTS, samples=2, options=QUICK)
    monkeypatch.setattr(module, "_TEXTS", 1)
    monkeypatch.setattr(module, "_SENTENCES", 2)
    monkeypatch.setattr(module, "_LOGITS", 1)
    seen: list[int] = []
    alone = cross_entropy(
        found, TEXTS, 2, 0, QUICK, lambda texts, total: [seen.append(total) or t for t in texts]
    )
    np.testing.assert_allclose(alone.nats, together.nats, rtol=1e-4)
    np.testing.assert_allclose(alone.piece_nats, together.piece_nats, rtol=1e-4)
    assert seen == [3, 3, 3]


def test_better_vectors_have_fewer_nats(monkeypatch: pytest.MonkeyPatch) -> None:
    following = [sentence for text in TEXTS for sentence in text[1:]]
    true = codec().encode(following)
    found: dict[str, CrossEntropy] = {}
    for name, vectors in {"true": true, "mean": true.mean(0).expand_as(true)}.items():
        monkeypatch.setattr(module, "foretold", lambda *_, given=vectors: given[None])
        found[name] = cross_entropy(system("sonar-llm"), TEXTS)
    assert found["true"].a_token(found["true"].nats) < 0.2
    assert found["mean"].a_token(found["mean"].nats) > 1


@pytest.mark.parametrize("kind", ["sonar-llm", "llm"])
def test_nothing_to_foretell_and_very_long_sentences(kind: str) -> None:
    nothing = cross_entropy(system(kind), [TEXTS[1], []])
    assert nothing.tokens.tolist() == [0, 0] and nothing.nats.tolist() == [0, 0]
    assert math.isnan(nothing.a_token(nothing.nats))
    assert cross_entropy(system(kind), []).nats.shape == (0,)
    long = "Tom ran. " * 200
    found = cross_entropy(system(kind), [["Tom ran.", long]])
    assert found.tokens.tolist() == [509] and 0 < found.nats[0] < math.inf

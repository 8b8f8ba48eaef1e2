"""Predicted vectors beside true ones, and what their errors cost, held to the same by hand."""

from __future__ import annotations

import pytest
import torch

from sonar_cli.evaluation.paper.nearness import nearness, tolerance
from sonar_cli.evaluation.paper.places import VectorSystem, foretold
from sonar_cli.model.sampling import generator
from sonar_cli.training.objectives import decoding_loss
from tests.evaluation.paper.four import KINDS, QUICK, TEXTS, codec, system

FOLLOWING = [sentence for text in TEXTS for sentence in text[1:]]


def _vectors(kind: str) -> VectorSystem:
    found = system(kind)
    assert isinstance(found, VectorSystem)
    return found


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "llm"])
def test_the_share_of_variance_by_hand(kind: str) -> None:
    found = nearness(_vectors(kind), TEXTS, seed=3, options=QUICK)
    predicted = foretold(_vectors(kind), TEXTS, 1, generator(3), QUICK)[0]
    true = torch.cat([codec().encode([each]) for each in FOLLOWING])
    mean = true.mean(0)
    left = sum(float((p - v) @ (p - v)) for p, v in zip(predicted, true, strict=True))
    whole = sum(float((v - mean) @ (v - mean)) for v in true)
    assert found["explained"] == pytest.approx(1 - left / whole, abs=1e-4)
    cosines = [float(p @ v / p.norm() / v.norm()) for p, v in zip(predicted, true, strict=True)]
    assert found["near"] == pytest.approx(sum(cosines) / len(cosines), abs=1e-4)


def test_what_an_error_costs_by_hand() -> None:
    whole, half, none = tolerance(codec(), TEXTS, (1.0, 0.75, 0.0))
    true = codec().encode(FOLLOWING)
    tokens = sum(len(codec().tokenizer.pieces(each)) for each in FOLLOWING)

    def by_hand(vectors: torch.Tensor) -> float:
        ids = [torch.tensor([codec().tokenizer.target(each, "eng_Latn")]) for each in FOLLOWING]
        losses = [
            decoding_loss(codec().decoder, vector[None], target)
            for vector, target in zip(vectors, ids, strict=True)
        ]
        return sum(float(loss.total) for loss in losses) / tokens

    with torch.inference_mode():
        assert whole["mean_nats"] == pytest.approx(by_hand(true), rel=1e-3)
        assert whole["random_nats"] == pytest.approx(whole["mean_nats"], rel=1e-6)
        nearer = true + 0.5 * (true.mean(0) - true)
        assert half["mean_nats"] == pytest.approx(by_hand(nearer), rel=1e-3)
        assert none["mean_nats"] == pytest.approx(by_hand(true.mean(0).expand_as(true)), rel=1e-3)
    assert whole["random_nats"] < half["random_nats"] < none["random_nats"]

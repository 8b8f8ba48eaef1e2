"""How near predicted vectors come to the true ones, and what an error costs in the decoder.

A system of vectors can be worse than another because it foretells less, or because the decoder
cannot read what it foretells. These two measures tell the one from the other: the share of the true
vectors' variance that a system explains, and the decoder's nats when it is given true vectors with
an error of that size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.evaluation import likelihood
from sonar_cli.evaluation.paper.cross_entropy import sentence_nats
from sonar_cli.evaluation.paper.places import VectorSystem, batches, foretold, native_codec, pieces
from sonar_cli.evaluation.report import Record
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.sampling import generator
from sonar_cli.options import GenerationOptions

# The shares of variance that are left of the true vectors.
EXPLAINED = (1.0, 0.9, 0.75, 0.5, 0.25, 0.1, 0.0)
# Texts that are read together.
_TEXTS = 16


@torch.inference_mode()
def nearness(
    system: VectorSystem,
    texts: Sequence[Sequence[str]],
    seed: int = 0,
    options: GenerationOptions | None = None,
) -> dict[str, float]:
    """Compare the vector that a system predicts for every next sentence with the true one.

    `explained` is the share of variance explained, R² = 1 - sum |p - v|² / sum |v - m|² of
    predicted p, true v and the true ones' mean m: 1 where all are foretold, 0 where they are no
    better than m, and below where they are worse. `near` is the mean cosine of p and v. A two-tower
    LCM samples one vector a place, from noise drawn by `seed`.
    """
    codec, random = native_codec(system), generator(seed)
    options = options or GenerationOptions()
    found = [foretold(system, part, 1, random, options)[0] for part in batches(texts, _TEXTS)]
    predicted, true = torch.cat(found).double(), codec.encode(_following(texts)).double()
    errors = (predicted - true).square().sum()
    spread = (true - true.mean(0)).square().sum()
    return {
        "explained": 1 - float(errors / spread),
        "near": float(F.cosine_similarity(predicted, true).mean()),
    }


@torch.inference_mode()
def tolerance(
    codec: NativeCodec, texts: Sequence[Sequence[str]], explained: Sequence[float] = EXPLAINED
) -> list[Record]:
    """Return the decoder's nats a token for true sentences, given their vectors with an error.

    The error's squared length is the share 1 - `explained` of the vectors' variance. In
    `mean_nats` it leads from each vector towards the mean of all, as a prediction does that hedges
    between sentences; in `random_nats` into a direction drawn for each. The sentences are all but
    the first of each text; nats and tokens are counted as in `cross_entropy`.
    """
    following = _following(texts)
    true = codec.encode(following).float()
    target = likelihood.targets(codec, following)
    tokens = sum(len(pieces(codec.tokenizer, each)) for each in following)
    to_mean = true.mean(0) - true
    directions = F.normalize(torch.randn(true.shape, generator=generator(0)), dim=1).to(true)
    away = directions * to_mean.norm(dim=1, keepdim=True)

    def nats(vectors: Tensor) -> float:
        return float(sentence_nats(codec.decoder, vectors, target).sum()) / tokens

    return [
        {
            "explained": share,
            "mean_nats": nats(true + math.sqrt(1 - share) * to_mean),
            "random_nats": nats(true + math.sqrt(1 - share) * away),
        }
        for share in explained
    ]


def _following(texts: Sequence[Sequence[str]]) -> list[str]:
    """Return all sentences but the first of each text."""
    return [sentence for text in texts for sentence in text[1:]]

"""How likely sentences are, through a codec's decoder, from vectors given for them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sonar_cli.model.codec.base import Codec
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.training.objectives import decoding_loss
from sonar_cli.training.sentences import of_texts

# Sentences that go through the decoder together.
_TOGETHER = 256
# The best constant vector is looked for in so many steps of Adam, each on so many sentences.
_STEPS, _SENTENCES = 150, 128


def targets(codec: Codec, sentences: Sequence[str]) -> Tensor:
    """Return sentences as the decoder writes them (N, S) int64, padded on the right with PAD."""
    return of_texts(sentences, codec.tokenizer).target(range(len(sentences)), codec.device)


def entropy(codec: NativeCodec, vectors: Tensor, target: Tensor) -> float:
    """Return the cross-entropy a token, in nats, of targets (N, S) given vectors (N, D)."""
    total = weight = 0.0
    for start in range(0, len(target), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        loss = decoding_loss(codec.decoder, vectors[part], target[part])
        total, weight = total + float(loss.total), weight + loss.weight
    return total / weight


def best_constant(codec: NativeCodec, start: Tensor, target: Tensor) -> Tensor:
    """Return the vector (D,) from which the decoder gives the targets the least cross-entropy."""
    with torch.inference_mode(False), torch.enable_grad():
        vector = start.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([vector], lr=float(start.square().mean().sqrt()) / 10)
        cooling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
        order = torch.Generator().manual_seed(0)
        for _ in range(_STEPS):
            rows = torch.randperm(len(target), generator=order)[:_SENTENCES]
            loss = decoding_loss(
                codec.decoder, vector.expand(len(rows), -1), target[rows.to(target.device)].clone()
            )
            optimizer.zero_grad()
            (loss.total / loss.weight).backward()
            optimizer.step()
            cooling.step()
    return vector.detach()

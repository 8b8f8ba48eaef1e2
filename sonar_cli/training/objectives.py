"""What the models learn: a codec to give back its sentence, a predictor what comes next."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.tokenizer import EOS, PAD
from sonar_cli.model.systems.sonar_llm import Predictor

_CHUNKS = 4


def reconstruction_loss(
    encoder: TextEncoder, decoder: TextDecoder, source: Tensor, target: Tensor, noise: float = 0.0
) -> Tensor:
    """Cross-entropy of a sentence decoded from its own vector, mean over tokens.

    Source (N, S) is `[lang] pieces [eos]`, target (N, S') `[eos] [lang] pieces [eos]`, int64 with
    pad. `noise` adds Gaussian noise to the vectors, in units of their RMS, so that a vector near a
    sentence's still decodes to a sentence.
    """
    vectors = encoder(source, source != PAD)
    if noise:
        rms = vectors.detach().square().mean(1, keepdim=True).sqrt()
        vectors = vectors + noise * rms * torch.randn_like(vectors)
    return decoding_loss(decoder, vectors, target)


def next_sentence_loss(
    predictor: Predictor,
    decoder: TextDecoder,
    vectors: Tensor,
    mask: Tensor,
    target: Tensor,
    double_eos: bool = False,
) -> Tensor:
    """Cross-entropy of the next sentence through the frozen decoder (arXiv 2508.05305).

    Vectors (B, T, D) are the texts' sentences, mask (B, T) bool marks the positions that have a
    next sentence, and target (mask.sum(), S) holds those sentences in the mask's row-major order,
    as `[eos] [lang] pieces [eos]` with pad. `double_eos` is the authors' labels: the end counted
    twice. The decoder's weights must not require gradients.
    """
    predicted = predictor(vectors)[mask]  # (targets, D)
    return decoding_loss(decoder, predicted, target, double_eos)


def next_vector_loss(
    predictor: Predictor, vectors: Tensor, mask: Tensor, following: Tensor
) -> Tensor:
    """Squared error of the next sentence's vector, as a share of the variance of `following`.

    The objective of Base-LCM (arXiv 2412.08821), on vectors as they are: no decoder, so a step is
    cheap. Vectors (B, T, D) and mask (B, T) as for `next_sentence_loss`, following
    (mask.sum(), D) the vectors of the next sentences in the mask's row-major order. 1 is what
    always predicting their mean would give.
    """
    error = (predictor(vectors)[mask] - following).square().mean()
    return error / following.var(0, correction=0).mean()


def decoding_loss(
    decoder: TextDecoder, vectors: Tensor, target: Tensor, double_eos: bool = False
) -> Tensor:
    """Cross-entropy of target (N, S) forced through the decoder of vectors (N, D).

    Language token and eos count, pad does not; mean over tokens.
    """
    ids = target if double_eos else target[:, :-1]
    labels = _shifted(target, double_eos)
    lengths = (labels != PAD).sum(1)
    # Sentences of like length go together: in a batch of all lengths a third would be padding.
    losses = [
        _summed_loss(decoder, vectors[rows], ids[rows, :longest], labels[rows, :longest])
        for rows in lengths.argsort().tensor_split(min(_CHUNKS, len(target)))
        for longest in [int(lengths[rows].max())]
    ]
    return torch.stack(losses).sum() / lengths.sum()


def _summed_loss(decoder: TextDecoder, vectors: Tensor, ids: Tensor, labels: Tensor) -> Tensor:
    real = labels != PAD
    # Only real positions go through the vocabulary, which is the larger part of a small model.
    hidden = decoder.hidden(vectors, ids)[real]
    return F.cross_entropy(decoder.project(hidden).float(), labels[real], reduction="sum")


def _shifted(target: Tensor, double_eos: bool) -> Tensor:
    labels = target[:, 1:]
    if not double_eos:
        return labels
    labels = F.pad(labels, (0, 1), value=PAD)
    last = (labels != PAD).sum(1, keepdim=True)
    return labels.scatter(1, last, EOS)

"""Training objectives: reconstruction for a codec, the next sentence or vector for a predictor."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.tokenizer import EOS, PAD
from sonar_cli.model.systems.sonar_llm import Predictor

# A batch goes through the decoder in this many groups of sentences of similar length.
_CHUNKS = 4


def reconstruction_loss(
    encoder: TextEncoder, decoder: TextDecoder, source: Tensor, target: Tensor, noise: float = 0.0
) -> Tensor:
    """Return the cross-entropy of sentences decoded from their own vectors, mean over tokens.

    Source (N, S) holds `[lang] pieces [eos]`, target (N, S') `[eos] [lang] pieces [eos]`, int64
    padded with PAD. `noise` is the standard deviation of Gaussian noise added to each vector, in
    units of that vector's RMS; it teaches the decoder to map vectors near a sentence's vector to
    that sentence.
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
    """Return the cross-entropy of the next sentence through the frozen decoder (arXiv 2508.05305).

    Vectors (B, T, D) are those of the texts' sentences, mask (B, T) bool is True at positions that
    have a next sentence, and target (mask.sum(), S) int64 holds these next sentences in the mask's
    row-major order, as `[eos] [lang] pieces [eos]` padded with PAD. With `double_eos` the labels
    end in two eos, as in the authors' code. The decoder's weights must not require gradients.
    """
    predicted = predictor(vectors)[mask]  # (targets, D)
    return decoding_loss(decoder, predicted, target, double_eos)


def next_vector_loss(
    predictor: Predictor, vectors: Tensor, mask: Tensor, following: Tensor
) -> Tensor:
    """Return the mean squared error of the next sentence's vector, divided by their variance.

    This is the objective of Base-LCM (arXiv 2412.08821) without its normalization of the vectors.
    No decoder takes part, so a step is cheap. Vectors (B, T, D) and mask (B, T) are those of
    `next_sentence_loss`, following (mask.sum(), D) holds the vectors of the next sentences in the
    mask's row-major order. Predicting their mean everywhere would give a loss of 1.
    """
    error = (predictor(vectors)[mask] - following).square().mean()
    return error / following.var(0, correction=0).mean()


def decoding_loss(
    decoder: TextDecoder, vectors: Tensor, target: Tensor, double_eos: bool = False
) -> Tensor:
    """Return the cross-entropy of target (N, S) given vectors (N, D), mean over tokens.

    The decoder reads the target itself (teacher forcing). The language token and eos count as
    tokens to predict, pad does not.
    """
    ids = target if double_eos else target[:, :-1]
    labels = _shifted(target, double_eos)
    lengths = (labels != PAD).sum(1)
    # Grouped by length, because a third of a batch of mixed lengths would be padding.
    losses = [
        _summed_loss(decoder, vectors[rows], ids[rows, :longest], labels[rows, :longest])
        for rows in lengths.argsort().tensor_split(min(_CHUNKS, len(target)))
        for longest in [int(lengths[rows].max())]
    ]
    return torch.stack(losses).sum() / lengths.sum()


def _summed_loss(decoder: TextDecoder, vectors: Tensor, ids: Tensor, labels: Tensor) -> Tensor:
    real = labels != PAD
    # The projection to the vocabulary dominates a small model, so padding is left out before it.
    hidden = decoder.hidden(vectors, ids)[real]
    return F.cross_entropy(decoder.project(hidden).float(), labels[real], reduction="sum")


def _shifted(target: Tensor, double_eos: bool) -> Tensor:
    """Return the labels of target (N, S): (N, S - 1), or (N, S) with a second eos."""
    labels = target[:, 1:]
    if not double_eos:
        return labels
    labels = F.pad(labels, (0, 1), value=PAD)
    last = (labels != PAD).sum(1, keepdim=True)
    return labels.scatter(1, last, EOS)

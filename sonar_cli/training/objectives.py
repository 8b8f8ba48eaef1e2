"""Training objectives: reconstruction for a codec, the next sentence, vector or token for a model.

Each returns a `Loss`: a sum and the number it is divided by.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.tokenizer import EOS, PAD
from sonar_cli.model.systems.lcm_diffusion import TwoTowerLCM
from sonar_cli.model.systems.lcm_mse import BaseLCM
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.model.systems.token_llm import TokenLLM
from sonar_cli.training.batches import shaped
from sonar_cli.training.cross_entropy import linear_cross_entropy
from sonar_cli.training.loss import Loss

# A batch goes through the decoder in at most so many groups of sentences of similar length, each
# of at least so many tokens: more groups have less padding, and larger ones quicker products.
_GROUPS, _GROUP_TOKENS = 8, 768
# The sentences of a group are a multiple of this, for the reason of `shaped`.
_TOGETHER = 16


def reconstruction_loss(
    encoder: TextEncoder,
    decoder: TextDecoder,
    source: Tensor,
    target: Tensor,
    noise: float = 0.0,
    blurred: float = 0.0,
) -> Loss:
    """Return the cross-entropy of sentences decoded from their own vectors, a mean over tokens.

    Source (N, S) holds `[lang] pieces [eos]`, target (N, S') `[eos] [lang] pieces [eos]`, int64
    padded with PAD. `noise` is the standard deviation of Gaussian noise added to each vector, in
    units of that vector's RMS; it teaches the decoder to map vectors near a sentence's vector to
    that sentence. So large a share of the vectors as `blurred` is blurred besides (see `blur`); the
    encoder does not learn from these, or it would give up detail to be read through the blur.
    """
    vectors = encoder(source, source != PAD)
    if blurred:
        rms = _rms(vectors)
        drawn = torch.rand(2, len(vectors), 1, device=vectors.device)
        chosen = drawn[1] < blurred
        doubt = drawn[0].sqrt()  # so the variance that is known is uniform in [0, 1]
        unsure = blur(vectors.detach(), doubt, rms * torch.randn_like(vectors))
        vectors = torch.where(chosen, unsure, vectors)
    if noise:
        vectors = noisy(vectors, noise)
    return decoding_loss(decoder, vectors, target)


def noisy(vectors: Tensor, noise: float) -> Tensor:
    """Return vectors (N, D) with Gaussian noise, `noise` times the RMS of each vector."""
    return vectors + noise * _rms(vectors) * torch.randn_like(vectors)


def _rms(vectors: Tensor) -> Tensor:
    """Return the root mean square (N, 1) of each vector, without gradients."""
    return vectors.detach().square().mean(1, keepdim=True).sqrt()


def blur(vectors: Tensor, doubt: Tensor, noise: Tensor) -> Tensor:
    """Return vectors (N, D) as one would predict them with `doubt` (N, 1) in [0, 1].

    Who knows no more of a vector v than `sqrt(1 - t**2) v + t e`, with v and the noise e of equal
    variance and t the doubt, predicts its mean given that: `sqrt(1 - t**2)` times as much. So the
    result is the shorter, the greater the doubt. A decoder that has learned to write likely
    sentences from such vectors does so from a predictor's.

    >>> blur(torch.ones(2, 2), torch.tensor([[0.0], [0.6]]), torch.tensor([[0.5, -0.5]]))
    tensor([[1.0000, 1.0000],
            [0.8800, 0.4000]])
    """
    left = (1 - doubt.square()).sqrt()
    return left * (left * vectors + doubt * noise)


def next_sentence_loss(
    predictor: Predictor,
    decoder: TextDecoder,
    vectors: Tensor,
    mask: Tensor,
    target: Tensor,
    double_eos: bool = False,
    by_text: bool = False,
    dropout: float = 0.0,
) -> Loss:
    """Return the cross-entropy of the next sentence through the frozen decoder (arXiv 2508.05305).

    Vectors (B, T, D) are those of the texts' sentences, mask (B, T) bool is True at positions that
    have a next sentence, and target (mask.sum(), S) int64 holds these next sentences in the mask's
    row-major order, as `[eos] [lang] pieces [eos]` padded with PAD. With `double_eos` the labels
    end in two eos, with `by_text` the loss is the mean of the texts' own means, and `dropout` is
    the decoder's; the authors' code has all three. The decoder's weights must not require
    gradients.
    """
    predicted = predictor(vectors)[mask]  # (targets, D)
    texts = mask.nonzero()[:, 0] if by_text else None
    return decoding_loss(decoder, predicted, target, double_eos, texts, dropout)


def next_vector_loss(
    predictor: Predictor, vectors: Tensor, mask: Tensor, following: Tensor, variance: float
) -> Loss:
    """Return the mean squared error of the next sentence's vector, divided by `variance`.

    This is the objective of Base-LCM (arXiv 2412.08821) without its normalization of the vectors.
    No decoder takes part, so a step is cheap. Vectors (B, T, D) and mask (B, T) are those of
    `next_sentence_loss`, following (mask.sum(), D) holds the vectors of the next sentences in the
    mask's row-major order. With the vectors' own variance, averaged over their dimensions,
    predicting their mean everywhere gives a loss of 1.
    """
    errors = (predictor(vectors)[mask] - following).square().mean(1)  # (targets,)
    return Loss(errors.sum() / variance, len(errors))


def squared_error(
    lcm: BaseLCM | TwoTowerLCM, vectors: Tensor, mask: Tensor, targets: Tensor | None = None
) -> Loss:
    """Return the squared error of an LCM's vectors, a mean over its targets; see its `errors`."""
    errors = lcm.errors(vectors, mask, targets)
    return Loss(errors.sum(), max(1, len(errors)))


def next_token_loss(model: TokenLLM, ids: Tensor, labels: Tensor | None = None) -> Loss:
    """Return the cross-entropy of the tokens that follow, a mean over them.

    `ids` (B, T) int64 may end with pad. `labels` (B, T - 1) int64 are what is to be predicted after
    each id but the last, pad where nothing is; None for the next ids, among them eos.
    """
    labels = ids[:, 1:] if labels is None else labels
    real = labels != PAD
    hidden = model.hidden(ids[:, :-1])[real]  # (tokens, hidden)
    count = len(hidden)
    ones = torch.ones(count, device=ids.device)
    total = linear_cross_entropy(hidden, model.embed.weight, labels[real], ones)
    return Loss(total, count, count)


def decoding_loss(
    decoder: TextDecoder,
    vectors: Tensor,
    target: Tensor,
    double_eos: bool = False,
    texts: Tensor | None = None,
    dropout: float = 0.0,
) -> Loss:
    """Return the cross-entropy of target (N, S) given vectors (N, D).

    The decoder reads the target itself (teacher forcing). The language token and eos count as
    tokens to predict, pad does not. The loss is a mean over tokens; with `texts` (N,) int64, the
    number of the text that each target belongs to, it is the mean of the texts' means.
    """
    ids = target if double_eos else target[:, :-1]
    labels = _shifted(target, double_eos)
    lengths = (labels != PAD).sum(1)
    tokens = int(lengths.sum())
    scale, weight = torch.ones_like(lengths, dtype=torch.float32), float(tokens)
    if texts is not None:
        of_text = torch.bincount(texts, lengths)  # (texts,) tokens
        scale, weight = (1 / of_text)[texts].float(), float((of_text > 0).sum())
    groups = max(1, min(_GROUPS, tokens // _GROUP_TOKENS))
    losses = [
        _summed(decoder, vectors[rows], ids[rows, :longest], labels[rows, :longest], scale[rows],
                dropout)
        for rows in _even(lengths, groups)
        for longest in [shaped(int(lengths[rows].max()))]
    ]  # fmt: skip
    return Loss(torch.stack(losses).sum(), weight, tokens)


def _even(lengths: Tensor, groups: int) -> list[Tensor]:
    """Sort rows by length and cut them into groups of about as many tokens each."""
    order = lengths.argsort()
    before = lengths[order].cumsum(0) - lengths[order]
    numbers = before * groups // lengths.sum()
    return list(order.split(numbers.unique_consecutive(return_counts=True)[1].tolist()))


def _summed(
    decoder: TextDecoder,
    vectors: Tensor,
    ids: Tensor,
    labels: Tensor,
    scale: Tensor,
    dropout: float,
) -> Tensor:
    real = labels != PAD
    scale = scale[:, None].expand_as(labels)[real]
    spare = (0, 0, 0, shaped(len(ids), _TOGETHER) - len(ids))  # rows behind the last
    states = decoder.hidden(F.pad(vectors, spare), F.pad(ids, spare, value=PAD), dropout)
    # The projection to the vocabulary dominates a small model, so padding is left out before it.
    hidden = states[: len(ids)][real]
    if decoder.tied is not None:
        return linear_cross_entropy(hidden, decoder.tied, labels[real], scale)
    losses = F.cross_entropy(decoder.project(hidden).float(), labels[real], reduction="none")
    return (losses * scale).sum()


def _shifted(target: Tensor, double_eos: bool) -> Tensor:
    """Return the labels of target (N, S): (N, S - 1), or (N, S) with a second eos."""
    labels = target[:, 1:]
    if not double_eos:
        return labels
    labels = F.pad(labels, (0, 1), value=PAD)
    last = (labels != PAD).sum(1, keepdim=True)
    return labels.scatter(1, last, EOS)

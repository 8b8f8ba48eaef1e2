"""Held-out cross-entropy of the next sentence in nats a token, the same for all four systems.

What is measured is how likely a system makes the true next sentence after the true sentences
before it, at every place of a text.

What is counted. Every system's nats are divided by the number of the sentence's own pieces, with
the tokenizer that the four share. The nats of the language token are left out: the decoder is
always given it. The eos that ends a sentence is in the nats though not among the tokens, because a
token-level Llama pays for ends as well: it has no token of its own for them, and says by the first
piece of the next sentence that the one before is over. Over a text, both pay for one end a
sentence, so both spell out the whole text, and their nats can be compared: minus the logarithm of
the probability of the same text. Nobody pays for the end of the text. For those who prefer the
pieces alone, which is kinder to the systems of vectors, `piece_nats` leaves the eos out.

A two-tower LCM is a distribution over vectors. The probability of a sentence is the mean of its
probabilities given several sampled vectors, and its nats are minus the logarithm of that mean
(`nats`). With few samples this errs on the side of too many nats, less so the more there are. The
mean of the nats over the samples (`sample_nats`) is larger: it is what one vector costs that has to
be chosen before the sentence is known. For the other three systems both are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.evaluation import likelihood
from sonar_cli.evaluation.paper.places import (
    LONGEST,
    Floats,
    Progress,
    VectorSystem,
    batches,
    foretold,
    native_codec,
    pieces,
)
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.tokenizer import BOS, EOS, PAD
from sonar_cli.model.load import AnySystem
from sonar_cli.model.sampling import generator
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import GenerationOptions
from sonar_cli.training.batches import Ints

# Vectors that a two-tower LCM samples at every place.
SAMPLES = 8
# Texts that are read together, and sentences that go through the decoder together.
_TEXTS, _SENTENCES = 16, 256
# Logits held at a time: 2**26 in float32 are 256 MiB.
_LOGITS = 2**26


@dataclass(frozen=True)
class CrossEntropy:
    """The nats of the next sentences of texts: of every text a sum, each array (texts,).

    `tokens` is the number of pieces, which all nats are divided by. `nats` has the ends of
    sentences in it, `piece_nats` has not; `sample_nats` is the mean over a two-tower LCM's samples,
    ends included. A text of one sentence has zeros.

    >>> found = CrossEntropy(np.array([10, 30]), *3 * [np.array([20.0, 40.0])])
    >>> found.a_token(found.nats)
    1.5
    """

    tokens: Ints
    nats: Floats
    sample_nats: Floats
    piece_nats: Floats

    def a_token(self, nats: Floats) -> float:
        """Return the mean of one of the sums a token; NaN where no text has a token."""
        total = int(self.tokens.sum())
        return float(nats.sum()) / total if total else math.nan


@torch.inference_mode()
def cross_entropy(
    system: AnySystem,
    texts: Sequence[Sequence[str]],
    samples: int = SAMPLES,
    seed: int = 0,
    options: GenerationOptions | None = None,
    progress: Progress | None = None,
) -> CrossEntropy:
    """Return the nats of every sentence of texts but the first, given the true ones before.

    `texts` are lists of sentences. A two-tower LCM samples so many vectors at every place, from
    noise drawn by `seed`, with the options of diffusion. A sentence of more than 509 pieces, which
    the decoder cannot read, counts with its first 509. Raises UsageError for a codec that is not
    ours.
    """
    options = options or GenerationOptions()
    random = generator(seed)
    counts: list[int] = []
    nats: list[Tensor] = []  # each (texts, 3)
    for together in batches(texts, _TEXTS, progress):
        if isinstance(system, TokenLLMSystem):
            nats.append(_of_tokens(system, together))
            tokenizer = system.tokenizer
        else:
            nats.append(_of_vectors(system, together, samples, random, options))
            tokenizer = system.codec.tokenizer
        counts += [sum(len(pieces(tokenizer, each)) for each in text[1:]) for text in together]
    sums = torch.cat([torch.zeros(0, 3, dtype=torch.float64), *nats]).numpy()
    return CrossEntropy(np.array(counts, np.int64), *sums.T)


def _of_vectors(
    system: VectorSystem,
    texts: Sequence[Sequence[str]],
    samples: int,
    random: torch.Generator,
    options: GenerationOptions,
) -> Tensor:
    """Return `nats`, `sample_nats` and `piece_nats` of texts, (texts, 3) float64 on the CPU."""
    codec = native_codec(system)
    following = [sentence for text in texts for sentence in text[1:]]
    sums = torch.zeros(len(texts), 3, dtype=torch.float64)
    if not following:
        return sums
    vectors = foretold(system, texts, samples, random, options)  # (K, N, D)
    target = likelihood.targets(codec, following)
    count = len(vectors)
    found = sentence_nats(codec.decoder, vectors.flatten(0, 1), target.repeat(count, 1))
    by_sample = found.unflatten(0, (count, -1))  # (K, N, 2)
    whole, of_pieces = by_sample.sum(2), by_sample[:, :, 0]
    columns = [_mixture(whole), whole.mean(0), _mixture(of_pieces)]
    owner = torch.tensor([number for number, text in enumerate(texts) for _ in text[1:]])
    return sums.index_add_(0, owner, torch.stack(columns, 1))


def _mixture(nats: Tensor) -> Tensor:
    """Return the nats (N,) of the mean of the probabilities that nats (K, N) stand for."""
    return math.log(len(nats)) - (-nats).logsumexp(0)


def sentence_nats(decoder: TextDecoder, vectors: Tensor, target: Tensor) -> Tensor:
    """Return the nats of sentences given vectors (N, D): of the pieces, and of eos.

    Target (N, S) int64 is `[eos] [lang] pieces [eos]` padded with PAD; the decoder reads it itself.
    The language token is given, not counted. Returns (N, 2) float64 on the CPU.
    """
    vectors = vectors.to(target.device, decoder.embed.weight.dtype)
    lengths = (target != PAD).sum(1)
    nats = torch.zeros(len(target), 2, dtype=torch.float64)
    for rows in lengths.argsort().split(_SENTENCES):
        ids = target[rows, : int(lengths[rows].max())]
        # What is given ends with the language token, and eos is the last that is to be predicted.
        labels = ids[:, 2:]
        hidden = decoder.hidden(vectors[rows], ids[:, :-1])[:, 1:]
        each = token_nats(decoder.project, hidden, labels)
        end = labels == EOS
        sums = [each.masked_fill(end, 0).sum(1), each.masked_fill(~end, 0).sum(1)]
        nats[rows.cpu()] = torch.stack(sums, 1).cpu()
    return nats


def token_nats(project: Callable[[Tensor], Tensor], hidden: Tensor, labels: Tensor) -> Tensor:
    """Return the nats (N, S) float64 of labels (N, S) int64 by hidden states (N, S, H); 0 of PAD.

    `project` turns hidden states (n, H) into logits (n, V); few exist at a time.
    """
    real = labels != PAD
    states, wanted = hidden[real], labels[real]
    found = torch.zeros(labels.shape, dtype=torch.float64, device=labels.device)
    if not len(wanted):
        return found
    size = max(1, _LOGITS // project(states[:1]).shape[1])
    parts = zip(states.split(size), wanted.split(size), strict=True)
    found[real] = torch.cat(
        [F.cross_entropy(project(h).float(), w, reduction="none") for h, w in parts]
    ).double()
    return found


def _of_tokens(system: TokenLLMSystem, texts: Sequence[Sequence[str]]) -> Tensor:
    """Return the nats of texts three times, (texts, 3) float64 on the CPU.

    The ids are those of training: bos and the sentences' pieces one after the other.
    """
    model = system.model
    rows, counted = [], []
    for text in texts:
        own = [system.tokenizer.pieces(sentence) for sentence in text]
        rows.append(torch.tensor([BOS, *(piece for sentence in own for piece in sentence)]))
        # The first sentence is given; a very long one counts with the pieces that the others count.
        flags = [
            number > 0 and place < LONGEST
            for number, sentence in enumerate(own)
            for place in range(len(sentence))
        ]
        counted.append(torch.tensor(flags, dtype=torch.bool))
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD).to(model.device)
    if ids.shape[1] < 2:
        return torch.zeros(len(texts), 3, dtype=torch.float64)
    wanted = nn.utils.rnn.pad_sequence(counted, batch_first=True).to(model.device)
    labels = ids[:, 1:].masked_fill(~wanted, PAD)
    nats = token_nats(
        lambda hidden: F.linear(hidden, model.embed.weight), model.hidden(ids[:, :-1]), labels
    )
    return nats.sum(1, keepdim=True).expand(-1, 3).cpu()

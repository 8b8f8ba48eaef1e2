"""BrierLM: how good the distribution is that a system draws sentences from, by samples alone.

Source: Continuous Autoregressive Language Models, arXiv 2510.27688. The Brier score of a
distribution P at a truth y, `2 P(y) - sum over x of P(x)**2`, is estimated without bias from two
independent samples: `1{x1 = y} + 1{x2 = y} - 1{x1 = x2}`. Its mean is largest for the true
distribution. Here x and y are the first n pieces of the next sentence after the true sentences
before, n from 1 to 4, and BrierLM is 100 times the geometric mean of the four means, each at
least 0.

A system is sampled as the distribution that it is. A token-level Llama draws token after token. A
SONAR-LLM and a Base-LCM predict one vector, from which the decoder draws token after token; a
two-tower LCM samples a new vector for each of the two. Tokens are drawn at temperature 1 from all
of the vocabulary. What a decoder draws after eos is no longer part of the sentence: all that
follows is the same. Mean n counts the places whose true sentence has at least n pieces, the same
for all systems, so that none has to know where a shorter one ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from sonar_cli.evaluation.paper.places import (
    Floats,
    Progress,
    VectorSystem,
    batches,
    foretold,
    native_codec,
    pieces,
)
from sonar_cli.model.codec.base import prefix_ids
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.tokenizer import BOS, EOS, PAD
from sonar_cli.model.load import AnySystem
from sonar_cli.model.sampling import generator
from sonar_cli.model.systems.token_llm import TokenLLM, TokenLLMSystem
from sonar_cli.options import ENGLISH, GenerationOptions
from sonar_cli.training.batches import Ints

# The most pieces that are compared.
MOST = 4
# Texts whose vectors are predicted together, and rows from which tokens are drawn together.
_TEXTS, _ROWS = 16, 64


@dataclass(frozen=True)
class Brier:
    """Brier scores of texts: `sums` (texts, 4) of the estimates of n = 1 to 4 pieces.

    `places` (texts, 4) is the number of places summed over. Rows may be drawn again for an
    interval: `Brier(found.sums[rows], found.places[rows]).score`.

    >>> Brier(np.array([[4.0, 2.0, 2.0, 1.0]]), np.array([[4, 4, 4, 4]])).means
    (1.0, 0.5, 0.5, 0.25)
    >>> Brier(np.array([[4.0, 2.0, 2.0, 1.0]]), np.array([[4, 4, 4, 4]])).score
    50.0
    """

    sums: Floats
    places: Ints

    @property
    def means(self) -> tuple[float, ...]:
        """The mean estimates of Brier-1 to Brier-4, at most 1; 0 where there is no place."""
        means = self.sums.sum(0) / np.maximum(self.places.sum(0), 1)
        return tuple(float(each) for each in means)

    @property
    def score(self) -> float:
        """BrierLM in [0, 100]."""
        return 100 * float(np.prod([max(each, 0.0) for each in self.means])) ** (1 / MOST)


@torch.inference_mode()
def brier(
    system: AnySystem,
    texts: Sequence[Sequence[str]],
    seed: int = 0,
    options: GenerationOptions | None = None,
    progress: Progress | None = None,
) -> Brier:
    """Return the Brier scores of a system at all places of texts, which are lists of sentences.

    Every place has two samples, drawn by `seed`; a two-tower LCM samples with the options of
    diffusion. Raises UsageError for a codec that is not ours.
    """
    options = options or GenerationOptions()
    noise, chances = generator(seed), generator(seed + 1)
    tokenizer = system.tokenizer if isinstance(system, TokenLLMSystem) else system.codec.tokenizer
    sums, places = [np.zeros((0, MOST))], [np.zeros((0, MOST), np.int64)]
    for together in batches(texts, _TEXTS, progress):
        truth = [[pieces(tokenizer, each)[:MOST] for each in text[1:]] for text in together]
        counts = [len(text) for text in truth]
        uniform = torch.rand(sum(counts), 2, MOST, generator=chances)
        if isinstance(system, TokenLLMSystem):
            drawn = _of_tokens(system, together, uniform)
        else:
            drawn = _of_vectors(system, together, uniform, noise, options)
        found, counted = estimates(drawn, list(chain.from_iterable(truth)))
        for each, real in zip(found.split(counts), counted.split(counts), strict=True):
            sums.append(each.sum(0, keepdim=True).numpy())
            places.append(real.sum(0, keepdim=True).numpy())
    return Brier(np.concatenate(sums), np.concatenate(places))


def estimates(drawn: Tensor, truth: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return the estimates of Brier-1 to Brier-4, and which of them count.

    `drawn` (N, 2, 4) int64 holds two samples at each of N places, `truth` up to four pieces. The
    estimates (N, 4) float64 are -1, 0 or 1, and 0 for more pieces than the truth has: those (N, 4)
    bool do not count.

    >>> found, counted = estimates(torch.tensor([[[5, 6, 7, 8], [5, 6, 9, 9]]]), [[5, 9, 9]])
    >>> found.tolist(), counted.tolist()  # both begin rightly, and go on alike but wrongly
    ([[1.0, -1.0, 0.0, 0.0]], [[True, True, True, False]])
    """
    padded = [[*row, *[PAD] * (MOST - len(row))] for row in truth]
    wanted = torch.tensor(padded, dtype=torch.int64).view(len(truth), 1, MOST)
    counted = wanted[:, 0] != PAD
    right = (drawn == wanted).cumprod(2).sum(1)  # (N, 4), how many of the two
    alike = (drawn[:, 0] == drawn[:, 1]).cumprod(1)
    return ((right - alike) * counted).double(), counted


def _of_vectors(
    system: VectorSystem,
    texts: Sequence[Sequence[str]],
    uniform: Tensor,
    noise: torch.Generator,
    options: GenerationOptions,
) -> Tensor:
    """Draw the first pieces (N, 2, 4) at all N places, by numbers `uniform` (N, 2, 4)."""
    codec = native_codec(system)
    vectors = foretold(system, texts, 2, noise, options)  # (1 or 2, N, D)
    both = vectors.expand(2, -1, -1).transpose(0, 1).flatten(0, 1)  # (N * 2, D)
    prefix = prefix_ids(codec, ENGLISH, options.max_tokens)
    parts = zip(both.split(_ROWS), uniform.flatten(0, 1).split(_ROWS), strict=True)
    found = [draw_pieces(codec.decoder, rows, prefix, each) for rows, each in parts]
    return torch.cat(found).view(len(uniform), 2, MOST)


def draw_pieces(decoder: TextDecoder, vectors: Tensor, prefix: Tensor, uniform: Tensor) -> Tensor:
    """Draw the first tokens (R, n) int64, on the CPU, of sentences from vectors (R, D).

    `prefix` (P,) int64 is what the decoder is given before: eos and the language token. `uniform`
    (R, n) in [0, 1) decides, a number a token. After eos follows PAD.
    """
    if not len(vectors):
        return torch.empty(uniform.shape, dtype=torch.int64)
    state = decoder.start(vectors.to(prefix.device, decoder.embed.weight.dtype))
    ids = prefix.expand(len(vectors), -1)
    tokens: list[Tensor] = []
    for chance in uniform.to(prefix.device).unbind(1):
        ids = pick(decoder.step(ids, state)[:, -1], chance).unsqueeze(1)
        tokens.append(ids)
    return _ended(torch.cat(tokens, 1)).cpu()


def pick(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draw tokens (R,) int64 from the softmax of logits (R, V) by numbers (R,) in [0, 1).

    The token is the first at which the probabilities so far add up to more than the number.

    >>> pick(torch.tensor([[0.25, 0.5, 0.25]]).log().repeat(3, 1), torch.tensor([0.2, 0.7, 0.8]))
    tensor([0, 1, 2])
    """
    total = logits.double().softmax(1).cumsum(1)
    wanted = uniform.double().unsqueeze(1) * total[:, -1:]
    return torch.searchsorted(total, wanted, right=True)[:, 0].clamp(max=logits.shape[1] - 1)


def _ended(tokens: Tensor) -> Tensor:
    """Return tokens (R, n) with PAD for all that follows an eos."""
    ends = (tokens == EOS).long()
    return tokens.masked_fill(ends.cumsum(1) - ends > 0, PAD)


def _of_tokens(system: TokenLLMSystem, texts: Sequence[Sequence[str]], uniform: Tensor) -> Tensor:
    """Draw the first pieces (N, 2, 4) at all N places, by numbers `uniform` (N, 2, 4)."""
    found = [torch.empty(0, 2, MOST, dtype=torch.int64)]
    waiting = iter(uniform.split([max(len(text) - 1, 0) for text in texts]))
    for text in texts:
        own = next(waiting)
        if not len(own):
            continue
        rows = [system.tokenizer.pieces(sentence) for sentence in text[:-1]]
        ids = torch.tensor([[BOS, *chain.from_iterable(rows)]], device=system.model.device)
        lengths = 1 + np.cumsum([len(row) for row in rows])
        found.append(draw_next(system.model, ids, lengths.tolist(), own))
    return torch.cat(found)


def draw_next(model: TokenLLM, ids: Tensor, lengths: Sequence[int], uniform: Tensor) -> Tensor:
    """Draw two times n tokens, (places, 2, n) int64 on the CPU, after beginnings of ids (1, T).

    Place i follows the first `lengths[i]` ids. `uniform` (places, 2, n) in [0, 1) decides, a number
    a token. After eos follows PAD. The ids are read once, and their keys and values copied to every
    place.
    """
    whole = model.new_cache()
    after = model.hidden(ids, whole)[0, [length - 1 for length in lengths]]  # (places, hidden)
    both = [(place, length) for place, length in enumerate(lengths) for _ in range(2)]
    found: list[Tensor] = []
    for first in range(0, len(both), _ROWS):
        part = both[first : first + _ROWS]
        cache = model.new_cache()
        cache.lengths = [0] * len(part)  # so that memory is reserved once
        for row, (_, length) in enumerate(part):
            whole.lengths = [length]
            cache.put(row, whole)
        logits = after[[place for place, _ in part]] @ model.embed.weight.T
        chances = uniform.flatten(0, 1)[first : first + _ROWS].to(ids.device)
        tokens: list[Tensor] = []
        for number, chance in enumerate(chances.unbind(1)):
            if number:
                logits = model(tokens[-1].unsqueeze(1), cache)[:, -1]
            tokens.append(pick(logits, chance))
        found.append(_ended(torch.stack(tokens, 1)).cpu())
    return torch.cat(found).view(len(lengths), 2, -1)

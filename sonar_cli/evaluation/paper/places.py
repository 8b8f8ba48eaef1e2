"""Places of held-out texts: the true sentences before, and what a system foretells of the next one.

A text of T sentences has T - 1 places: after its first sentence, its first two, and so on. The
first sentence itself is never foretold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sonar_cli.errors import UsageError
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.model.shapes import DECODER_MAX_LEN
from sonar_cli.model.systems.base import BEGIN_SENTENCE
from sonar_cli.model.systems.lcm_diffusion import LCMDiffusionSystem
from sonar_cli.model.systems.lcm_mse import LCMMSESystem
from sonar_cli.model.systems.sonar_llm import SonarLLMSystem
from sonar_cli.options import GenerationOptions

VectorSystem = SonarLLMSystem | LCMMSESystem | LCMDiffusionSystem
Floats = npt.NDArray[np.float64]
# progress(texts, their number) -> the same texts
Progress = Callable[[Iterable[Any], int], Iterable[Any]]

# Pieces of a sentence that are counted at most: the decoder also reads eos, language and eos.
LONGEST = DECODER_MAX_LEN - 3
# Vectors that are sampled together.
_TOGETHER = 256


def batches(
    texts: Sequence[Sequence[str]], size: int, progress: Progress | None = None
) -> Iterator[list[Sequence[str]]]:
    """Yield texts, `size` of them at a time; `progress` may wrap them to show how many are done.

    >>> list(batches([["A."], ["B."], ["C."]], 2))
    [[['A.'], ['B.']], [['C.']]]
    """
    waiting = iter(progress(texts, len(texts)) if progress else texts)
    while together := list(islice(waiting, size)):
        yield together


def native_codec(system: VectorSystem) -> NativeCodec:
    """Return a system's codec. Raises UsageError for another than ours: its decoder is needed."""
    if not isinstance(system.codec, NativeCodec):
        raise UsageError("systems are compared with our own codec; leave out --codec sonar-space")
    return system.codec


def pieces(tokenizer: Tokenizer, sentence: str) -> list[int]:
    """Return the ids of a sentence's pieces, at most `LONGEST`, as all measures count them."""
    return tokenizer.pieces(sentence)[:LONGEST]


def foretold(
    system: VectorSystem,
    texts: Sequence[Sequence[str]],
    samples: int,
    random: torch.Generator,
    options: GenerationOptions,
) -> Tensor:
    """Return the vectors (K, N, D) float32 that a system predicts at all N places, text by text.

    K is `samples` for a two-tower LCM, which draws each from noise of its own, and 1 for systems
    that predict a single vector. Vectors read are those of true sentences; a SONAR-LLM reads the
    begin sentence before them if it was trained so. The noise is drawn text by text, so that it
    does not depend on how many texts are given together. Of the options are read `begin` and those
    of diffusion.
    """
    codec = native_codec(system)
    texts = [text for text in texts if len(text) > 1]
    if not texts:
        return torch.empty(1, 0, codec.width, device=codec.device)
    begin = _begin(system, options)
    rows = [[*begin, *text[:-1]] for text in texts]
    vectors = codec.encode(list(chain.from_iterable(rows))).split([len(row) for row in rows])
    padded = nn.utils.rnn.pad_sequence(list(vectors), batch_first=True)  # (B, T, D)
    # What follows a text's end in its row is read by none of its own positions.
    counts = [len(text) - 1 for text in texts]
    place = torch.arange(padded.shape[1] - len(begin), device=codec.device)
    real = place < torch.tensor(counts, device=codec.device)[:, None]  # (B, T - begin)
    if isinstance(system, LCMDiffusionSystem):
        keys = system.model.keys(system.model.hidden(padded.to(system.model.dtype)))
        noise = [torch.randn(samples, count, codec.width, generator=random) for count in counts]
        return _sampled(system, keys, real, torch.cat(noise, 1), options)
    stack = system.predictor if isinstance(system, SonarLLMSystem) else system.model
    hidden = stack.hidden(padded.to(stack.dtype))[:, len(begin) :][real]  # (N, hidden)
    if isinstance(system, SonarLLMSystem):
        predicted: Tensor = system.predictor.reverse_proj(hidden)
    else:
        predicted = system.model.predict(hidden)
    return predicted.float().unsqueeze(0)


def _begin(system: VectorSystem, options: GenerationOptions) -> list[str]:
    if not isinstance(system, SonarLLMSystem):
        return []
    asked = system.predictor.config.add_begin if options.begin is None else options.begin
    return [BEGIN_SENTENCE] * asked


def _sampled(
    system: LCMDiffusionSystem,
    keys: Tensor,
    real: Tensor,
    noise: Tensor,
    options: GenerationOptions,
) -> Tensor:
    """Sample vectors (K, N, D) from noise (K, N, D) at the N places (B, T) that are `real`."""
    samples = len(noise)
    text, before = (each.repeat(samples) for each in real.nonzero().unbind(1))  # each (K * N,)
    start = (options.initial_noise * noise).flatten(0, 1).to(keys.device)
    found = [
        system.model.sample(
            keys[:, :, text[part]],
            before[part] + 1,
            start[part],
            options.diffusion_steps,
            options.guidance,
        ).float()
        for first in range(0, len(start), _TOGETHER)
        for part in [slice(first, first + _TOGETHER)]
    ]
    return torch.cat(found).unflatten(0, (samples, -1))

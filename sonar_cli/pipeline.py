"""The story of a sentence: text -> vectors -> next vector -> sentence -> vector, again and again.

This is the authors' loop (arXiv 2508.05305 and their generate.py): every sentence is one vector;
the predictor reads all vectors so far and writes the next; the decoder turns it into a sentence;
the sentence is encoded again, and what it means now, not what was predicted, goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.config import BEGIN_SENTENCE, END_SENTENCE, GenerationOptions, Step, StopReason
from sonar_cli.model.codec import Decoded
from sonar_cli.model.load import Model
from sonar_cli.model.predictor import add_noise


@torch.inference_mode()
def generate(
    model: Model,
    sentences: Sequence[str],
    options: GenerationOptions | None = None,
    on_truncated: Callable[[int], None] | None = None,
) -> Iterator[Step]:
    """Continue a text: yield a Step per sentence written, then one that says why it stopped.

    The end sentence and a repeated meaning are not part of the text, so they are not yielded.
    `on_truncated` is told how many sentences were too long for the encoder. Raises UsageError for
    an unknown language, ValueError when there is nothing to continue.

    >>> from sonar_cli.model.load import load_model
    >>> from sonar_cli.store import resolve
    >>> model = load_model(resolve("mini"))
    >>> options = GenerationOptions(sentences=2)
    >>> steps = list(generate(model, ["One day Lily found a kite."], options))
    >>> [step.stop_reason for step in steps]
    [None, None, 'length']
    """
    options = options or GenerationOptions()
    codec, predictor = model.codec, model.predictor
    begin = predictor.config.add_begin if options.begin is None else options.begin
    opening = [BEGIN_SENTENCE, *sentences] if begin else list(sentences)
    if not opening:
        raise ValueError("there is no sentence to continue")
    end = codec.encode([END_SENTENCE], options.source_lang)  # (1, D)
    new = codec.encode(
        opening, options.source_lang, on_truncated=on_truncated
    )  # (T, D), then (1, D) a turn
    cache = predictor.new_cache()
    random = _random(options.seed)
    written: list[Tensor] = []
    for index in range(options.sentences):
        started = perf_counter()
        hidden = predictor.hidden(new.to(_dtype(model)).unsqueeze(0), cache)[:, -1]  # (1, hidden)
        predicted, decoded = _next_sentence(model, hidden, options, random)
        new = codec.encode([decoded.text], options.source_lang)
        to_end = _cosine(new, end)
        stop = _stop_reason(new, to_end, written, options)
        step = Step(
            index=None if stop else index,
            text=None if stop else decoded.text,
            similarity_to_end=to_end,
            fidelity=_cosine(new, predicted),
            seconds=perf_counter() - started,
            stop_reason=stop,
        )
        yield step
        if stop:
            return
        written.append(new)
    yield Step(None, None, None, None, 0.0, "length")


def _next_sentence(
    model: Model, hidden: Tensor, options: GenerationOptions, random: torch.Generator
) -> tuple[Tensor, Decoded]:
    """Hidden state (1, hidden) -> the predicted vector (1, D) and its sentence.

    With a temperature, `candidates` noisy vectors are decoded in one batch and one is drawn.
    """
    if options.temperature > 0:
        hidden = hidden.expand(options.candidates, -1)
        hidden = add_noise(hidden, options.temperature, random)
    vectors = model.predictor.reverse_proj(hidden).float()  # (K, D)
    decoded = model.codec.decode(
        vectors, options.target_lang, options.beam_size, options.max_tokens
    )
    chosen = _draw([each.score for each in decoded], options.top_p, random)
    return vectors[chosen : chosen + 1], decoded[chosen]


def _draw(scores: Sequence[float], top_p: float, random: torch.Generator) -> int:
    """Draw an index by the softmax of the scores within the nucleus.

    The nucleus is the fewest most likely candidates that hold `top_p` of the probability
    (Holtzman et al. 2020, arXiv 1904.09751).
    """
    if len(scores) == 1:
        return 0
    probabilities, order = torch.tensor(scores).softmax(0).sort(descending=True)
    before = probabilities.cumsum(0) - probabilities
    nucleus = torch.where(before < top_p, probabilities, 0.0)
    return int(order[int(nucleus.multinomial(1, generator=random))])


def _stop_reason(
    new: Tensor, to_end: float, written: Sequence[Tensor], options: GenerationOptions
) -> StopReason | None:
    if to_end >= options.stop_threshold:
        return "end"
    if options.repeat_threshold is not None and any(
        _cosine(new, old) >= options.repeat_threshold for old in written
    ):
        return "repetition"
    return None


def _cosine(a: Tensor, b: Tensor) -> float:
    return float(F.cosine_similarity(a, b, dim=1))


def _dtype(model: Model) -> torch.dtype:
    return model.predictor.norm.weight.dtype


def _random(seed: int | None) -> torch.Generator:
    # On the CPU whatever the device, so that a seed does not depend on where the model runs.
    random = torch.Generator()
    if seed is None:
        random.seed()
    else:
        random.manual_seed(seed)
    return random

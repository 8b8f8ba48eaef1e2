"""The story of a sentence: text -> vectors -> next vector -> sentence -> vector, again and again.

This is the authors' loop (arXiv 2508.05305 and their generate.py): every sentence is one vector;
the predictor reads all vectors so far and writes the next; the decoder turns it into a sentence;
the sentence is encoded again, and what it means now, not what was predicted, goes on. Several
texts go through it side by side, each as if it were alone. Other languages are decoded from the
same vectors: the text is the same one in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from time import perf_counter

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.model.codec.native import Codec, Decoded
from sonar_cli.model.load import Model
from sonar_cli.model.systems.sonar_llm import add_noise
from sonar_cli.options import BEGIN_SENTENCE, END_SENTENCE, GenerationOptions, Step, StopReason

OnTruncated = Callable[[int], None]
# A text's sentences, or their vectors (T, D) where it is encoded already.
Prompt = Sequence[str] | Tensor


def generate(
    model: Model,
    sentences: Sequence[str],
    options: GenerationOptions | None = None,
    on_truncated: OnTruncated | None = None,
) -> Iterator[Step]:
    """Continue a text: yield a Step per sentence written, then one that says why it stopped.

    The end sentence and a repeated meaning are not part of the text, so they are not yielded.
    `on_truncated` is told how many sentences were too long for the encoder. Raises UsageError for
    an unknown language, ValueError when there is nothing to continue.

    >>> from sonar_cli.model.load import load_model
    >>> from sonar_cli.hub.store import resolve
    >>> model = load_model(resolve("mini"))
    >>> options = GenerationOptions(sentences=2)
    >>> steps = list(generate(model, ["One day Lily found a kite."], options))
    >>> [step.stop_reason for step in steps]
    [None, None, 'length']
    """
    for _, step in generate_many(model, [sentences], options, on_truncated=on_truncated):
        yield step


@torch.inference_mode()
def generate_many(
    model: Model,
    texts: Iterable[Prompt],
    options: GenerationOptions | None = None,
    batch_size: int = 1,
    on_truncated: OnTruncated | None = None,
) -> Iterator[tuple[int, Step]]:
    """Continue many texts, `batch_size` of them side by side: yield (number of the text, Step).

    A text that ends leaves its place to the next one. Each gets the Steps that `generate` gives it
    alone, in order; those of different texts alternate. Texts are taken as places become free.
    """
    options = options or GenerationOptions()
    codec, predictor = model.codec, model.predictor
    waiting = iter(enumerate(texts))
    running: list[_Text] = []
    cache = predictor.new_cache()
    while True:
        started = perf_counter()
        hidden: list[Tensor] = []  # of every running text, (1, hidden) each
        if running:
            newest = torch.stack([text.newest for text in running])  # (texts, 1, D)
            hidden += predictor.hidden(newest.to(predictor.dtype), cache).unbind()
        free = batch_size - len(running)
        for text, vectors in _open(model, list(islice(waiting, free)), options, on_truncated):
            own = predictor.new_cache()
            hidden.append(predictor.hidden(vectors.to(predictor.dtype).unsqueeze(0), own)[0, -1:])
            cache.put(len(running), own)
            running.append(text)
        if not running:
            return
        moved = [_moved(each, text, options) for each, text in zip(hidden, running, strict=True)]
        predicted = predictor.reverse_proj(torch.cat(moved)).float()  # (texts * K, D)
        candidates = codec.decode(
            predicted, options.source_lang, options.beam_size, options.max_tokens
        )
        chosen = _choose(candidates, predicted, running, options)
        new = codec.encode([decoded.text for decoded, _ in chosen], options.source_lang)
        texts_of = _in_languages(codec, chosen, new, options)
        seconds = perf_counter() - started
        for row, text in enumerate(running):
            decoded, aim = chosen[row]
            for step in text.take(decoded, aim, new[row : row + 1], seconds, options):
                yield text.number, replace(step, texts=texts_of[row] if step.text else ())
        going = [row for row, text in enumerate(running) if not text.ended]
        if len(going) < len(running):
            cache.keep(going)
            running = [running[row] for row in going]


def in_order(steps: Iterable[tuple[int, Step]]) -> Iterator[tuple[int, Step]]:
    """Let the texts follow one another: the Steps of later ones wait until theirs is the turn.

    >>> made = [(1, "c"), (0, "a"), (1, None), (0, None)]
    >>> steps = [(n, Step(0, text, 0, 0, 0, None if text else "end")) for n, text in made]
    >>> [(number, step.text) for number, step in in_order(steps)]
    [(0, 'a'), (0, None), (1, 'c'), (1, None)]
    """
    waiting: dict[int, list[Step]] = {}
    turn = 0
    for number, step in steps:
        waiting.setdefault(number, []).append(step)
        while turn in waiting:
            ready = waiting.pop(turn)
            yield from ((turn, each) for each in ready)
            if ready[-1].stop_reason is None:
                break
            turn += 1


@dataclass
class _Text:
    """A text on its way: its last sentence's vector (1, D), and the vectors it has written."""

    number: int
    newest: Tensor
    end: Tensor  # (1, D), the end sentence's vector
    random: torch.Generator
    written: list[Tensor] = field(default_factory=list)
    ended: bool = False

    def take(
        self,
        decoded: Decoded,
        aim: Tensor,
        vector: Tensor,
        seconds: float,
        options: GenerationOptions,
    ) -> Iterator[Step]:
        """Take the next sentence, the vector it was decoded from and its own, each (1, D)."""
        to_end = _cosine(vector, self.end)
        stop = _stop_reason(vector, to_end, self.written, options)
        yield Step(
            index=None if stop else len(self.written),
            text=None if stop else decoded.text,
            similarity_to_end=to_end,
            fidelity=_cosine(vector, aim),
            seconds=seconds,
            stop_reason=stop,
        )
        self.newest = vector
        self.written.append(vector)
        self.ended = stop is not None
        if not stop and len(self.written) == options.sentences:
            self.ended = True
            yield Step(None, None, None, None, 0.0, "length")


def _open(
    model: Model,
    entries: Sequence[tuple[int, Prompt]],
    options: GenerationOptions,
    on_truncated: OnTruncated | None,
) -> Iterator[tuple[_Text, Tensor]]:
    """Encode new texts together; yield each with its sentences' vectors (T, D)."""
    if not entries:
        return
    begin = model.predictor.config.add_begin if options.begin is None else options.begin
    written = [[] if isinstance(prompt, Tensor) else list(prompt) for _, prompt in entries]
    fixed, *parts = model.codec.encode(
        [END_SENTENCE, *[BEGIN_SENTENCE] * begin, *chain.from_iterable(written)],
        options.source_lang,
        on_truncated=on_truncated,
    ).split([1 + begin, *map(len, written)])
    end, opening = fixed[:1], fixed[1:]
    for (number, prompt), part in zip(entries, parts, strict=True):
        vectors = torch.cat([opening, prompt.to(part) if isinstance(prompt, Tensor) else part])
        if not len(vectors):
            raise ValueError("there is no sentence to continue")
        # Each text has a generator of its own: what is drawn does not depend on its neighbours.
        yield _Text(number, vectors[-1:], end, _random(options.seed)), vectors


def _in_languages(
    codec: Codec,
    chosen: Sequence[tuple[Decoded, Tensor]],
    vectors: Tensor,
    options: GenerationOptions,
) -> list[tuple[str, ...]]:
    """Give each new sentence in the target languages, from what it means: its vector (texts, D)."""
    columns = [
        [decoded.text for decoded, _ in chosen]
        if lang == options.source_lang
        else [
            each.text for each in codec.decode(vectors, lang, options.beam_size, options.max_tokens)
        ]
        for lang in options.target_langs
    ]
    return list(zip(*columns, strict=True)) if columns else [()] * len(chosen)


def _moved(hidden: Tensor, text: _Text, options: GenerationOptions) -> Tensor:
    """Hidden state (1, hidden) -> with a temperature, K of them (K, hidden), moved by chance."""
    if options.temperature == 0:
        return hidden
    return add_noise(hidden.expand(options.candidates, -1), options.temperature, text.random)


def _choose(
    candidates: Sequence[Decoded],
    predicted: Tensor,
    texts: Sequence[_Text],
    options: GenerationOptions,
) -> list[tuple[Decoded, Tensor]]:
    """Draw one of each text's K candidates; return it with its predicted vector (1, D)."""
    share = len(candidates) // len(texts)
    chosen = []
    for first, text in zip(range(0, len(candidates), share), texts, strict=True):
        scores = [each.score for each in candidates[first : first + share]]
        index = first + _draw(scores, options.top_p, text.random)
        chosen.append((candidates[index], predicted[index : index + 1]))
    return chosen


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


def _random(seed: int | None) -> torch.Generator:
    # On the CPU whatever the device, so that a seed does not depend on where the model runs.
    random = torch.Generator()
    if seed is None:
        random.seed()
    else:
        random.manual_seed(seed)
    return random

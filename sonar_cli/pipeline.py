"""The story of a sentence: text -> vectors -> next vector -> sentence -> vector, again and again.

This is the authors' loop (arXiv 2508.05305 and their generate.py): every sentence is one vector;
a system reads all vectors so far and proposes the next; the decoder turns it into a sentence; what
goes on is that sentence, encoded again, or the vector itself, as the system has it. Several texts
go through the loop side by side, each as if it were alone. Other languages are decoded from the
same vectors.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli import tokens
from sonar_cli.model.codec.base import Decoded, OnTruncated, decode_into
from sonar_cli.model.sampling import Sampling, draw, generator
from sonar_cli.model.systems.base import Prompt, State, System
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import Drawing, GenerationOptions, Step


def generate(
    system: System,
    sentences: Prompt,
    options: GenerationOptions | None = None,
    on_truncated: OnTruncated | None = None,
) -> Iterator[Step]:
    """Continue a text: yield a Step per sentence written, then one that says why it stopped.

    The end sentence and a repeated meaning are not part of the text, so they are not yielded.
    `on_truncated` is told how many sentences were too long for the encoder. Raises UsageError for
    an unknown language, ValueError when there is nothing to continue.

    >>> from sonar_cli.hub.resolve import resolve
    >>> from sonar_cli.model.load import load_system
    >>> steps = generate(
    ...     load_system(resolve()), ["One day Lily found a kite."], GenerationOptions(sentences=2)
    ... )
    >>> [step.stop_reason for step in steps]
    [None, None, 'length']
    """
    for _, step in generate_many(system, [sentences], options, on_truncated=on_truncated):
        yield step


def generate_many(
    system: System,
    texts: Iterable[Prompt],
    options: GenerationOptions | None = None,
    batch_size: int = 1,
    on_truncated: OnTruncated | None = None,
) -> Iterator[tuple[int, Step]]:
    """Continue many texts, `batch_size` of them side by side: yield (number of the text, Step).

    A text that ends leaves its place to the next one. Each gets the Steps that `generate` gives it
    alone, in order; those of different texts alternate. Texts are taken as places become free.
    """
    batch, waiting = Batch(system, options, on_truncated), enumerate(texts)
    while True:
        fresh = [Opening(*each) for each in islice(waiting, batch_size - len(batch))]
        if not fresh and not len(batch):
            return
        yield from batch.turn(fresh)


@dataclass(frozen=True)
class Opening:
    """A text to begin with: its number, its sentences or vectors, and what it has of its own.

    `sentences` is the most to write and `seed` that of its random numbers; None is for what the
    batch's options say.
    """

    number: int
    prompt: Prompt
    sentences: int | None = None
    seed: int | None = None


class Batch:
    """Texts that are written side by side, a sentence each a turn; they may come and go between.

    >>> from sonar_cli.hub.resolve import resolve
    >>> from sonar_cli.model.load import load_system
    >>> batch = Batch(load_system(resolve()), GenerationOptions(sentences=1))
    >>> turns = [batch.turn([Opening(number, ["Lily found a kite."])]) for number in (7, 8)]
    >>> [[(number, step.stop_reason) for number, step in turn] for turn in turns]
    [[(7, None), (7, 'length')], [(8, None), (8, 'length')]]
    """

    @torch.inference_mode()
    def __init__(
        self,
        system: System,
        options: GenerationOptions | None = None,
        on_truncated: OnTruncated | None = None,
    ) -> None:
        self._codec = system.codec
        self._options = options or GenerationOptions()
        self._on_truncated = on_truncated
        self._state = system.start(self._options)
        self._running: list[_Text] = []
        self._goes_on = self._state.end[:0]  # (texts, D)

    def __len__(self) -> int:
        return len(self._running)

    @torch.inference_mode()
    def turn(self, fresh: Sequence[Opening] = ()) -> list[tuple[int, Step]]:
        """Begin with the `fresh` texts, and write a sentence of each text that there is.

        Returns (number of the text, Step) of what was written. A text that has ended is gone.
        Raises ValueError for a text without sentences.
        """
        started = perf_counter()
        state, options, running = self._state, self._options, self._running
        if running:
            state.read(self._goes_on)
        if fresh:
            state.open([each.prompt for each in fresh], self._on_truncated)
            running += [self._opened(each) for each in fresh]
        if not running:
            return []
        predicted = state.propose([text.random for text in running])  # (texts * K, D)
        decoded = self._codec.decode(
            predicted, options.source_lang, options.beam_size, options.max_tokens,
            sampling=_sampling(running, len(predicted), state.drawing),
        )  # fmt: skip
        sentences, aims = _choose(decoded, predicted, running, state.drawing)
        again = state.feeds_back == "sentence"
        goes_on = self._codec.encode(sentences, options.source_lang) if again else aims
        languages = decode_into(self._codec, options.target_langs, goes_on, sentences, options)
        fidelities = F.cosine_similarity(goes_on, aims).tolist() if again else [None] * len(aims)
        seconds = perf_counter() - started
        steps: list[tuple[int, Step]] = []
        for row, text in enumerate(running):
            new = _Written(
                sentences[row], languages[row], goes_on[row : row + 1], fidelities[row], seconds
            )
            steps += [(text.number, step) for step in text.take(new, state)]
        self._goes_on = goes_on
        self._keep([row for row, text in enumerate(running) if not text.ended])
        return steps

    @torch.inference_mode()
    def drop(self, numbers: Container[int]) -> None:
        """Leave the texts of these numbers as they are; the others go on."""
        self._keep([row for row, text in enumerate(self._running) if text.number not in numbers])

    def _opened(self, text: Opening) -> _Text:
        seed = self._state.drawing.seed if text.seed is None else text.seed
        return _Text(text.number, generator(seed), text.sentences or self._options.sentences)

    def _keep(self, rows: list[int]) -> None:
        """Drop all texts but these rows."""
        if len(rows) < len(self._running):
            self._state.keep(rows)
            self._running = [self._running[row] for row in rows]
            self._goes_on = self._goes_on[rows]


def write_many(
    system: System | TokenLLMSystem,
    texts: Iterable[Prompt],
    options: GenerationOptions | None = None,
    batch_size: int = 1,
    on_truncated: OnTruncated | None = None,
) -> Iterator[tuple[int, Step]]:
    """Continue many texts with a system of whichever kind, of vectors or of tokens."""
    if isinstance(system, TokenLLMSystem):
        return tokens.generate_many(system, texts, options, batch_size)
    return generate_many(system, texts, options, batch_size, on_truncated)


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


@dataclass(frozen=True)
class _Written:
    """A new sentence, also in the target languages, and the vector (1, D) that goes on for it."""

    text: str
    texts: tuple[str, ...]
    vector: Tensor
    fidelity: float | None
    seconds: float


@dataclass
class _Text:
    """A text on its way: its random numbers, and the vectors (1, D) that it has written.

    `most` is how many it may write.
    """

    number: int
    random: torch.Generator
    most: int
    vectors: list[Tensor] = field(default_factory=list)
    ended: bool = False

    def take(self, new: _Written, state: State) -> Iterator[Step]:
        """Yield the new sentence's Step, and after the last sentence the one that says so."""
        to_end = float(F.cosine_similarity(new.vector, state.end))
        stop = state.stops(new.vector, to_end, self.vectors)
        self.ended = stop is not None
        if stop:
            yield Step(None, None, to_end, new.fidelity, new.seconds, stop)
            return
        index = len(self.vectors)
        self.vectors.append(new.vector)
        yield Step(index, new.text, to_end, new.fidelity, new.seconds, texts=new.texts)
        if len(self.vectors) == self.most:
            self.ended = True
            yield Step(None, None, None, None, 0.0, "length")


def _sampling(texts: Sequence[_Text], rows: int, drawing: Drawing) -> Sampling | None:
    """Return how tokens are drawn for so many rows, each text's behind one another, if they are."""
    if not drawing.token_temperature:
        return None
    random = [text.random for text in texts for _ in range(rows // len(texts))]
    return Sampling(drawing.token_temperature, drawing.top_p, random)


def _choose(
    candidates: Sequence[Decoded],
    predicted: Tensor,
    texts: Sequence[_Text],
    drawing: Drawing,
) -> tuple[list[str], Tensor]:
    """Choose one of each text's K candidates: the sentences, and their predicted vectors (B, D).

    It is drawn by its score, the mean log-probability of its tokens. Where these were drawn already
    the best one of those in order of spelling is taken.
    """
    share = len(candidates) // len(texts)
    chosen = []
    for first, text in zip(range(0, len(candidates), share), texts, strict=True):
        own = candidates[first : first + share]
        if drawing.token_temperature:
            chosen.append(first + max(range(share), key=lambda at: own[at].rank))
        else:
            scores = torch.tensor([each.score for each in own])
            chosen.append(first + draw(scores, drawing.top_p, text.random))
    return [candidates[index].text for index in chosen], predicted[chosen]

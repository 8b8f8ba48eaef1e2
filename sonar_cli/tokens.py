"""The story of a token-level text: ids -> next id -> text -> sentence, again and again.

What `pipeline.py` is for systems of vectors this is for the token-level Llama: the same contract,
texts in and (number, Step) out, a Step a sentence. A sentence is known to have ended when the next
one begins, or the text ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter

import torch
from torch import Tensor

from sonar_cli.errors import UsageError
from sonar_cli.model.codec.beam import NotANumber, beam_search
from sonar_cli.model.codec.tokenizer import EOS, PAD
from sonar_cli.model.finite import not_finite, require_finite
from sonar_cli.model.sampling import draw, generator
from sonar_cli.model.systems.base import Prompt
from sonar_cli.model.systems.llama import KVCache
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import GenerationOptions, Step, StopReason
from sonar_cli.text.sentences import split


@torch.inference_mode()
def generate_many(
    system: TokenLLMSystem,
    texts: Iterable[Prompt],
    options: GenerationOptions | None = None,
    batch_size: int = 1,
) -> Iterator[tuple[int, Step]]:
    """Continue many texts, `batch_size` of them side by side: yield (number of the text, Step).

    The likeliest token is taken, or with a temperature one is drawn within the nucleus `top_p`.
    With `llm_beams` above 1 a whole continuation is searched at once and then yielded. A sentence
    of more than `max_tokens` tokens ends its text.
    """
    options = options or GenerationOptions()
    if options.llm_beams > 1:
        for number, prompt in enumerate(texts):
            yield from ((number, step) for step in _searched(system, prompt, options))
        return
    drawing = options.drawing()
    model, waiting = system.model, enumerate(texts)
    running: list[_Text] = []
    cache = model.new_cache()
    logits = torch.empty(0)  # (texts, V)
    while True:
        started = perf_counter()
        if running:
            newest = torch.tensor([[text.ids[-1]] for text in running], device=model.device)
            logits = model.following(newest, cache)
        for number, prompt in islice(waiting, batch_size - len(running)):
            first = _read(system, prompt, cache, len(running))
            logits = torch.cat([logits.view(-1, first.shape[1]), first])
            running.append(_Text(number, generator(drawing.seed)))
        if not running:
            return
        require_finite(logits, model, "scores of tokens")
        for text, row in zip(running, logits, strict=True):
            text.ids.append(draw(row, drawing.top_p, text.random, drawing.temperature))
            text.seconds += perf_counter() - started
            for step in text.take(system, options):
                yield text.number, step
        going = [row for row, text in enumerate(running) if not text.ended]
        if len(going) < len(running):
            cache.keep(going)
            running, logits = [running[row] for row in going], logits[going]


def _read(system: TokenLLMSystem, prompt: Prompt, cache: KVCache, row: int) -> Tensor:
    """Read a prompt into a row of the cache; return the logits (1, V) of what follows."""
    if isinstance(prompt, Tensor):
        raise UsageError("a token-level model reads text, not vectors")
    if not prompt:
        raise ValueError("there is no sentence to continue")
    own = system.model.new_cache()
    ids = torch.tensor([system.prompt(prompt)], device=system.model.device)
    logits = system.model.following(ids, own)
    cache.put(row, own)
    return logits


@dataclass
class _Text:
    """A text on its way: the ids it has written, and how many sentences were yielded."""

    number: int
    random: torch.Generator
    ids: list[int] = field(default_factory=list)
    sentences: int = 0
    since: int = 0
    seconds: float = 0.0
    ended: bool = False

    def take(self, system: TokenLLMSystem, options: GenerationOptions) -> Iterator[Step]:
        """Yield the Steps of sentences that have ended with the newest id, and of the end."""
        closed = self.ids[-1] == EOS
        full = len(self.ids) - self.since >= options.max_tokens
        whole = [each.text for each in split(system.tokenizer.decode(self.ids))]
        self.ended = closed or full
        known = whole if self.ended else whole[:-1]
        for sentence in known[self.sentences : options.sentences]:
            yield self._step(sentence)
        self.ended = self.ended or self.sentences == options.sentences
        if self.ended:
            whole_text = closed and self.sentences < options.sentences
            yield Step(None, None, None, None, 0.0, "end" if whole_text else "length")

    def _step(self, sentence: str) -> Step:
        step = Step(self.sentences, sentence, None, None, self.seconds)
        self.sentences, self.since, self.seconds = self.sentences + 1, len(self.ids), 0.0
        return step


def _searched(system: TokenLLMSystem, prompt: Prompt, options: GenerationOptions) -> Iterator[Step]:
    """Search the likeliest continuation with several beams; yield its sentences."""
    if isinstance(prompt, Tensor):
        raise UsageError("a token-level model reads text, not vectors")
    started, cache = perf_counter(), system.model.new_cache()
    *before, last = system.prompt(prompt)
    system.model.hidden(torch.tensor([before], device=system.model.device), cache)

    def step(ids: Tensor, rows: Tensor | None) -> Tensor:
        if rows is not None:
            cache.keep(rows.tolist())
        return system.model(ids, cache)

    # The search sees the prompt's last id alone, so that only what is written is scored.
    limit = 1 + options.sentences * min(options.max_tokens, _LONG)
    start = torch.tensor([[last]], device=system.model.device)
    try:
        (found,) = beam_search(
            step, start, beam_size=options.llm_beams, max_len=limit, eos=EOS, pad=PAD
        )
    except NotANumber:
        raise not_finite(system.model, "scores of tokens") from None
    text = system.tokenizer.decode(found[0].ids)
    sentences = [each.text for each in split(text)][: options.sentences]
    seconds = (perf_counter() - started) / max(1, len(sentences))
    for index, sentence in enumerate(sentences):
        yield Step(index, sentence, None, None, seconds)
    reason: StopReason = "length" if len(sentences) == options.sentences else "end"
    yield Step(None, None, None, None, 0.0, reason)


# Tokens a sentence that a search with beams is given at most.
_LONG = 64

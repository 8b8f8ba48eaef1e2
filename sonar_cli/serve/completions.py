"""Completions: a request's prompts and choices -> texts to write -> OpenAI's JSON, or a stream."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

from sonar_cli.api import SonarLLM
from sonar_cli.options import GenerationOptions, StopReason
from sonar_cli.serve.failures import refusal
from sonar_cli.serve.jobs import Began, Ended, Event, Sentence, Writing
from sonar_cli.serve.messages import Completion
from sonar_cli.serve.request import Jobs
from sonar_cli.text.sentences import gap


def writings(asked: Completion, llm: SonarLLM, jobs: Jobs, most: int) -> list[Writing]:
    """Return a text to write for each choice of each prompt, of at most `most` sentences.

    Raises UsageError for what cannot be asked for.
    """
    llm.check_languages(asked.source_lang)
    options = GenerationOptions(
        sentences=min(asked.max_sentences or most, most),
        source_lang=asked.source_lang,
        beam_size=asked.beam_size,
        temperature=asked.meaning_temperature,
        token_temperature=asked.temperature,
        candidates=asked.candidates,
        top_p=asked.top_p,
    )
    seeds = asked.seeds(options.drawing(llm.drawing))
    prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
    choices = [(prompt, seed) for prompt in prompts for seed in seeds]
    return [
        Writing(jobs.deliver(number), prompt, replace(options, seed=seed), asked.max_tokens)
        for number, (prompt, seed) in enumerate(choices)
    ]


@dataclass
class Choice:
    """A text on its way; what was given ends with `last`."""

    last: str
    pieces: list[str] = field(default_factory=list)
    prompt_tokens: int = 0
    tokens: int = 0
    reason: StopReason | None = None

    def take(self, event: Event) -> str:
        """Take an event; return the piece of text that it adds, with the space before it."""
        if isinstance(event, Began):
            self.prompt_tokens = event.tokens
        elif isinstance(event, Ended):
            self.reason = event.reason
        elif isinstance(event, Sentence):
            before, self.last = self.last, event.text
            space = "" if not before or before[-1].isspace() else gap(before, event.text)
            self.tokens += event.tokens
            self.pieces.append(space + event.text)
            return self.pieces[-1]
        return ""

    @property
    def finish_reason(self) -> str | None:
        """OpenAI's word for the reason."""
        return {None: None, "length": "length"}.get(self.reason, "stop")


class Completions:
    """The answer to one request; `model` is the name in it."""

    def __init__(self, texts: list[Writing], model: str, choices_each: int) -> None:
        self.choices = [Choice(each.text[-3:]) for each in texts]
        self._each = choices_each
        self._head = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
        }

    def take(self, number: int, event: Event) -> str:
        """Take an event of a text; return the piece that it adds."""
        return self.choices[number].take(event)

    def whole(self) -> dict[str, Any]:
        """Return the answer."""
        found = [self._choice(i, "".join(each.pieces)) for i, each in enumerate(self.choices)]
        return {**self._head, "choices": found, "usage": self._usage()}

    async def stream(
        self, events: AsyncIterator[tuple[int, Event]], with_usage: bool
    ) -> AsyncIterator[str]:
        """Yield server-sent events: a sentence each, then that a text has ended."""
        usage = {"usage": None} if with_usage else {}
        try:
            async for number, event in events:
                if piece := self.take(number, event):
                    yield _event({**self._head, "choices": [self._choice(number, piece)], **usage})
                elif isinstance(event, Ended):
                    yield _event({**self._head, "choices": [self._choice(number, "")], **usage})
            if with_usage:
                yield _event({**self._head, "choices": [], "usage": self._usage()})
            yield "data: [DONE]\n\n"
        except Exception as error:
            yield _event(refusal(error).body())

    def _choice(self, number: int, text: str) -> dict[str, Any]:
        choice = self.choices[number]
        return {
            "index": number,
            "text": text,
            "logprobs": None,
            "finish_reason": choice.finish_reason,
            "stop_reason": choice.reason,
        }

    def _usage(self) -> dict[str, int]:
        """Count tokens; a prompt with several choices counts once, as with OpenAI."""
        prompt = sum(each.prompt_tokens for each in self.choices[:: self._each])
        written = sum(each.tokens for each in self.choices)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
        }


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"

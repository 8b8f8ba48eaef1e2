"""What the model's thread is asked to do, and what it tells of it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

from sonar_cli.api import SonarLLM
from sonar_cli.options import GenerationOptions, StopReason


@dataclass(frozen=True)
class Began:
    """A text has its place; it has so many tokens."""

    tokens: int


@dataclass(frozen=True)
class Sentence:
    """A new sentence, with its number of tokens."""

    text: str
    tokens: int


@dataclass(frozen=True)
class Ended:
    """A text has ended."""

    reason: StopReason


@dataclass(frozen=True)
class Result:
    """What a task was to find."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """A job has come to nothing, by this error."""

    error: BaseException


Event = Began | Sentence | Ended | Result | Failed
# Called in the model's thread, so it only passes on what it is given.
Deliver = Callable[[Event], None]
# Work in pieces, between which others have their turns; it returns its result.
Work = Callable[[SonarLLM], Generator[None, None, Any]]


@dataclass(eq=False)
class Job:
    """Something to do for a client; one that is `cancelled` is left as it is."""

    deliver: Deliver
    cancelled: bool = field(default=False, init=False)


@dataclass(eq=False)
class Writing(Job):
    """A text to continue; it ends with the sentence that reaches `max_tokens`."""

    text: str
    options: GenerationOptions
    max_tokens: int | None = None
    tokens: int = field(default=0, init=False)

    @property
    def together(self) -> GenerationOptions:
        """The options that texts share which are written side by side."""
        return replace(self.options, seed=None, sentences=1)


@dataclass(eq=False)
class Task(Job):
    """Work that is done for one client alone."""

    work: Work

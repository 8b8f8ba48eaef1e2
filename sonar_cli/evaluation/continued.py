"""Texts that a system has continued, each whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sonar_cli.model.systems.base import Prompt, System
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import GenerationOptions
from sonar_cli.pipeline import in_order, write_many

# Texts that are continued side by side.
TOGETHER = 20


class Continuation(NamedTuple):
    """The sentences that a system has written, and whether it ended the text itself."""

    written: tuple[str, ...]
    ended: bool


def continued(
    system: System | TokenLLMSystem,
    prompts: Iterable[Prompt],
    options: GenerationOptions,
    batch_size: int = TOGETHER,
) -> list[Continuation]:
    """Continue prompts, `batch_size` of them side by side; return them in order."""
    found: list[Continuation] = []
    written: list[str] = []
    for _, step in in_order(write_many(system, prompts, options, batch_size)):
        if step.text is not None:
            written.append(step.text)
        if step.stop_reason is not None:
            found.append(Continuation(tuple(written), step.stop_reason == "end"))
            written = []
    return found

"""How often the four systems find a needle in a long text; see `world.needle`.

The needle of a co-author (github.com/Aysel71/sonar-llm-new) differs. There the text around it is
lorem ipsum of 512 or about 2,048 characters, and a task is put in front. A model is trained on
10,000 such texts, with the answer as the only target. The answer counts if the value is in it. Here
lengths are in sentences, there is no task, whole texts are for training, none of the tests'
combinations of name, jewel and box is among them, and an answer that names several boxes is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from sonar_cli.evaluation.report import Column, Record, Table, percent
from sonar_cli.model.systems.base import System
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import GenerationOptions
from sonar_cli.pipeline import write_many
from sonar_cli.world.needle import Case

# progress(cases) -> the same cases
Progress = Callable[[Iterable[Case]], Iterable[Case]]


def measure(
    system: System | TokenLLMSystem,
    cases: Iterable[Case],
    options: GenerationOptions | None = None,
    batch_size: int = 8,
    progress: Progress | None = None,
) -> list[Record]:
    """Let a system write the sentence after each prompt; return how often it names the value.

    There is a record for each length and depth, in order, and one for each length with the depth
    None, which counts all of its depths. Its `share` of `cases` is `right`; `low` and `high` are
    the ends of Wilson's 95 % interval. `batch_size` prompts are read and continued side by side.
    `progress` may wrap the cases, to show how many are done. A text that ends instead is wrong.
    """
    waiting: dict[int, Case] = {}
    hits: dict[int, dict[float, list[bool]]] = {}

    def prompts() -> Iterator[tuple[str, ...]]:
        for number, case in enumerate(progress(cases) if progress else cases):
            waiting[number] = case
            yield case.prompt

    options = replace(options or GenerationOptions(), sentences=1)
    for number, step in write_many(system, prompts(), options, batch_size):
        # The step after the only sentence says that the text is long enough.
        if case := waiting.pop(number, None):
            right = step.text is not None and case.is_answered_by(step.text)
            hits.setdefault(case.sentences, {}).setdefault(case.depth, []).append(right)
    return [record for length in sorted(hits) for record in _records(length, hits[length])]


def wilson(right: int, cases: int, deviations: float = 1.96) -> tuple[float, float]:
    """Return Wilson's interval of a share, `right` of so many cases, in [0, 1].

    With 1.96 standard deviations it covers 95 %. Source: Wilson 1927, as in Brown, Cai and DasGupta
    2001. Of no cases it is (0, 1).

    >>> [round(end, 3) for end in wilson(9, 10)]
    [0.596, 0.982]
    """
    if cases == 0:
        return 0.0, 1.0
    share, square = right / cases, deviations**2
    middle = (share + square / (2 * cases)) / (1 + square / cases)
    spread = math.sqrt(share * (1 - share) / cases + square / (4 * cases**2))
    half = deviations * spread / (1 + square / cases)
    return max(0.0, middle - half), min(1.0, middle + half)


def table(records: Sequence[Record]) -> Table:
    """Return the table of what `measure` returns."""
    return Table("needle", _COLUMNS, records)


def _records(length: int, hits: dict[float, list[bool]]) -> Iterator[Record]:
    depths: list[float | None] = [*sorted(hits), None]
    for depth in depths:
        of_depth = hits.values() if depth is None else [hits[depth]]
        found = list(chain.from_iterable(of_depth))
        low, high = wilson(sum(found), len(found))
        yield {
            "sentences": length,
            "depth": depth,
            "cases": len(found),
            "right": sum(found),
            "share": sum(found) / len(found),
            "low": low,
            "high": high,
        }


def _share(record: Record) -> str:
    return f"{percent(record['share'])} ({percent(record['low'])} to {percent(record['high'])})"


_COLUMNS = (
    Column("sentences", "sentences"),
    Column("depth", "depth", lambda depth: "all" if depth is None else f"{100 * depth:.0f} %"),
    Column("cases", "cases"),
    Column(None, "right (95 % interval)", _share),
)

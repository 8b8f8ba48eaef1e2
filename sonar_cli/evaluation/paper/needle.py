"""A needle in a long text: a fact that is told early, asked for late.

The text is made of the story world's stories, one after the other. Somewhere among their sentences
is the needle, which says in which box a thief hid a jewel. After the last sentence of the context a
question names the jewel, and the answer names the box:

>>> case = next(cases(1, lengths=[16], depths=[0.5]))
>>> case.prompt[8], case.prompt[16], case.answer  # doctest: +NORMALIZE_WHITESPACE
('Before long, Nora learned that a thief hid the pearl in a pocket.',
 '"Dear cricket, what should I do about the pearl?" asked Nora.',
 'The cricket opened the right pocket and there was the pearl.')

All three are sentences of the story world's grammar, so that its codecs carry them. Stories about
jewels are left out of the context; other boxes do occur in it.

The needle of a co-author (github.com/Aysel71/sonar-llm-new) differs. There the text around it is
lorem ipsum of 512 or about 2,048 characters, and a task is put in front. A model is trained on
10,000 such texts, with the answer as the only target. The answer counts if the value is in it. Here
lengths are in sentences, there is no task, whole texts are for training, none of the tests'
combinations of name, jewel and box is among them, and an answer that names several boxes is wrong.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from sonar_cli.evaluation.metrics import words
from sonar_cli.evaluation.report import Column, Record, Table, percent
from sonar_cli.model.systems.base import System
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import GenerationOptions
from sonar_cli.pipeline import write_many
from sonar_cli.world import words as world
from sonar_cli.world.grammar import render, values
from sonar_cli.world.stories import is_held_out, pick, story

# Sentences of a context, and where in it the needle is: 0 is its begin.
LENGTHS = (16, 32, 64, 128, 256, 512, 1024)
DEPTHS = tuple(tenth / 10 for tenth in range(10))
KEYS = tuple(world.THINGS["jewel"][1])
# The needle says "a", so that no box may begin with a vowel.
VALUES = tuple(box for box in world.BOXES if box[0] not in "aeiou")
NEEDLE = "Before long, {name} learned that a thief hid the {thing} in a {box}."
QUESTION = '"Dear {animal}, what should I do about the {thing}?" asked {name}.'
ANSWER = "The {animal} opened the right {box} and there was the {thing}."

# progress(cases) -> the same cases
Progress = Callable[[Iterable["Case"]], Iterable["Case"]]


@dataclass(frozen=True)
class Case:
    """A text up to the question, the sentence that truly follows, and the value in it.

    `prompt` is the context, needle included, and the question. `depth` in [0, 1) is the share of
    the context before the needle.
    """

    prompt: tuple[str, ...]
    answer: str
    value: str
    depth: float

    @property
    def sentences(self) -> int:
        """The sentences of the context, without the question."""
        return len(self.prompt) - 1

    def is_answered_by(self, sentence: str) -> bool:
        """Tell whether a sentence names the value and none of the other values; case is ignored.

        >>> case = Case(("Tom saw that a thief hid the ring in a jar.", "?"), "", "jar", 0.0)
        >>> case.is_answered_by("It was in the JAR."), case.is_answered_by("A jar or a box, a bag?")
        (True, False)
        """
        return {self.value} == set(VALUES) & set(words(sentence.lower()))


def cases(
    count: int,
    lengths: Sequence[int] = LENGTHS,
    depths: Sequence[float] = DEPTHS,
    seed: int = 0,
) -> Iterator[Case]:
    """Yield `count` test cases of each length and depth, the same for the same seed.

    Their combinations of name, jewel and box, and those of the stories around them, are held out
    of `training_texts`.
    """
    for length in lengths:
        for depth in depths:
            for number in range(count):
                draw = random.Random(f"needle {seed} {length} {depth} {number}")
                yield _case(draw, length, depth, held_out=True)


def training_texts(
    count: int, lengths: Sequence[int] = LENGTHS, seed: int = 0
) -> Iterator[tuple[str, ...]]:
    """Yield `count` whole texts, context, question and answer, of drawn lengths and depths.

    They have the sentences of a context and two more, which a recipe's `data.max_sentences` has to
    leave in one piece.
    """
    for number in range(count):
        draw = random.Random(f"needle training {seed} {number}")
        length = lengths[draw.randrange(len(lengths))]
        case = _case(draw, length, draw.uniform(0, max(DEPTHS)), held_out=False)
        yield (*case.prompt, case.answer)


def write_texts(path: Path, texts: Iterable[Sequence[str]]) -> None:
    """Write texts as JSON Lines with the column "text", as `data.path` of a recipe takes them.

    A sentence is a paragraph, so that the texts are split into the same sentences again.
    """
    with path.open("w", encoding="utf-8") as file:
        for sentences in texts:
            file.write(json.dumps({"text": "\n\n".join(sentences)}) + "\n")


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


def _case(draw: random.Random, length: int, depth: float, held_out: bool) -> Case:
    slots = _facts(draw)
    while is_held_out((slots["name"], slots["thing"], slots["box"])) != held_out:
        slots = _facts(draw)
    context = _filler(draw, length - 1, held_out)
    context.insert(int(depth * length + 1e-9), render(NEEDLE, slots))
    prompt = (*context, render(QUESTION, slots))
    return Case(prompt, render(ANSWER, slots), slots["box"], depth)


def _facts(draw: random.Random) -> dict[str, str]:
    facts = {slot: pick(draw, values(slot)) for slot in ("name", "animal")}
    return facts | {"thing": pick(draw, KEYS), "box": pick(draw, VALUES)}


def _filler(draw: random.Random, count: int, held_out: bool) -> list[str]:
    """Return so many sentences of stories without a jewel, the last of them cut short."""
    found: list[str] = []
    while len(found) < count:
        told = story(draw.getrandbits(48), held_out)
        if told.combination[1] not in KEYS:
            found += told.sentences
    return found[:count]


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

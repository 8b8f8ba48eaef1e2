"""What the embedded model reaches on stories that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from sonar_cli.evaluation.metrics import keeps_name, repeats, share
from sonar_cli.evaluation.report import Row
from sonar_cli.model.load import Model
from sonar_cli.options import GenerationOptions, Step
from sonar_cli.pipeline import generate_many
from sonar_cli.world import stories as world
from sonar_cli.world.words import BOYS, GIRLS

STORIES = 300
PREFIX = 2
# Training stories start from other seeds and from other combinations.
SEED = 1_000
# Stories told side by side.
_TOGETHER = 20

Progress = Callable[[Iterable[world.Story], int], Iterable[world.Story]]


@dataclass(frozen=True)
class Told:
    """What the model made of a story: its sentences given back, its beginning continued."""

    story: world.Story
    given_back: tuple[str, ...]
    written: tuple[str, ...]
    ended: bool

    @property
    def prefix(self) -> tuple[str, ...]:
        """The sentences given."""
        return self.story.sentences[:PREFIX]


def run(
    model: Model,
    count: int = STORIES,
    seed: int = SEED,
    progress: Progress | None = None,
) -> list[Row]:
    """Measure encode-decode and continuations on held-out stories; one row a measure.

    Every sentence of a story is encoded and decoded; its first two are continued with the default
    options. `progress` may wrap the stories, to show how far it is.
    """
    told = stories(count, seed)
    wrapped = iter(progress(told, count) if progress else told)
    made: list[Told] = []
    while together := list(islice(wrapped, _TOGETHER)):
        made += _tell(model, together)
    return _rows(made)


def stories(count: int = STORIES, seed: int = SEED) -> Iterator[world.Story]:
    """Yield the held-out stories that everything is measured on."""
    return world.stories(count, seed, held_out=True)


def held_out(count: int, seed: int = SEED) -> Iterator[tuple[str, ...]]:
    """Yield held-out stories as sentences alone."""
    return (story.sentences for story in stories(count, seed))


def _tell(model: Model, stories: Sequence[world.Story]) -> list[Told]:
    sentences = list(chain.from_iterable(story.sentences for story in stories))
    decoded = iter(model.codec.decode(model.codec.encode(sentences)))
    prefixes = [story.sentences[:PREFIX] for story in stories]
    steps: list[list[Step]] = [[] for _ in stories]
    for number, step in generate_many(model, prefixes, GenerationOptions(), _TOGETHER):
        steps[number].append(step)
    return [
        Told(
            story,
            given_back=tuple(each.text for each in islice(decoded, len(story.sentences))),
            written=tuple(step.text for step in of_story if step.text is not None),
            ended=of_story[-1].stop_reason == "end",
        )
        for story, of_story in zip(stories, steps, strict=True)
    ]


def _rows(made: Sequence[Told]) -> list[Row]:
    names = {*GIRLS, *BOYS}
    exact = [
        text == given
        for each in made
        for text, given in zip(each.given_back, each.story.sentences, strict=True)
    ]
    kept = [keeps_name(each.story.name, each.written, names) for each in made]
    again = [repeats(each.prefix, each.written) for each in made]
    written = [world.accepts(sentence) for each in made for sentence in each.written]
    return [
        Row("encode-decode gives back the exact sentence", share(exact), len(exact), 0.95),
        Row("the main character's name stays", share(kept), len(made), 0.95),
        Row("ends by itself within 32 sentences", share(e.ended for e in made), len(made), 0.90),
        Row("repeats a sentence word for word", share(again), len(made), 0.05, at_least=False),
        Row("sentences of the world's grammar", share(written), len(written), 0.90),
    ]

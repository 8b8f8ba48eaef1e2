"""How well a model gives stories of the story world back, and how it continues them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from sonar_cli.evaluation.continued import TOGETHER, continued
from sonar_cli.evaluation.measures import measure, report
from sonar_cli.evaluation.metrics import keeps_name, repeats, share
from sonar_cli.evaluation.report import Record, Report
from sonar_cli.model.systems.base import System
from sonar_cli.options import GenerationOptions
from sonar_cli.world import stories as world
from sonar_cli.world.words import BOYS, GIRLS

STORIES = 300
# Sentences of a story that are given; the model writes the others.
PREFIX = 2
# No training story was drawn with this seed; they are of other combinations besides.
SEED = 1_000

# progress(stories, their number) -> the same stories
Progress = Callable[[Iterable[world.Story], int], Iterable[world.Story]]


@dataclass(frozen=True)
class Told:
    """What a model made of a story.

    `given_back` are the story's sentences, encoded and decoded. `written` are the sentences that
    continue its first `PREFIX`, and `ended` tells whether the model itself ended there.
    """

    story: world.Story
    given_back: tuple[str, ...]
    written: tuple[str, ...]
    ended: bool

    @property
    def prefix(self) -> tuple[str, ...]:
        """The sentences that the model was given to continue."""
        return self.story.sentences[:PREFIX]


def run(
    system: System,
    count: int = STORIES,
    seed: int = SEED,
    options: GenerationOptions | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure a system on `count` held-out stories; report five measures with their targets.

    Every sentence of a story is encoded and decoded, and must come back as it was. The first two
    are continued by `options` (default: those of `sonar-llm continue`). `progress` may wrap the
    stories, to show how many are done. A measure's `cases` are sentences or stories.
    """
    options = options or GenerationOptions()
    told = stories(count, seed)
    waiting = iter(progress(told, count) if progress else told)
    made: list[Told] = []
    while together := list(islice(waiting, TOGETHER)):
        made += _tell(system, together, options)
    return report(_measures(made, options.sentences))


def stories(count: int = STORIES, seed: int = SEED) -> Iterator[world.Story]:
    """Yield the stories that models are measured on, of combinations kept from training."""
    return world.stories(count, seed, held_out=True)


def held_out(count: int, seed: int = SEED) -> Iterator[tuple[str, ...]]:
    """Yield the sentences of each of `stories`."""
    return (story.sentences for story in stories(count, seed))


def _tell(system: System, stories: Sequence[world.Story], options: GenerationOptions) -> list[Told]:
    sentences = list(chain.from_iterable(story.sentences for story in stories))
    decoded = iter(system.codec.decode(system.codec.encode(sentences)))
    prefixes = [story.sentences[:PREFIX] for story in stories]
    return [
        Told(
            story,
            given_back=tuple(each.text for each in islice(decoded, len(story.sentences))),
            written=written,
            ended=ended,
        )
        for story, (written, ended) in zip(
            stories, continued(system, prefixes, options), strict=True
        )
    ]


def _measures(made: Sequence[Told], most: int) -> list[Record]:
    names = {*GIRLS, *BOYS}
    exact = [
        text == given
        for each in made
        for text, given in zip(each.given_back, each.story.sentences, strict=True)
    ]
    kept = [keeps_name(each.story.name, each.written, names) for each in made]
    again = [repeats(each.prefix, each.written) for each in made]
    ended = [each.ended for each in made]
    written = [world.accepts(sentence) for each in made for sentence in each.written]
    return [
        measure("encode-decode gives back the exact sentence", share(exact), len(exact), 0.95),
        measure("the main character's name stays", share(kept), len(made), 0.95),
        measure(f"ends by itself within {most} sentences", share(ended), len(made), 0.90),
        measure("repeats a sentence word for word", share(again), len(made), 0.05, at_least=False),
        measure("sentences of the world's grammar", share(written), len(written), 0.90),
    ]

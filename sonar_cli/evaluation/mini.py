"""What the embedded model reaches on stories that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sonar_cli.config import GenerationOptions
from sonar_cli.evaluation.metrics import keeps_name, repeats, share
from sonar_cli.evaluation.tables import Row
from sonar_cli.mini import world
from sonar_cli.mini.words import BOYS, GIRLS
from sonar_cli.model.load import Model
from sonar_cli.pipeline import generate

STORIES = 300
PREFIX = 2
# Training stories start from other seeds and from other combinations.
SEED = 1_000

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
    stories: int = STORIES,
    seed: int = SEED,
    progress: Progress | None = None,
) -> list[Row]:
    """Measure encode-decode and continuations on held-out stories; one row a measure.

    Every sentence of a story is encoded and decoded, in one batch; its first two are continued
    with the default options. `progress` may wrap the stories, to show how far it is.
    """
    told = world.stories(stories, seed, held_out=True)
    wrapped = progress(told, stories) if progress else told
    return _rows([_tell(model, each) for each in wrapped])


def _tell(model: Model, story: world.Story) -> Told:
    decoded = model.codec.decode(model.codec.encode(story.sentences))
    steps = list(generate(model, story.sentences[:PREFIX], GenerationOptions()))
    return Told(
        story,
        given_back=tuple(each.text for each in decoded),
        written=tuple(step.text for step in steps if step.text is not None),
        ended=steps[-1].stop_reason == "end",
    )


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

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
class Continuation:
    """A story's beginning and what the model made of it."""

    story: world.Story
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

    `progress` may wrap the stories, to show how far it is.
    """
    told = list(world.stories(stories, seed, held_out=True))
    sentences = [sentence for each in told for sentence in each.sentences]
    wrapped = progress(told, len(told)) if progress else told
    made = [_continue(model, each) for each in wrapped]
    return [_exact(model, sentences), *_rows(made)]


def _exact(model: Model, sentences: Sequence[str]) -> Row:
    decoded = model.codec.decode(model.codec.encode(sentences), batch_size=64)
    hits = [each.text == text for each, text in zip(decoded, sentences, strict=True)]
    return Row("encode-decode gives back the exact sentence", share(hits), len(hits), 0.95)


def _continue(model: Model, story: world.Story) -> Continuation:
    steps = list(generate(model, story.sentences[:PREFIX], GenerationOptions()))
    written = tuple(step.text for step in steps if step.text is not None)
    return Continuation(story, written, steps[-1].stop_reason == "end")


def _rows(made: Sequence[Continuation]) -> list[Row]:
    names = {*GIRLS, *BOYS}
    kept = [keeps_name(each.story.name, each.written, names) for each in made]
    again = [repeats(each.prefix, each.written) for each in made]
    written = [world.accepts(sentence) for each in made for sentence in each.written]
    return [
        Row("the main character's name stays", share(kept), len(made), 0.95),
        Row("ends by itself within 32 sentences", share(e.ended for e in made), len(made), 0.90),
        Row("repeats a sentence word for word", share(again), len(made), 0.05, at_least=False),
        Row("sentences of the world's grammar", share(written), len(written), 0.90),
    ]

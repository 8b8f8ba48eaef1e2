"""The held-out texts of a comparison."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.paper.terms import Terms
from sonar_cli.training import texts
from sonar_cli.training.tables import BRANCHING, WORLD, Data
from sonar_cli.training.texts import Part, part_of, place_of, summary_at
from sonar_cli.world import branching
from sonar_cli.world import stories as world
from sonar_cli.world.choices import Choices
from sonar_cli.world.stories import Story

# No training story is drawn with these seeds; they are of other combinations besides.
_SEEDS: dict[Part, int] = {"test": 1_000, "valid": 2_000}


def stories(terms: Terms, part: Part = "test", count: int | None = None) -> list[Story]:
    """Return held-out stories of the terms' world; none where they are of other texts."""
    made = {WORLD: world, BRANCHING: branching}.get(terms.data.path)
    if made is None or terms.test:
        return []
    choices = Choices(terms.data.variety)
    return list(made.stories(count or terms.texts, _SEEDS[part], held_out=True, choices=choices))


def held_out(terms: Terms, part: Part = "test", count: int | None = None) -> list[list[str]]:
    """Return up to `count` texts (default: the terms' number), each as its sentences.

    Of a story world they are stories. Of other texts they are those at the terms' `test`, or the
    ones that are kept from training; they are cut into pieces of as many sentences as in training,
    and the pieces are drawn from all of them. Where no text is kept for validation, the one of the
    lowest hash is, as in training. Raises UsageError where there are none.
    """
    count = count or terms.texts
    if told := stories(terms, part, count):
        return [list(story.sentences) for story in told]
    kept = terms.test and part == "test"
    data = replace(terms.data, path=terms.test) if kept else terms.data
    found = list(_pieces(data, None if kept else part))
    if not found and part == "valid":
        lowest = min(map(place_of, _texts(data)), default=0.0)
        found = list(_pieces(replace(data, valid=float(np.nextafter(lowest, 1))), part))
    if not found:
        raise UsageError(f"no text of data.path={data.path} is kept for {part}; raise data.{part}")
    return random.Random(0).sample(found, min(count, len(found)))


def _pieces(data: Data, part: Part | None) -> Iterator[list[str]]:
    """Yield pieces of the texts of a part, or of all; those of one sentence are left out."""
    for sentences in _texts(data):
        if part in (None, part_of(place_of(sentences), data)):
            for piece in _cut(sentences[: summary_at(sentences)], data.max_sentences):
                if len(piece) > 1:
                    yield piece


def _texts(data: Data) -> Iterator[list[str]]:
    """Yield the texts of files, those of one sentence left out."""
    for sentences in texts.documents(replace(data, world=False), lambda line: None):
        if summary_at(sentences) > 1:
            yield sentences


def _cut(sentences: Sequence[str], most: int) -> Iterator[list[str]]:
    rest = iter(sentences)
    while piece := list(islice(rest, most)):
        yield piece

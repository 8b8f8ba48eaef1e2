"""The story world: short children's stories with a plot, written by a small grammar.

The main character wants something, something is in the way, a first try fails, and a friend helps.
One of six narrators tells and sums up a story in one of two voices. The main character, the thing,
the place, the helper and the weather stay the same throughout. A seed always gives the same story.
About one in twenty combinations of character, thing and place is held out: training stories never
use these combinations, and held-out stories use only these.

>>> told = story(7)
>>> told == story(7), 5 <= len(told.sentences) <= 15
(True, True)
>>> all(accepts(sentence) for sentence in told.sentences + told.summary)
True
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sonar_cli.world.choices import ALL, Choices
from sonar_cli.world.grammar import (
    FREE,
    PRONOUNS,
    accepts,
    gender,
    patterns,
    render,
    vocabulary,
)
from sonar_cli.world.patterns import BEATS, SKIPPED, by_beat
from sonar_cli.world.plots import PLOTS, WISHES

__all__ = ["Story", "accepts", "far", "patterns", "stories", "story", "vocabulary"]

NARRATORS = 6
# Voices of each narrator. They differ from the first sentence on, so that a model can predict the
# wording of the next sentence from those before.
VOICES = 2
# The parts of each narrator's summary: 0 is who wanted what, 1 who helped, 2 what it was about.
SUMMARY_PARTS = ((0, 1, 2), (0, 1), (0, 2), (0, 1, 2), (0, 1), (0,))
# About one combination in this many is held out of training.
HELD_OUT_SHARE = 20

_PATTERNS = by_beat()
# (index of the wish, gender) -> index of the plot
_PLOT_OF = {(0, "girl"): 0, (0, "boy"): 1, (1, "girl"): 2, (1, "boy"): 0}


@dataclass(frozen=True)
class Story:
    """A story.

    `summary` holds its sentences, `name` is that of the main character, and `combination` is
    (name, thing, place), as in `is_held_out`.
    """

    sentences: tuple[str, ...]
    summary: tuple[str, ...]
    name: str
    combination: tuple[str, str, str]


def story(seed: int, held_out: bool = False, choices: Choices = ALL) -> Story:
    """Return the story of a seed, with a held-out combination or with one of the others."""
    draw = random.Random(seed)
    slots = draw_facts(draw, choices)
    while is_held_out(combination_of(slots)) != held_out:
        slots = draw_facts(draw, choices)
    narrator, voice = draw.randrange(NARRATORS), draw.randrange(VOICES)
    told = (beat for beat in BEATS if beat not in SKIPPED.get(narrator, ()))
    forms = (_PATTERNS[beat][narrator] for beat in told)
    sentences = tuple(render(voices[voice % len(voices)], slots) for voices in forms)
    summaries = _PATTERNS["summary"]
    summary = tuple(render(summaries[part][voice], slots) for part in SUMMARY_PARTS[narrator])
    return Story(sentences, summary, slots["name"], combination_of(slots))


def stories(
    count: int, seed: int = 0, held_out: bool = False, choices: Choices = ALL
) -> Iterator[Story]:
    """Yield `count` stories.

    Each story has its own seed, `seed` times a billion plus the story's number. Two calls for up to
    a billion stories with different seeds from 0 on never use the same one.
    """
    for number in range(count):
        yield story(seed * 1_000_000_000 + number, held_out, choices)


def far(text: str) -> bool:
    """Tell whether more than a third of a text's words are outside the world's vocabulary.

    >>> far("One day Tom found a kite."), far("Quarterly revenue exceeded expectations.")
    (False, True)
    """
    found = strange = 0
    for word in re.finditer(r"\w+", text.lower()):
        found += 1
        strange += word[0] not in vocabulary()
    return 3 * strange > found


def is_held_out(combination: tuple[str, str, str]) -> bool:
    """Tell whether training stories leave out this (name, thing, place)."""
    return zlib.crc32(" ".join(combination).encode()) % HELD_OUT_SHARE == 0


def draw_facts(draw: random.Random, choices: Choices = ALL) -> dict[str, str]:
    """Return the words of all slots of a story."""
    slots = {slot: pick(draw, choices.values(slot)) for slot in FREE}
    slots["name"] = pick(draw, choices.values("name"))
    slots |= PRONOUNS[gender(slots["name"])]
    group = pick(draw, list(choices.things))
    adjectives, things = choices.things[group]
    slots["adj"], slots["thing"] = pick(draw, adjectives), pick(draw, things)
    place_adjectives, places, animals = choices.settings[pick(draw, list(choices.settings))]
    slots["padj"], slots["place"] = pick(draw, place_adjectives), pick(draw, places)
    slots["animal"] = pick(draw, animals)
    wish = draw.randrange(2)
    slots["wish"] = WISHES[group][wish]
    # The wish and the gender determine the plot, so that a model can learn to predict it.
    plot = PLOTS[group][_PLOT_OF[wish, gender(slots["name"])]]
    slots |= {"problem": plot.problem, "tried": plot.tried, "solved": plot.solved}
    return slots


def combination_of(slots: dict[str, str]) -> tuple[str, str, str]:
    """Return the (name, thing, place) of a story's slots, as `is_held_out` takes them."""
    return slots["name"], slots["thing"], slots["place"]


def pick(draw: random.Random, choices: Sequence[str]) -> str:
    """Return one of the choices."""
    return choices[draw.randrange(len(choices))]

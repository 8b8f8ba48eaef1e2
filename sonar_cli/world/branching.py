"""The branching story world: the story world's grammar, with a choice at every beat.

In the story world a narrator's voice tells the same beats in the same words, so that the next
sentence mostly follows from those before. Here any narrator's pattern may tell a beat, a wish may
meet any of its plots, some beats are left out, and moods, foods and the like are drawn anew for
every sentence. Who, what, where and who helps stay the same throughout a story. The probability of
every sentence given those before is known.

>>> told = story(7)
>>> told == story(7), len(told.sentences) == len(told.bits)
(True, True)
>>> all(accepts(sentence) for sentence in told.sentences + told.summary)
True
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sonar_cli.world.choices import ALL, Choices
from sonar_cli.world.grammar import CLAUSES, PRONOUNS, accepts, render
from sonar_cli.world.patterns import BEATS, by_beat
from sonar_cli.world.plots import PLOTS, WISHES
from sonar_cli.world.stories import (
    NARRATORS,
    SUMMARY_PARTS,
    VOICES,
    Story,
    combination_of,
    draw_facts,
    is_held_out,
    pick,
)

__all__ = ["BranchingStory", "accepts", "entropy", "stories", "story"]

# Beats that are told with this probability; the others always are.
OPTIONAL = ("mood", "worry", "tried", "fail", "answer", "thanks", "joy", "meal")
TOLD = 2 / 3
# Slots that are drawn anew for every sentence.
_FRESH = (
    "glad", "sad", "adverb", "said", "saidglad", "food", "drink", "flowers", "dance", "game",
    "color", "stars", "promise",
)  # fmt: skip
_OF_SETTING = ("padj", "place", "animal")
# Slots that are not drawn by themselves: they go with a class of things, a setting, a name.
_TOGETHER = {"adj", "thing", *CLAUSES, *_OF_SETTING, *PRONOUNS["girl"]}
_SLOT = re.compile(r"\{(\w+)\}")
_PATTERNS = by_beat()
_FORMS = {
    beat: tuple(dict.fromkeys(pattern for voices in narrators.values() for pattern in voices))
    for beat, narrators in _PATTERNS.items()
}


@dataclass(frozen=True)
class BranchingStory(Story):
    """A story; `bits[i]` is what sentence i says in bits, given those before."""

    bits: tuple[float, ...]


def story(seed: int, held_out: bool = False, choices: Choices = ALL) -> BranchingStory:
    """Return the story of a seed, with a held-out combination or with one of the others.

    There are as many ways to tell a beat as `choices` has words at most. The bits leave out that
    the combination is held out or not, which is about 4.4 bits a story.
    """
    draw = random.Random(f"branching {seed}")
    facts = _facts(draw, choices)
    while is_held_out(combination_of(facts)) != held_out:
        facts = _facts(draw, choices)
    reader = _Reader(choices)
    sentences: list[str] = []
    bits: list[float] = []
    skipped = 0.0
    for beat in BEATS:
        if beat in OPTIONAL:
            told = draw.random() < TOLD
            skipped -= math.log2(TOLD if told else 1 - TOLD)
            if not told:
                continue
        forms = reader.allowed(_FORMS[beat])
        pattern = forms[draw.randrange(len(forms))]
        slots = facts | _fresh(draw, choices)
        sentences.append(render(pattern, slots))
        bits.append(skipped + math.log2(len(forms)) + reader.read(pattern, slots))
        skipped = 0.0
    slots = facts | _fresh(draw, choices)
    parts, voice = SUMMARY_PARTS[draw.randrange(NARRATORS)], draw.randrange(VOICES)
    summary = tuple(render(_PATTERNS["summary"][part][voice], slots) for part in parts)
    return BranchingStory(
        tuple(sentences), summary, facts["name"], combination_of(facts), tuple(bits)
    )


def stories(
    count: int, seed: int = 0, held_out: bool = False, choices: Choices = ALL
) -> Iterator[BranchingStory]:
    """Yield `count` stories; see `stories.stories`."""
    for number in range(count):
        yield story(seed * 1_000_000_000 + number, held_out, choices)


def entropy(count: int = 1_000, seed: int = 1, choices: Choices = ALL) -> float:
    """Return the mean bits a sentence of so many stories: the best that any model can do."""
    return fmean(each for told in stories(count, seed, choices=choices) for each in told.bits)


def _facts(draw: random.Random, choices: Choices) -> dict[str, str]:
    """Draw a story's facts; the plot is any of those of the thing."""
    facts = draw_facts(draw, choices)
    group = next(each for each, (_, things) in choices.things.items() if facts["thing"] in things)
    plot = PLOTS[group][draw.randrange(len(PLOTS[group]))]
    return facts | {"problem": plot.problem, "tried": plot.tried, "solved": plot.solved}


def _fresh(draw: random.Random, choices: Choices) -> dict[str, str]:
    """Draw what a sentence says anew."""
    return {slot: pick(draw, choices.values(slot)) for slot in _FRESH}


class _Reader:
    """What a reader knows of a story, and so how much each sentence tells."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.known: dict[str, str] = {}

    def allowed(self, forms: tuple[str, ...]) -> tuple[str, ...]:
        """Return the patterns of a beat that may be told now: a job has to be known by name."""
        if "job" not in self.known and self.known:
            forms = tuple(each for each in forms if "{job}" not in each)
        return tuple(self.choices.few(forms))

    def read(self, pattern: str, slots: Mapping[str, str]) -> float:
        """Take in a sentence; return how many bits its words are, given what was known."""
        found = _slots(pattern, slots)
        fresh = {slot for slot in found if slot in _FRESH}
        before, after = self.known, self.known | {each: slots[each] for each in found - fresh}
        bits = sum(math.log2(len(self.choices.values(slot))) for slot in fresh)
        self.known = after
        return bits + _bits(after, self.choices) - _bits(before, self.choices)


def _slots(pattern: str, slots: Mapping[str, str]) -> set[str]:
    """Return the slots of a pattern and of the clauses in it."""
    found = set(_SLOT.findall(pattern))
    for clause in found & set(CLAUSES):
        found |= set(_SLOT.findall(slots[clause]))
    return found


def _bits(known: Mapping[str, str], choices: Choices = ALL) -> float:
    """Return the bits of facts: minus the logarithm of the probability of drawing them."""
    alone = (slot for slot in known if slot not in _TOGETHER)
    total = sum(math.log2(len(choices.values(slot))) for slot in alone)
    total -= math.log2(fmean(_of_class(*each, known) for each in choices.things.items()))
    return total - math.log2(fmean(_of_setting(each, known) for each in choices.settings.values()))


def _of_class(group: str, lists: Sequence[Sequence[str]], known: Mapping[str, str]) -> float:
    """Return the probability of what is known of the thing and the plot, in a class of things."""
    adjectives, things = lists
    chance = _among(known.get("adj"), adjectives) * _among(known.get("thing"), things)
    clauses = {kind: known[kind] for kind in ("problem", "tried", "solved") if kind in known}
    fitting = [
        all(getattr(plot, kind) == text for kind, text in clauses.items()) for plot in PLOTS[group]
    ]
    return chance * _among(known.get("wish"), WISHES[group]) * fmean(fitting)


def _of_setting(lists: Sequence[Sequence[str]], known: Mapping[str, str]) -> float:
    of = zip(_OF_SETTING, lists, strict=True)
    return math.prod(_among(known.get(slot), choices) for slot, choices in of)


def _among(word: str | None, choices: Sequence[str]) -> float:
    """Return the probability of drawing a word from choices; 1 of a word that is not known."""
    return 1.0 if word is None else choices.count(word) / len(choices)

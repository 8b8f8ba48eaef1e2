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

What a system learns from are texts in which several such facts are told and asked for, each at any
distance. None of the tests' combinations of name, jewel and box is among them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sonar_cli.world import words as world
from sonar_cli.world.choices import ALL, Choices
from sonar_cli.world.grammar import render
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

# Sentences of the shortest texts to learn from, and how many there are to a fact.
_LEAST, _APART = 8, 8


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
        return {self.value} == set(VALUES) & set(re.findall(r"\w+", sentence.lower()))


def cases(
    count: int,
    lengths: Sequence[int] = LENGTHS,
    depths: Sequence[float] = DEPTHS,
    seed: int = 0,
    choices: Choices = ALL,
) -> Iterator[Case]:
    """Yield `count` test cases of each length and depth, the same for the same seed.

    Their combinations of name, jewel and box, and those of the stories around them, are held out
    of the texts for training.
    """
    for length in lengths:
        for depth in depths:
            for number in range(count):
                draw = random.Random(f"needle {seed} {length} {depth} {number}")
                yield _case(draw, length, depth, choices)


def text(number: int, longest: int = 32, choices: Choices = ALL) -> list[str]:
    """Return a text to learn from: sentences of stories, with facts told and later asked for.

    It has up to `longest` sentences, at least 4: of every order of length equally many texts. There
    is a fact for every eight sentences, each about a jewel of its own, told anywhere and asked for
    anywhere behind it; the answer follows at once. The same number always gives the same text.

    >>> told = text(3, longest=12)
    >>> sum("a thief hid" in each for each in told), len(told) <= 12
    (1, True)
    """
    draw = random.Random(f"needle training {number}")
    least = min(_LEAST, longest)
    sentences = round(least * (longest / least) ** draw.random())
    keys = choices.few(KEYS)
    things = draw.sample(keys, min(len(keys), max(1, sentences // _APART)))
    filler = _filler(draw, sentences - 3 * len(things), False, choices)
    inserted: list[tuple[int, int, list[str]]] = []
    for thing in things:
        slots = _facts(draw, False, choices, thing)
        told, asked = sorted(draw.randrange(len(filler) + 1) for _ in range(2))
        inserted.append((told, 0, [render(NEEDLE, slots)]))
        inserted.append((asked, 1, [render(QUESTION, slots), render(ANSWER, slots)]))
    found: list[str] = []
    for at in range(len(filler) + 1):
        for _, _, new in sorted(each for each in inserted if each[0] == at):
            found += new
        found += filler[at : at + 1]
    return found


def _case(draw: random.Random, length: int, depth: float, choices: Choices) -> Case:
    slots = _facts(draw, True, choices)
    context = _filler(draw, length - 1, True, choices)
    context.insert(int(depth * length + 1e-9), render(NEEDLE, slots))
    prompt = (*context, render(QUESTION, slots))
    return Case(prompt, render(ANSWER, slots), slots["box"], depth)


def _facts(
    draw: random.Random, held_out: bool, choices: Choices, thing: str = ""
) -> dict[str, str]:
    """Draw the facts of a needle, about a given jewel or any."""
    while True:
        facts = {slot: pick(draw, choices.values(slot)) for slot in ("name", "animal")}
        facts |= {
            "thing": thing or pick(draw, choices.few(KEYS)),
            "box": pick(draw, choices.few(VALUES)),
        }
        if is_held_out((facts["name"], facts["thing"], facts["box"])) == held_out:
            return facts


def _filler(draw: random.Random, count: int, held_out: bool, choices: Choices) -> list[str]:
    """Return so many sentences of stories without a jewel, the last of them cut short."""
    found: list[str] = []
    while len(found) < count:
        told = story(draw.getrandbits(48), held_out, choices)
        if told.combination[1] not in KEYS:
            found += told.sentences
    return found[:count]

"""Sentences made for breadth: what a codec has to give back and no text happens to say."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Sequence

_LETTERS = string.ascii_letters + string.digits + "äéñøßçæü" + string.punctuation
_WORD = re.compile(r"\w+(?:['’]\w+)*")
# Where a sentence may be cut for another to go on.
_CLAUSES = re.compile(r"(?<=[,;:—]) |(?= (?:and|but|because|when|while|until|so that|who|which) )")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FACTS = (
    "{name} was born on {month} {day}, {year}.",
    "The meeting is on {weekday}, {day} {month} at {hour}:{minute} {half}.",
    "It cost {price}, and {name} paid {price} more for the {word}.",
    "{name} lives at {small} {name} Street, {name}.",
    "In {year} there were {large} of them, {percent} more than in {year}.",
    "Call {name} at {small}-{hour}{minute}-{year} before {hour} o'clock.",
    "Chapter {day}: The {word} and the {word}",
    "{name} ({year}-{year}) wrote {day} books about {word}.",
    "Write to {lower}@{lower}.com or see www.{lower}.org.",
    "The {word} weighs {small}.{day} kg and is {day} feet {hour} inches long.",
    '"{day} + {hour} = ?" asked {name}.',
    "On page {small} of the {word} it says: \"{name}, {name} & {name}\".",
    "{name} and {name} met {name} in {name} on the {day}th of {month}.",
    "{percent} of the {small} {word}s were {word}; the other {day} were not.",
    "{year}/{hour}/{day}, {hour}:{minute}: {name} said {word}, {word}, {word} and {word}.",
)  # fmt: skip


def varied(sentences: Sequence[str], count: int, seed: int) -> list[str]:
    """Return `count` sentences made of the words of others, of five kinds in turn.

    Two sentences cut at a clause and joined; a sentence with some of its words replaced; its words
    in another order; a fact with names, numbers, dates, prices and addresses; and, by turns, random
    words and random characters. Without sentences there are none.

    >>> varied(["The dog ran home, and Tom was glad."], 1, seed=0)[0].endswith("Tom was glad.")
    True
    """
    known = _Known(sentences, random.Random(seed))
    return [known.make(number) for number in range(count)] if known.sentences else []


class _Known:
    """Sentences to make others of, their words, and their names."""

    def __init__(self, sentences: Sequence[str], draw: random.Random) -> None:
        found = {each: list(_WORD.finditer(each)) for each in dict.fromkeys(sentences)}
        self.draw = draw
        self.sentences = [each for each, words in found.items() if words]
        words = {match.group() for matches in found.values() for match in matches}
        # A name is a word with a capital that does not stand first, and never without it.
        later = {match.group() for matches in found.values() for match in matches[1:]}
        self.words = sorted({each.lower() for each in words})
        small = {each for each in words if each.islower()}
        names = {each for each in later if each.istitle() and each.lower() not in small}
        self.names = sorted(names) or [each.capitalize() for each in self.words]
        self.kinds: tuple[Callable[[], str], ...] = (
            self._joined, self._replaced, self._shuffled, self._fact, self._salad,
            self._joined, self._replaced, self._shuffled, self._fact, self._noise,
        )  # fmt: skip

    def make(self, number: int) -> str:
        return self.kinds[number % len(self.kinds)]()

    def _joined(self) -> str:
        first, second = self.draw.choice(self.sentences), self.draw.choice(self.sentences)
        head, tail = self.draw.choice(_parts(first))[0], self.draw.choice(_parts(second))[1]
        return f"{head} {tail}".strip()

    def _replaced(self) -> str:
        """A sentence with every fifth word or so, and one at least, replaced by another."""
        text = self.draw.choice(self.sentences)
        places = list(_WORD.finditer(text))
        chosen = [each for each in places if self.draw.random() < 0.2]
        for match in reversed(chosen or [self.draw.choice(places)]):
            word = self.draw.choice(self.words)
            word = word.capitalize() if match.group().istitle() else word
            text = text[: match.start()] + word + text[match.end() :]
        return text

    def _shuffled(self) -> str:
        words = self.draw.choice(self.sentences).split()
        self.draw.shuffle(words)
        return " ".join(words)

    def _fact(self) -> str:
        return _FACTS[self.draw.randrange(len(_FACTS))].format_map(_Slots(self))

    def _salad(self) -> str:
        words = [self.draw.choice(self.words) for _ in range(self.draw.randrange(2, 9))]
        return " ".join(words).capitalize() + self.draw.choice(".?!")

    def _noise(self) -> str:
        return "".join(self.draw.choice(_LETTERS) for _ in range(self.draw.randrange(2, 9)))


class _Slots(dict[str, str]):
    """What fills the slots of a fact, drawn anew each time."""

    def __init__(self, known: _Known) -> None:
        super().__init__()
        self.known = known

    def __missing__(self, slot: str) -> str:
        draw = self.known.draw
        lists: dict[str, Sequence[str]] = {
            "name": self.known.names,
            "word": self.known.words,
            "lower": self.known.words,
            "month": _MONTHS,
            "weekday": _DAYS,
            "half": ("am", "pm", "a.m.", "p.m."),
        }
        if slot in lists:
            return draw.choice(lists[slot])
        small = {"day": 31, "hour": 12, "small": 999}
        if slot in small:
            return str(draw.randrange(1, small[slot] + 1))
        if slot == "minute":
            return f"{draw.randrange(60):02}"
        if slot == "year":
            return str(draw.randrange(1500, 2100))
        if slot == "percent":
            return draw.choice(("{}%", "{} %", "{} per cent")).format(draw.randrange(1, 100))
        amount = f"{int(10 ** draw.uniform(0.5, 6.5)):,}"
        if slot == "large":
            return amount
        return draw.choice(("${}", "${}.50", "£{}", "€{}", "{} dollars", "{}.99 euros")).format(
            amount
        )


def _parts(sentence: str) -> list[tuple[str, str]]:
    """Return the ways to cut a sentence in two at a clause; whole, where there is none."""
    cuts = [match.span() for match in _CLAUSES.finditer(sentence)]
    return [(sentence[:a], sentence[b:].strip()) for a, b in cuts] or [(sentence, sentence)]

"""The story world's grammar: fill the slots of sentence patterns, and recognize its sentences.

>>> accepts("One day Lily found a kite.")
True
>>> accepts("One day Lily found an kite."), accepts("One day Lily found a happy.")
(False, False)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from sonar_cli.world import words
from sonar_cli.world.patterns import by_beat
from sonar_cli.world.plots import PLOTS, WISHES

Slots = Mapping[str, str]

PRONOUNS = {
    "girl": {"he": "she", "He": "She", "his": "her", "him": "her"},
    "boy": {"he": "he", "He": "He", "his": "his", "him": "him"},
}
# Slots that hold a clause of a plot, which has slots of its own.
CLAUSES = ("wish", "problem", "tried", "solved")

_NAMES = {**dict.fromkeys(words.GIRLS, "girl"), **dict.fromkeys(words.BOYS, "boy")}
_SINGLE: dict[str, list[str]] = {
    "name": words.GIRLS + words.BOYS,
    "hadj": words.HELPER_ADJECTIVES,
    "color": words.COLORS,
    "sad": words.SAD,
    "glad": words.GLAD,
    "weather": words.WEATHER,
    "time": words.TIMES,
    "season": words.SEASONS,
    "weekday": words.WEEKDAYS,
    "food": words.FOODS,
    "drink": words.DRINKS,
    "relative": words.RELATIVES,
    "job": words.JOBS,
    "adverb": words.ADVERBS,
    "said": words.SAID,
    "saidglad": words.SAID_GLAD,
    "promise": words.PROMISES,
    "tree": words.TREES,
    "furniture": words.FURNITURE,
    "flowers": words.FLOWERS,
    "tool": words.TOOLS,
    "material": words.MATERIALS,
    "bugs": words.BUGS,
    "box": words.BOXES,
    "sound": words.SOUNDS,
    "stars": words.STARS,
    "dance": words.DANCES,
    "game": words.GAMES,
}
# Slots whose words do not depend on the character, the thing or the place of a story.
FREE = tuple(slot for slot in _SINGLE if slot != "name")
# slot -> class of things or kind of place -> words
_BY_CLASS = {
    "adj": {kind: lists[0] for kind, lists in words.THINGS.items()},
    "thing": {kind: lists[1] for kind, lists in words.THINGS.items()},
}
_BY_SETTING = {
    "padj": {kind: lists[0] for kind, lists in words.SETTINGS.items()},
    "place": {kind: lists[1] for kind, lists in words.SETTINGS.items()},
    "animal": {kind: lists[2] for kind, lists in words.SETTINGS.items()},
}
_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"(^|[\s\"])@ (\w+)")
# Words that begin with a vowel letter but take "a", not "an".
_CONSONANT_SOUND = ("uniform",)


def values(slot: str) -> list[str]:
    """Return the words that can fill a slot.

    Raises KeyError for an unknown slot, and for those in `CLAUSES`, which hold clauses, not words.
    """
    if slot in _SINGLE:
        return _SINGLE[slot]
    for groups in (_BY_CLASS, _BY_SETTING):
        if slot in groups:
            return sorted({word for group in groups[slot].values() for word in group})
    return sorted({forms[slot] for forms in PRONOUNS.values()})


def render(pattern: str, slots: Slots) -> str:
    """Return a pattern with its slots filled, "a" or "an" for each "@", and a capital first letter.

    >>> render("@ {hadj} {animal} saw it.", {"hadj": "old", "animal": "owl"})
    'An old owl saw it.'
    """
    text = pattern
    while _SLOT.search(text):
        text = _SLOT.sub(lambda match: slots[match[1]], text)
    text = _ARTICLE.sub(lambda match: f"{match[1]}{_article(match[2])} {match[2]}", text)
    start = 1 if text.startswith('"') else 0
    return text[:start] + text[start].upper() + text[start + 1 :]


def gender(name: str) -> str:
    """Return "girl" or "boy" for a main character's name; raise KeyError for another name."""
    return _NAMES[name]


def patterns() -> tuple[str, ...]:
    """Return the sentence patterns of all narrators, including those of summaries."""
    return tuple(
        pattern
        for narrators in by_beat().values()
        for lines in narrators.values()
        for pattern in lines
    )


def clauses(kind: str) -> Iterator[tuple[str, str]]:
    """Yield (class of things, clause) for each clause of a kind, which is one of `CLAUSES`."""
    for group in PLOTS:
        if kind == "wish":
            yield from ((group, wish) for wish in WISHES[group])
        else:
            yield from ((group, getattr(plot, kind)) for plot in PLOTS[group])


@lru_cache(maxsize=1)
def vocabulary() -> frozenset[str]:
    """Return all words that the grammar can write, in lower case."""
    texts = [*patterns(), *(text for kind in CLAUSES for _, text in clauses(kind))]
    slots = {slot for text in texts for slot in _SLOT.findall(text)} - set(CLAUSES)
    fixed = " ".join(_SLOT.sub(" ", text) for text in texts)
    filled = " ".join(word for slot in slots for word in values(slot))
    return frozenset(re.findall(r"[a-z]+", f"{fixed} {filled} a an".lower()))


def accepts(sentence: str) -> bool:
    """Tell whether the grammar can write the sentence, including its agreement and articles."""
    return any(
        _consistent(pattern, sentence, slots)
        for pattern, regex in _compiled()
        if (match := regex.fullmatch(sentence))
        for slots in _fillings(match.groupdict())
    )


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" and word not in _CONSONANT_SOUND else "a"


@lru_cache(maxsize=1)
def _compiled() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((pattern, _regex(pattern)) for pattern in patterns())


@lru_cache(maxsize=4)
def _compiled_clauses(kind: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((group, _regex(text)) for group, text in clauses(kind))


def _regex(pattern: str) -> re.Pattern[str]:
    seen: set[str] = set()

    def slot(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        if name in CLAUSES:
            return f"(?P<{name}>.+)"
        choices = sorted(values(name), key=len, reverse=True)
        return f"(?P<{name}>{'|'.join(map(re.escape, choices))})"

    escaped = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}")
    escaped = re.sub(r"(?<![\w\\])@", "[Aa]n?", escaped)
    return re.compile(_SLOT.sub(slot, escaped))


def _fillings(found: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield the slots of a sentence together with those of its clauses and their `class` of things.

    A sentence can hold two clauses (a wish and a problem). Both must be of the same class and have
    the same words in the slots that they share.
    """
    clause = next((kind for kind in CLAUSES if kind in found), None)
    if clause is None:
        yield found
        return
    rest = {slot: word for slot, word in found.items() if slot != clause}
    for group, regex in _compiled_clauses(clause):
        if match := regex.fullmatch(found[clause]):
            inner = {**match.groupdict(), "class": group}
            if all(rest.get(slot, word) == word for slot, word in inner.items()):
                for filling in _fillings({**rest, **inner}):
                    yield {clause: found[clause], **filling}


def _consistent(pattern: str, sentence: str, slots: dict[str, str]) -> bool:
    """Tell whether pronouns, classes of words and articles agree, which the regex cannot check."""
    genders = {
        kind
        for kind, forms in PRONOUNS.items()
        if all(slots[slot] == word for slot, word in forms.items() if slot in slots)
    }
    if "name" in slots:
        genders &= {gender(slots["name"])}
    groups = {slots["class"]} if "class" in slots else set(words.THINGS)
    return (
        bool(genders)
        and _share_a_group(_BY_CLASS, slots, groups)
        and _share_a_group(_BY_SETTING, slots, set(words.SETTINGS))
        and render(pattern, slots) == sentence
    )


def _share_a_group(
    by_group: Mapping[str, Mapping[str, list[str]]], slots: Slots, groups: set[str]
) -> bool:
    return any(
        all(slots[slot] in lists[group] for slot, lists in by_group.items() if slot in slots)
        for group in groups
    )

"""The story world: what it writes, and that `accepts` knows exactly that."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from sonar_cli.world import grammar
from sonar_cli.world import stories as world
from sonar_cli.world.stories import Story

PINNED = (
    "On a cloudy night, Will walked to the shallow riverbank.",
    "There Will saw a bicycle and longed to ride the bicycle down the road.",
    "The snowflakes over the riverbank made Will glad.",
    "Before long, Will learned that the bicycle was stuck in the mud.",
    "Will gazed at the bicycle with disappointed eyes.",
    "For a long while, Will patiently pushed the bicycle until sunset.",
    "After an hour, Will was tired and hungry.",
    "From the shadows of the riverbank stepped a cheerful salmon.",
    "Will showed the bicycle to the salmon.",
    "The salmon had a clever plan for the bicycle.",
    "Then the cheerful salmon patiently tied a rope to the bicycle and pulled it out.",
    "Will kissed the salmon on the nose.",
    "Will was so glad that he danced a ballet.",
    "The salmon liked the berries that Will made.",
    "Then Will went home and slept under the snowflakes.",
)


@pytest.fixture(scope="module")
def told() -> list[Story]:
    return list(world.stories(8_000, seed=1))


@pytest.fixture(scope="module")
def few(told: list[Story]) -> list[str]:
    """Sentences and summaries of 150 stories of each kind: enough to meet every narrator."""
    held_out = world.stories(150, seed=1, held_out=True)
    return [text for each in [*told[:150], *held_out] for text in each.sentences + each.summary]


def _all(stories: list[Story]) -> Iterator[str]:
    for each in stories:
        yield from each.sentences + each.summary


def test_a_seed_gives_the_same_story_everywhere() -> None:
    assert world.story(7).sentences == PINNED
    assert list(world.stories(20, seed=3)) == list(world.stories(20, seed=3))
    assert world.story(7) != world.story(8)


def test_stories_have_5_to_15_sentences_and_repeat_none(told: list[Story]) -> None:
    for each in told:
        assert 5 <= len(each.sentences) <= 15
        assert len(set(each.sentences)) == len(each.sentences)


def test_at_least_1500_words_occur_and_none_is_rare(told: list[Story]) -> None:
    sentences = list(_all(told))
    found = Counter(word for text in sentences for word in set(re.findall("[a-z]+", text.lower())))
    assert len(found) >= 1_500
    assert set(found) == world.vocabulary()
    assert min(found.values()) >= len(sentences) / 15_000


def test_at_least_150_patterns_occur(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[str] = set()
    render = grammar.render

    def recording(pattern: str, slots: grammar.Slots) -> str:
        used.add(pattern)
        return render(pattern, slots)

    monkeypatch.setattr(world, "render", recording)
    for _ in world.stories(1_500, seed=2):
        pass
    assert len(used) >= 150
    assert used == set(world.patterns())


def test_every_slot_value_occurs(told: list[Story]) -> None:
    text = "\n".join(_all(told))
    words = set(re.findall(r"\w+", text))
    slots = {slot for pattern in world.patterns() for slot in re.findall(r"{(\w+)}", pattern)}
    for slot in slots - set(grammar.CLAUSES):
        assert set(grammar.values(slot)) <= words, slot


def test_all_that_is_written_is_accepted(few: list[str]) -> None:
    assert [text for text in few if not world.accepts(text)] == []


def test_sentences_are_plain(few: list[str]) -> None:
    for text in few:
        assert text.isascii() and text[0] in '"ABCDEFGHIJKLMNOPQRSTUVWXYZ'
        assert text.count('"') in (0, 2) and "  " not in text and not set(text) & set("{}@;")
        # One sentence, also within quotes: Punkt must find no place to split.
        assert not re.search(r"\.[\s\"]", text)
        assert text[-1] in '.!?"'


def test_the_name_stays_and_no_other_appears(told: list[Story]) -> None:
    names = set(grammar.values("name"))
    assert "Lily" in names and 60 <= len(names) <= 100
    for each in told:
        for text in each.sentences + each.summary:
            assert set(re.findall(r"\w+", text)) & names <= {each.name}
        assert any(each.name in text for text in each.sentences[:2])
        assert sum(each.name in text for text in each.sentences) >= 2


def test_the_thing_stays_and_every_story_tells_the_place(told: list[Story]) -> None:
    places = 0
    for each in told:
        name, thing, place = each.combination
        assert name == each.name
        texts = [set(re.findall(r"\w+", text)) for text in each.sentences]
        assert thing in texts[0] | texts[1]
        assert sum(thing in words for words in texts) >= 2
        places += any(place in words for words in texts)
    assert places == len(told)


def test_summaries_are_short_and_name_the_character(told: list[Story]) -> None:
    for each in told:
        assert 1 <= len(each.summary) <= 3
        assert each.name in each.summary[0]
    assert {len(each.summary) for each in told} == {1, 2, 3}


def test_dialogue_occurs_and_has_one_sentence_in_its_quotes(told: list[Story]) -> None:
    sentences = list(_all(told))
    quoted = [match[1] for text in sentences if (match := re.search(r'"(.+)"', text))]
    assert len(quoted) > len(sentences) / 20
    assert all(not re.search(r"[.!?].", each) for each in quoted)


def test_held_out_combinations_are_never_trained_on(told: list[Story]) -> None:
    held_out = {each.combination for each in world.stories(2_000, seed=1, held_out=True)}
    trained = {each.combination for each in told}
    assert not held_out & trained
    assert all(map(world.is_held_out, held_out)) and not any(map(world.is_held_out, trained))


def test_about_one_combination_in_twenty_is_held_out() -> None:
    share = [
        world.is_held_out((name, thing, place))
        for name in grammar.values("name")[:20]
        for thing in grammar.values("thing")
        for place in grammar.values("place")
    ]
    assert 0.045 <= sum(share) / len(share) <= 0.055


@pytest.mark.parametrize(
    "sentence",
    [
        "One day Lily found a kite.",
        "At last a wise owl came to the aid of Anna.",
        "An old owl saw it.",
        "He was so sad that he sat down by the kite.",
        '"Can you help me with my kite?" asked Lily.',
        "Lily wanted to fly the kite above the roofs, but the string of the kite was tangled.",
        "Lily wanted to give the map to her aunt, but some pages of the map were missing.",
    ],
)
def test_the_grammar_accepts(sentence: str) -> None:
    assert world.accepts(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "One day Lily found an kite.",  # article
        "One day Lily found an uniform.",
        "One day Lily found a owl.",
        "An wise owl saw it.",
        "one day Lily found a kite.",  # capital letter
        "One day Lily found a kite",  # full stop
        "One day Lily found a kite.\n",
        "One day Lily found a.",  # cut short
        "One day Lily Lily found a kite.",  # doubled word
        "One day found Lily a kite.",  # order
        "One day Lily found a happy.",  # class of the word
        "One day Lily found a bouncy kite.",  # adjective of another class
        "From the shadows of the forest stepped an old penguin.",  # animal of another place
        "He was so sad that she sat down by the kite.",  # pronoun within the sentence
        "Tom was so glad that she danced a jig.",  # pronoun against the name
        "Lily wanted to give the map to his aunt.",
        '"Look, a sweet cake!" said Zog.',  # a name it does not know
        '"Can you help me with my kite? asked Lily.',  # quotes
        "Lily wanted to fly the ball above the roofs.",  # wish of another class
        "But the kite had a leak in the bottom.",  # problem of another class
        "Lily wanted to fly the kite above the roofs, but anything may stand here.",
        "Lily wanted to fly the kite above the roofs, but the boat had a leak in the bottom.",
        "Lily wanted to fly the kite above the roofs, but the string of the drone was tangled.",
    ],
)
def test_the_grammar_rejects(sentence: str) -> None:
    assert not world.accepts(sentence)


def test_damaged_sentences_are_rejected(few: list[str]) -> None:
    draw = random.Random(1)
    for text in few[::2]:
        words = text.split()
        at = draw.randrange(len(words))
        doubled = words[: at + 1] + words[at:]
        assert not world.accepts(" ".join(doubled)), doubled
        assert not world.accepts(" ".join(words[:-1]))
        assert not world.accepts(text[:-1])
        foreign = [*words[:at], "qwerty", *words[at + 1 :]]
        assert not world.accepts(" ".join(foreign)), foreign
        if at and words[at - 1] != words[at]:
            words[at - 1], words[at] = words[at], words[at - 1]
            assert not world.accepts(" ".join(words)), words

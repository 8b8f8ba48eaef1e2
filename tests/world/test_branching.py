"""The branching story world: the same grammar, and what every sentence tells."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from sonar_cli.training.tables import Data
from sonar_cli.training.texts import documents
from sonar_cli.world import branching, words
from sonar_cli.world import stories as world
from sonar_cli.world.choices import Choices
from sonar_cli.world.patterns import BEATS


def test_stories_are_of_the_grammar_and_differ() -> None:
    told = list(branching.stories(60))
    assert all(branching.accepts(s) for each in told for s in (*each.sentences, *each.summary))
    assert len({each.sentences for each in told}) == 60
    assert all(5 <= len(each.sentences) <= len(BEATS) for each in told)
    assert all(each.name in " ".join(each.sentences) for each in told)
    held = list(branching.stories(20, held_out=True))
    assert all(world.is_held_out(each.combination) for each in held)
    assert not any(world.is_held_out(each.combination) for each in told)


def test_probabilities_add_up() -> None:
    """Over all that can be drawn of a thing, of a place, and of both with what describes them."""
    things = [(a, t) for lists in words.THINGS.values() for a in lists[0] for t in lists[1]]
    places = [(p, q) for lists in words.SETTINGS.values() for p in lists[1] for q in lists[2]]

    def total(facts: set[tuple[tuple[str, str], ...]]) -> float:
        return sum(2 ** -branching._bits(dict(each)) for each in facts)

    assert total({(("thing", t),) for _, t in things}) == pytest.approx(1)
    assert total({(("adj", a), ("thing", t)) for a, t in things}) == pytest.approx(1)
    assert total({(("place", p), ("animal", q)) for p, q in places}) == pytest.approx(1)
    assert total({(("name", n),) for n in words.GIRLS + words.BOYS}) == pytest.approx(1)


def test_bits_by_hand() -> None:
    told = list(branching.stories(1_500, seed=3))
    bought = [each for each in told if " bought " in each.sentences[0]]
    assert len(bought) / len(told) == pytest.approx(1 / 12, abs=0.03)
    names, days = len(words.GIRLS + words.BOYS), len(words.WEEKDAYS)
    for each in bought:
        thing = each.combination[1]
        chance = sum(things.count(thing) / len(things) for _, things in words.THINGS.values())
        wanted = math.log2(12 * names * days * len(words.THINGS) / chance)
        assert each.bits[0] == pytest.approx(wanted)
    # What is known already tells nothing: a closing tells its pattern and the beats left out.
    home = [each for each in told if each.sentences[-1].endswith("went home with the boat.")]
    assert all(each.bits[-1] < math.log2(12 * 3**3) + 1e-6 for each in home)
    assert all(bits > 0 for each in told for bits in each.bits)
    assert branching.entropy(200) == pytest.approx(8.5, abs=0.4)


def test_more_is_open_than_in_the_story_world() -> None:
    """After the same two sentences stories go on in many ways."""
    wishes = Counter(
        (told.combination, told.sentences[1][-20:]) for told in branching.stories(3_000, seed=4)
    )
    assert math.log2(len(wishes)) > 10
    kites = [each for each in branching.stories(3_000, seed=5) if each.combination[1] == "kite"]
    problems = {each.sentences[2:4] for each in kites}
    assert len(problems) > 3


def test_it_is_trained_on() -> None:
    data = Data(path="branching", stories=4, summaries=True)
    found = list(documents(data, print))
    assert found[0] == list(branching.story(0).sentences)
    assert found[1][-len(branching.story(1).summary) :] == list(branching.story(1).summary)


@pytest.mark.parametrize("most", [3, 4, 6])
def test_a_small_world(most: int) -> None:
    """Of every list the first words alone; held-out combinations stay apart; bits add up."""
    few = Choices(most)
    told = list(branching.stories(400, 5, choices=few))
    held = list(branching.stories(40, 5, held_out=True, choices=few))
    names = {each.name for each in told}
    assert names == {*words.GIRLS[:most], *words.BOYS[:most]}
    assert {each.combination for each in held}.isdisjoint(each.combination for each in told)
    assert all(branching.accepts(sentence) for each in told + held for sentence in each.sentences)
    # The last sentence says its pattern, of at most so many, and the beats left out before it.
    ends = [each.bits[-1] for each in told if each.name in each.sentences[-1]]
    assert max(ends) < math.log2(most * 3**4) + 6 and min(each.bits[0] for each in told) > 3
    kinds = list(words.THINGS.values())[:most]
    things = [(a, t) for lists in kinds for a in lists[0][:most] for t in lists[1][:most]]
    total = sum(2 ** -branching._bits({"adj": a, "thing": t}, few) for a, t in things)
    assert total == pytest.approx(1)


def test_a_small_world_tells_less() -> None:
    found = [branching.entropy(200, choices=Choices(most)) for most in (3, 6, 0)]
    assert found == sorted(found) and found[0] < found[2] - 2


def test_a_small_world_is_that_of_the_story_world() -> None:
    told = list(world.stories(300, choices=Choices(3)))
    things = {thing for _, thing, _ in (each.combination for each in told)}
    kinds = list(words.THINGS.values())[:3]
    assert things == {thing for _, lists in kinds for thing in lists[:3]}

"""Sentences made for breadth."""

from __future__ import annotations

import re

from sonar_cli.training.breadth import varied

GIVEN = [
    "The old dog ran home, and Alice was glad.",
    "When it rained, Ben stayed in bed until noon.",
    "Alice said that the cat of Mr. Brown had eaten her cake.",
]


def test_they_depend_on_sentences_and_seed_alone() -> None:
    assert varied(GIVEN, 40, 1) == varied(GIVEN + GIVEN[:1], 40, 1) != varied(GIVEN, 40, 2)
    assert varied(GIVEN, 40, 1)[:10] == varied(GIVEN, 10, 1)
    assert varied([], 5, 0) == varied(["?!"], 5, 0) == []


def test_each_kind_is_what_it_says() -> None:
    found = varied(GIVEN, 1000, 0)
    words = {word.lower() for each in GIVEN for word in re.findall(r"\w+", each)}
    joined, replaced, shuffled, facts, salads, noise = (
        [*found[first::10], *found[second::10]]
        for first, second in ((0, 5), (1, 6), (2, 7), (3, 8), (4, 4), (9, 9))
    )
    assert "When it rained, and Alice was glad." in joined
    counted = {len(each.split()) for each in GIVEN}
    assert all(len(each.split()) in counted for each in replaced)
    assert sum(each in GIVEN for each in replaced) < 0.1 * len(replaced)
    orders = [sorted(each.split()) for each in GIVEN]
    assert all(sorted(each.split()) in orders for each in shuffled) and len(set(shuffled)) > 50
    kinds = (
        r"\d:\d\d",
        r"[$£€]\d",
        r"[A-Z][a-z]+ \d{4}|\d{4}-\d{4}",
        r"@\w+\.com",
        r"\d ?%",
        "Street",
    )
    assert all(any(re.search(kind, each) for each in facts) for kind in kinds)
    assert not any("{" in each for each in facts)
    # A name is known by its capital within a sentence; "When" and "The" are none.
    assert {"Alice", "Ben", "Brown", "Mr"} >= {
        each.split()[0] for each in facts if "lives at" in each
    }
    assert {word for each in salads for word in re.findall(r"\w+", each.lower())} <= words
    assert len(set(noise)) > 50

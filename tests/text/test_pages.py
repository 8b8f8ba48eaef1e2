"""Plain text with page breaks: what of it is prose, and what only stands at a page's edge."""

from __future__ import annotations

import pytest

from sonar_cli.text import plain
from sonar_cli.text.documents import passages
from tests.text.reading import found, prose, sources

LAST = "The miller had asked his elder daughter Ann to look after the old"
NEXT = "mill while he was away. She did so."
WHOLE = [f"{LAST} mill while he was away.", "She did so."]


@pytest.mark.parametrize(
    "between",
    [
        "\n\f",
        "\n\n\f",
        "\n\n                 12\n\n\f",
        "\n- 12 -\n\f",
        "\nPage 3 of 40\n\f\n\n",
        "\n\nxiv\n\f",
        "\n\n\f12\n\n",
        "\n\nThe Two Mills                                                       12\n\n\f",
        "\n\n\f12          The Two Mills, a tale of a river and of all who lived there\n\n",
        "\n\nThe Two Mills\n\n\f",
        "\n\nThe Two Mills\n\n12\n\n\f   A Tale\n\n",
    ],
)
def test_a_sentence_runs_over_the_edges_of_pages(between: str) -> None:
    assert prose(LAST + between + NEXT, "text") == WHOLE
    assert sources(LAST + between + NEXT, "text") == [
        f"{LAST}{between}mill while he was away.",
        "She did so.",
    ]


def test_headers_and_footers_repeat() -> None:
    sides = [
        f"Mills of the Past, edition 2, page {page}\nAll rights are reserved.\n\n"
        f"It was {weather} that year. Nobody knew\nwhy it was {weather}.\n\nby Ann Roe\n"
        for page, weather in enumerate(("dry", "wet", "cold"), start=7)
    ]
    text = "\f".join(["Mills\n", *sides, "The end of it.\n"])
    expected = ["It was {} that year.", "Nobody knew why it was {}."]
    told = [each.format(word) for word in ("dry", "wet", "cold") for each in expected]
    assert prose(text, "text") == [*told, "The end of it."]


def test_words_are_joined_over_a_page_break() -> None:
    assert prose("The miller was un-\n\n  12\n\n\fhappy again. He left.\n", "text") == [
        "The miller was unhappy again.",
        "He left.",
    ]


def test_what_is_not_certainly_furniture_stays() -> None:
    # Chapters begin on new pages, and their numbers do not count pages.
    text = "Chapter 1\n\nIt was dry.\n\n\fIt rained.\n\n\fChapter 2\n\nIt snowed.\n"
    assert found(text, "text") == [
        ("heading", "Chapter 1"),
        ("prose", "It was dry."),
        ("prose", "It rained."),
        ("heading", "Chapter 2"),
        ("prose", "It snowed."),
    ]
    # A sentence that two pages end with, and pages that are all alike.
    text = "Ann ran.\nBen sat.\nSo it was.\n\fAnn sat.\nBen ran.\nSo it was.\n\f"
    assert prose(text, "text").count("So it was.") == 2
    assert len(found("We won it.\n\f" * 4, "text")) == 4
    # Far from the break.
    assert prose("It was\n\n12\n\nof them. We saw.\n\n\fThey left.\n", "text") == [
        "of them.",
        "We saw.",
        "They left.",
    ]


def test_what_has_ended_does_not_go_on() -> None:
    assert (
        prose("We saw the mill.\n\n7\n\n\fand left. So it was.\n", "text")[0] == "We saw the mill."
    )
    assert ("heading", "The Mill") in found("We left.\n\n\fThe Mill\n\nand so on. It fell.", "text")


def test_without_page_breaks_it_is_plain_text() -> None:
    text = "The Mill\n\nIt stood there and\n\n12\n\nwas red. It fell.\n"
    expected = [each.text for each in plain.blocks(text)]
    assert [each.text for each in passages(text, "text")][:3] == [e.strip() for e in expected[:3]]

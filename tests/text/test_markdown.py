"""Markdown: what is prose in it, where its sentences stand, and how long that takes."""

from __future__ import annotations

import time

import pytest

from tests.text.reading import found, prose, sources


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Comments, scripts and code hold empty lines.
        ("Ann sat.\n\n<!-- todo.\n\nLater. -->\n\nBen ran.\n", ["Ann sat.", "Ben ran."]),
        ("<script>\nlet a = 'Go.';\n\nrun();\n</script>\n\nBen ran.\n", ["Ben ran."]),
        ("<style>\np {}\n\nb {}\n</style>\n\nBen ran.\n", ["Ben ran."]),
        ("<pre>\nOne. Two.\n\nThree.\n</pre>\n\nBen ran.\n", ["Ben ran."]),
        # What begins with a tag, or follows a comment.
        ("<i>Look:</i> it snows. We stay.\n", ["Look: it snows.", "We stay."]),
        ("<!-- x -->\nIt snows again.\n", ["It snows again."]),
        ("<!-- x --> It snows again.\n", ["It snows again."]),
        ('<p align="center">It <b>snows</b> again.</p>\n', ["It snows again."]),
        ("<div>\n\nIt *snows* again.\n\n</div>\n", ["It snows again."]),
        ("> <p>It snows.</p>\n> <p>It melts.</p>\n", ["It snows.", "It melts."]),
        # Paragraphs that are set in.
        ("- Take it.\n\n    Then leave. Go far.\n", ["Take it.", "Then leave.", "Go far."]),
        ("10. Take it.\n\n    Then leave.\n\n11. Rest.\n", ["Take it.", "Then leave.", "Rest."]),
        ("-\tTake it.\n\n\tThen leave.\n", ["Take it.", "Then leave."]),
        ("    The night was dark and long. Nobody slept.\n",
         ["The night was dark and long.", "Nobody slept."]),
        # Rules and front matter.
        ("---\n\nDraft: do not send it.\n\n---\n\nHello there.\n",
         ["Draft: do not send it.", "Hello there."]),
        ("---\nIt begins with a rule. Yes.\n\n---\n", ["It begins with a rule.", "Yes."]),
        ("---\ntitle: Kites\nNo end follows here. It is text.\n",
         ["title: Kites No end follows here.", "It is text."]),
        ("---\ntitle: Kites\ntags:\n- a\n---\nHello there.\n", ["Hello there."]),
        ("---\n# Of the page.\ntitle: Kites\n---\nHello there.\n", ["Hello there."]),
        ('+++\ntitle = "Kites"\n+++\nHello there.\n', ["Hello there."]),
        # A fence ends with what it stands in.
        ("> See:\n> ```\n> a = 1\n\nAll is well.\n", ["See:", "All is well."]),
        ("- See:\n  ~~~\n  a = 1\n\nAll is well.\n", ["See:", "All is well."]),
        # Numbers at the beginning of a line.
        ("She came in\n2004. It was fine.\n", ["She came in 2004.", "It was fine."]),
        # Stars and the like that mark nothing.
        ("Copy *.md and a* there. Done.\n", ["Copy *.md and a* there.", "Done."]),
        ("We know 5*3 and 4*2 and 2 * 2.\n", ["We know 5*3 and 4*2 and 2 * 2."]),
        ("Use _x and snake_case_names, __init__ not.\n",
         ["Use _x and snake_case_names, init not."]),
        # Links.
        ("Read [this [old] page](http://a.org/b_(c)) soon.\n", ["Read this [old] page soon."]),
        ('A [link](<a b> "its title") and [one][b].\n\n[b]: http://x.org\n', ["A link and one."]),
        ("The list a[i][j] and [this] stay.\n", ["The list a[i][j] and [this] stay."]),
        # Alerts, tasks, notes.
        ("> [!WARNING]\n> It is hot.\n", ["It is hot."]),
        ("> [!tip]- Cool it\n> It is hot.\n", ["Cool it", "It is hot."]),
        ("It is so.[^a]\n\n[^a]: As Ann says. Ask her.\n",
         ["It is so.", "As Ann says.", "Ask her."]),
        # Line ends of old machines.
        ("# A\r\rIt is *old*.\r\rIt works.\r", ["It is old.", "It works."]),
        ("First line<br>Second line.\n", ["First line", "Second line."]),
        ("> " * 90 + "It is deep.\n", ["It is deep."]),
    ],
)  # fmt: skip
def test_what_is_prose(text: str, expected: list[str]) -> None:
    assert prose(text, "markdown") == expected


def test_a_long_line_is_cut_between_its_marks() -> None:
    text = "See [the *old* page](http://example.org/a) now. " * 2_000
    assert set(prose(text, "markdown")) == {"See the old page now."}


def test_nothing_is_lost_where_it_is_nested_too_deeply() -> None:
    text = "".join("  " * depth + f"- Item {depth}.\n" for depth in range(100))
    assert prose(text, "markdown") == [f"Item {depth}." for depth in range(100)]
    text = "> - " * 50 + "It is deep. Very.\n\nIt is not.\n"
    assert prose(text, "markdown") == ["It is deep.", "Very.", "It is not."]


def test_code_is_no_prose() -> None:
    assert found("    x = run(1)\n", "markdown") == [("code", "x = run(1)")]
    text = "    Usage: fly [KITE]\n\n    Fly a kite, or two of them.\n"
    assert {kind for kind, _ in found(text, "markdown")} == {"code"}
    assert found("<!-- Just this. -->\n", "markdown") == [("code", "<!-- Just this. -->")]


@pytest.mark.parametrize(
    "source",
    [
        "Type `make test`",
        "`one` comes first.",
        "*All of it.*",
        "A **b** c [d](http://e.org)",
        "<http://example.org>",
        "Salt &amp;",
        "AT&T &lt;here&gt;",
        r"A \*star\*",
        "``a`b``",
        "*I* am.",
    ],
)
@pytest.mark.parametrize("frame", ["{}\n", "> {}\n", "- a\n- {}\n", "# {} #\n", "1. x\n\n   {}\n"])
def test_places_hold_whole_sentences(source: str, frame: str) -> None:
    from sonar_cli.text.documents import passages

    text = frame.format(source)
    last = list(passages(text, "markdown"))[-1]
    assert text[last.start : last.end] == source


def test_places_in_wrapped_and_quoted_lines() -> None:
    text = "\ufeff---\na: b\n---\n> He said\n> *so*. And\n> left.\n"
    assert prose(text, "markdown") == ["He said so.", "And left."]
    assert sources(text, "markdown") == ["He said\n> *so*.", "And\n> left."]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 40_000 + "a" + "](b)" * 40_000,
        "![" * 40_000 + "a" + "](b)" * 40_000,
        "".join("x" + "`" * (count % 60) for count in range(6_000)),
        "*a **b " * 25_000,
        "> " * 100_000 + "a",
        "<b> <!-- " * 20_000,
        "a [b](c " * 25_000,
    ],
    ids=["links", "images", "backticks", "stars", "quotes", "comments", "targets"],
)
def test_time_grows_with_the_length(text: str) -> None:
    begun = time.process_time()
    prose(text, "markdown")
    assert time.process_time() - begun < 20

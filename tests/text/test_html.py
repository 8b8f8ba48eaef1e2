"""HTML: which text of a page is read, where it stands, and how long that takes."""

from __future__ import annotations

import time

import pytest

from tests.text.reading import found, prose, sources


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Tables that lay out a page.
        ("<table><tr><td><p>It is old. So be it.</p><p>It works.</p></table>",
         ["It is old.", "So be it.", "It works."]),
        ("<table><tr><td><a>Home</a><td>The sky is grey. We stay.</table>",
         ["The sky is grey.", "We stay."]),
        ("<table><tr><td><table><tr><td>It is deep in here.</table></table>",
         ["It is deep in here."]),
        ("<table><tr><td>天気がいい。</table>", ["天気がいい。"]),
        # Text that stands in what is left out elsewhere.
        ("<form><p>Fill it in. Send it.</p><input><button>Go.</button></form>",
         ["Fill it in.", "Send it."]),
        ("<header><p>All there is. Really.</p></header>", ["All there is.", "Really."]),
        ("<aside><p>All there is.</p></aside><h1>Top</h1>", ["All there is."]),
        ("<body style='display: none'><p>It shows later.</p></body>", ["It shows later."]),
        ("<header>No.</header><p>Yes.</p><footer>No.</footer>", ["Yes."]),
        ("<article><header><h1>A</h1><p>A lead. Yes.</p></header><p>More.</p></article>",
         ["A lead.", "Yes.", "More."]),
        ("<main><header><p>A lead.</p></header><p>More.</p></main>", ["A lead.", "More."]),
        ("<figure><blockquote>Said so.</blockquote><figcaption>No.</figcaption></figure>",
         ["Said so."]),
        # <main> and <article>.
        ("<main></main><p>It is here.</p>", ["It is here."]),
        ("<main hidden><p>No. No.</p></main><p>It is here.</p>", ["It is here."]),
        ("<main><p>Wait.</p></main><p>The text is in another place, and it is long.</p>",
         ["Wait.", "The text is in another place, and it is long."]),
        ("<div role=main><p>It is here.</p></div><p>Menu.</p>", ["It is here."]),
        ("<article><p>One.</p></article><article><p>Two.</p></article>", ["One.", "Two."]),
        # Broken pages.
        ("<p>One.<ul><li>Two.<li>Three.</ul>Four.", ["One.", "Two.", "Three.", "Four."]),
        ("<h2>A <b>title<p>One.<h2>B</h2><p>Two.", ["One.", "Two."]),
        ("<nav><ul><li>Home</ul><main><p>One.</p></main>", ["One."]),
        ("<title>A title<p>One.", ["A title", "One."]),
        ("<title>A title</title><p>One.", ["One."]),
        ("<button>Go<p>One. Two.", ["Go", "One.", "Two."]),
        ("<h1>Title</h2>One. Two.", ["One.", "Two."]),
        ("<p>One <noscript><img></noscript>is one.</p>", ["One is one."]),
        ("<p>One.</p><span hidden><div>No.</div></span><p>Two.", ["One.", "Two."]),
        ("<p>One. <span hidden>no<p>Two.", ["One.", "Two."]),
        ("One.<!-- two. <p>Three.", ["One.<!-- two.", "Three."]),
        ("<p>One.<b", ["One.<b"]),
        ("<p>&#" + "9" * 5_000 + "; is one.", ["&#" + "9" * 5_000 + "; is one."]),
        ("<p>a < b &amp;&amp; c &lt;3.", ["a < b && c <3."]),
        ("<p><![CDATA[It is text.]]></p>", ["It is text."]),
        ("<p>A <span hidden>no </span>word.</p>", ["A word."]),
        ("<p>One line<br>Another line.<br><br>A third.", ["One line", "Another line.", "A third."]),
        ("<dl><dt>Kite<dd>It flies.</dl>", ["Kite", "It flies."]),
    ],
)  # fmt: skip
def test_what_is_read(text: str, expected: list[str]) -> None:
    assert prose(text, "html") == expected


def test_a_table_of_figures_is_one_block() -> None:
    text = "<table><tr><th>Kite<th>Price<tr><td>red<td>3.50</table><p>It is red.</p>"
    assert found(text, "html") == [("table", "Kite Price red 3.50"), ("prose", "It is red.")]


@pytest.mark.parametrize(
    "source",
    [
        "One &amp; two.",
        "Caf&eacute;",
        "A <b>bold</b> one.",
        "So<!-- x -->me.",
        "A\n  wrapped\tone.",
        "&lt;Tag&gt;",
    ],
)
def test_places_are_those_of_the_characters(source: str) -> None:
    text = f"<html>\n<body>\r\n<p class='a'>{source}</p>\n<p>More.</p>"
    assert sources(text, "html") == [source, "More."]


@pytest.mark.parametrize(
    "text",
    [
        "<p>It rained.\n" * 15_000,
        "<div>" * 20_000 + "Deep.",
        "<div>" * 20_000 + "<li></li>" * 20_000,
        '<p a="' * 30_000,
        "<!--" * 50_000,
        "<!-- > " * 30_000,
        "<?" * 100_000,
        "</b " * 50_000,
        "<![" * 70_000,
        "<table><tr><td>a" * 15_000,
    ],
    ids=["p", "div", "li", "quote", "comment", "comments", "pi", "end", "section", "table"],
)
def test_time_grows_with_the_length(text: str) -> None:
    begun = time.process_time()
    prose(text, "html")
    assert time.process_time() - begun < 20

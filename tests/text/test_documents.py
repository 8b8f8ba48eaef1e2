"""What in a document is prose, what its sentences are, and where they stood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonar_cli.errors import InputError
from sonar_cli.text import documents, markdown
from sonar_cli.text.blocks import Block
from sonar_cli.text.documents import CANDIDATES, Format, Passage, detect, passages


def _found(text: str, format: Format) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in passages(text, format)]


def _prose(text: str, format: Format) -> list[str]:
    return [each.text for each in passages(text, format) if each.kind in CANDIDATES]


def _raw(text: str, format: Format) -> list[str]:
    return [text[each.start : each.end] for each in passages(text, format)]


MARKDOWN = """\
---
title: Kites
---

# Kites and *wind* #

Tom found a **red kite** at the [park](https://example.org/park "The park"). He ran
home with `it`.

Second
------

> Every kite needs wind.
> It needs a string as well.

* Wood is light.
* Paper is
  lighter.
  1. Silk is best.

| kite | price |
| --- | ---: |
| red | 3 |

```python
# Not a heading.
fly(kite)
```

    indented = code

<div class="note">
<b>Raw HTML.</b>
</div>

***

Prices rose by 5 * 2 = 10 euros&nbsp;in snake_case_years.[^1] See <https://example.org>.
![A kite](kite.png)

[park]: https://example.org/park
[^1]: A footnote.
"""


def test_markdown() -> None:
    assert _found(MARKDOWN, "markdown") == [
        ("code", "--- title: Kites ---"),
        ("heading", "Kites and wind"),
        ("prose", "Tom found a red kite at the park."),
        ("prose", "He ran home with it."),
        ("heading", "Second"),
        ("quote", "Every kite needs wind."),
        ("quote", "It needs a string as well."),
        ("prose", "Wood is light."),
        ("prose", "Paper is lighter."),
        ("prose", "Silk is best."),
        ("table", "| kite | price | | --- | ---: | | red | 3 |"),
        ("code", "```python # Not a heading."),
        ("code", "fly(kite) ```"),
        ("code", "indented = code"),
        ("prose", "Raw HTML."),
        ("prose", "Prices rose by 5 * 2 = 10 euros in snake_case_years."),
        ("prose", "See https://example.org."),
        ("prose", "A footnote."),
    ]


def test_markdown_offsets_point_at_the_raw_text() -> None:
    raw = dict(zip([text for _, text in _found(MARKDOWN, "markdown")], _raw(MARKDOWN, "markdown"),
                   strict=True))  # fmt: skip
    assert raw["Kites and wind"] == "Kites and *wind*"
    first = 'Tom found a **red kite** at the [park](https://example.org/park "The park").'
    assert raw["Tom found a red kite at the park."] == first
    assert raw["He ran home with it."] == "He ran\nhome with `it`."
    assert raw["It needs a string as well."] == "It needs a string as well."
    assert raw["Paper is lighter."] == "Paper is\n  lighter."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Just words.", [("prose", "Just words.")]),
        ("# Only a heading", [("heading", "Only a heading")]),
        ("#no heading", [("prose", "#no heading")]),
        ("```\nnever closed. Really.\n", [("code", "``` never closed."), ("code", "Really.")]),
        ("Head | er\n---|---\na | b", [("table", "Head | er ---|--- a | b")]),
        (r"Two \*stars\* stay.", [("prose", "Two *stars* stay.")]),
        ("Code `a*b*c` stays.", [("prose", "Code a*b*c stays.")]),
        ("A &amp; B &notanentity; stay.", [("prose", "A & B &notanentity; stay.")]),
        ("_Both_ __of__ ***them*** go, ~~too~~.", [("prose", "Both of them go, too.")]),
        ("[![badge](a.png)](b) Text here.", [("prose", "Text here.")]),
        ("See [the **bold** one][ref].", [("prose", "See the bold one.")]),
        ("> > Deep quote.\n> > It goes on.", [("quote", "Deep quote."), ("quote", "It goes on.")]),
        ("Said:\n> Quoted.", [("prose", "Said:"), ("quote", "Quoted.")]),
        ("- [ ] Buy milk.\n- [x] Buy bread.", [("prose", "Buy milk."), ("prose", "Buy bread.")]),
        ("- Item.\n\n  ```\n  code()\n  ```\n- Next.",
         [("prose", "Item."), ("code", "``` code() ```"), ("prose", "Next.")]),
        ("One.\r\n\r\n## Two\r\n\r\nThree.\r\n",
         [("prose", "One."), ("heading", "Two"), ("prose", "Three.")]),
        ("\ufeff# Top\n", [("heading", "Top")]),
        ("<!-- a comment -->\n\nText.", [("code", "<!-- a comment -->"), ("prose", "Text.")]),
    ],
)  # fmt: skip
def test_markdown_by_itself(text: str, expected: list[tuple[str, str]]) -> None:
    assert _found(text, "markdown") == expected


PLAIN = """\
THE KITE BOOK

CHAPTER I.

It was a windy day and the chil-
dren ran to the park. Tom had a well-
known red
kite.

* * *

2.1 Methods

We measured the wind.

Wind and string
===============

wind | string | tree
3    | 4      | 5

The end was near.
"""


def test_plain_text() -> None:
    assert _found(PLAIN, "text") == [
        ("heading", "THE KITE BOOK"),
        ("heading", "CHAPTER I."),
        ("prose", "It was a windy day and the children ran to the park."),
        ("prose", "Tom had a wellknown red kite."),
        ("heading", "2.1 Methods"),
        ("prose", "We measured the wind."),
        ("heading", "Wind and string ==============="),
        ("table", "wind | string | tree 3 | 4 | 5"),
        ("prose", "The end was near."),
    ]
    raw = _raw(PLAIN, "text")
    assert raw[2] == "It was a windy day and the chil-\ndren ran to the park."
    assert raw[-1] == "The end was near."


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Hello there", "heading"),
        ("Hello there.", "prose"),
        ("hello there", "prose"),
        ("IV.", "heading"),
        ("3", "heading"),
        ("- Milk", "prose"),
        ('"Help me', "prose"),
        ("Chapter 12: The long way home", "heading"),
        ("A line of prose that simply goes on for much too long to be anybody's heading", "prose"),
        ("STOP THAT!", "prose"),
        ("It rained all day.[12][a]", "prose"),
        ("It rained all day.²", "prose"),
        ("The boat is back! ⛵🎉", "prose"),
        ("«Он ушёл.»", "prose"),
        ("Նա գնաց։", "prose"),
        ("The boat ⛵", "heading"),
    ],
)
def test_what_is_a_heading_of_plain_text(line: str, kind: str) -> None:
    text = f"One thing.\n\n{line}\n\nAnother thing."
    assert [each.kind for each in passages(text, "text")][1] == kind


MAIL = """\
From: Ann <ann@example.org>
To: Tom <tom@example.org>
Subject: The kite

Hello Tom,

I found your kite in the
tree. It is torn.

On Monday, 3 May 2021, Tom wrote:
> Where is my kite?
> I want it back.
>> Which kite?

I will mend it on Sunday.

-- 
Ann Smith
The Kite Company
"""


def test_mail() -> None:
    assert _prose(MAIL, "mail") == [
        "Hello Tom,",
        "I found your kite in the tree.",
        "It is torn.",
        "I will mend it on Sunday.",
    ]
    kinds = dict((text, kind) for kind, text in _found(MAIL, "mail"))
    assert kinds["I want it back."] == "quoted"
    assert kinds["-- Ann Smith The Kite Company"] == "signature"
    for each in passages(MAIL, "mail"):
        if each.kind == "prose":
            assert " ".join(MAIL[each.start : each.end].split()) == each.text


@pytest.mark.parametrize(
    "line",
    [
        "On Mon, 3 Mar 2025 at 10:11, Some One With A Long Name <someone@example.org>\nwrote:",
        "Am 3.3.2025 um 10:11 schrieb Tom <tom@example.org>:",
        "Le 3 mars 2025 à 10:11, Tom <tom@example.org> a écrit :\n",
        "Tom wrote:",
    ],
)
def test_the_line_above_a_quotation_is_not_the_mails_own(line: str) -> None:
    text = f"Thank you.\n\n{line}\n> One.\n> Two.\n\nTom wrote: we saw it.\n"
    assert _prose(text, None) == _prose(text, "mail") == ["Thank you.", "Tom wrote: we saw it."]


def test_mail_of_eight_bits_keeps_its_letters() -> None:
    head = "From: a@example.org\nTo: b@example.org\nMIME-Version: 1.0\n"
    for kind in ("text/plain; charset=utf-8", "text/plain", "text/plain; charset=iso-8859-1"):
        text = f"{head}Content-Type: {kind}\nContent-Transfer-Encoding: 8bit\n\nDas Café ist zu.\n"
        assert _prose(text, None) == ["Das Café ist zu."]


def test_mail_in_mime() -> None:
    text = (
        "From: a@example.org\nSubject: x\nMIME-Version: 1.0\n"
        'Content-Type: multipart/alternative; boundary="b"\n\n'
        "--b\nContent-Type: text/html\n\n<p>In HTML.</p>\n"
        "--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: "
        "quoted-printable\n\nCaf=C3=A9 is open. Come =\nin.\n--b--\n"
    )
    assert _prose(text, "mail") == ["Café is open.", "Come in."]
    nothing = text.replace("text/html", "image/png").replace("text/plain", "image/png")
    with pytest.raises(InputError, match="no text"):
        _prose(nothing, "mail")


PAGE = """\
<!DOCTYPE html>
<html><head><title>Kites</title><style>p {color: red}</style></head>
<body>
<nav><a href="/">Home.</a></nav>
<main>
<h1>All about <em>kites</em></h1>
<p>Tom&nbsp;found a <b>red</b> kite.
It was <i>big</i>.</p>
<script>var kite = "Not this.";</script>
<ul><li>Wood is light.<li>Paper is lighter.</ul>
<blockquote><p>Fly high.</p></blockquote>
<table><tr><td>red</td><td>3</td></tr></table>
<pre>fly(kite)
land()</pre>
<p hidden>Hidden.</p><p style="display: none">Gone.</p>
<p>First line.<br>Second line.</p>
</main>
<footer>Imprint.</footer>
</body></html>
"""


def test_html() -> None:
    assert _found(PAGE, "html") == [
        ("heading", "All about kites"),
        ("prose", "Tom found a red kite."),
        ("prose", "It was big."),
        ("prose", "Wood is light."),
        ("prose", "Paper is lighter."),
        ("quote", "Fly high."),
        ("table", "red 3"),
        ("code", "fly(kite) land()"),
        ("prose", "First line."),
        ("prose", "Second line."),
    ]
    raw = dict(zip([text for _, text in _found(PAGE, "html")], _raw(PAGE, "html"), strict=True))
    assert raw["Tom found a red kite."] == "Tom&nbsp;found a <b>red</b> kite."
    assert raw["It was big."] == "It was <i>big</i>."
    assert raw["Paper is lighter."] == "Paper is lighter."


def test_a_page_without_a_body_and_a_broken_one() -> None:
    assert _prose("<p>One.<p>Two.<div>Three.", "html") == ["One.", "Two.", "Three."]
    assert _prose("Bare words. </p></div> More <b>words.", "html") == ["Bare words.", "More words."]


def test_what_goes_on_behind_another_block_has_a_place() -> None:
    text = "<div>One. <p>Two.</p> Three.</div><p>Four.</p>"
    assert _raw(text, "html") == ["One.", "Two.", "Three.", "Four."]


@pytest.mark.parametrize("odd", ["<![bad x>", "<![if IE]>", "<!-->", "<!-- a --!>", "<?php x ?>"])
def test_odd_declarations_swallow_nothing(odd: str) -> None:
    text = f"<p>One.</p>{odd}<p>Two.</p>"
    assert _prose(text, "html") == ["One.", "Two."]
    assert _raw(text, "html")[1] == "Two."


def test_deep_nesting_is_no_problem() -> None:
    assert _prose("<div>" * 3_000 + "Deep down.", "html") == ["Deep down."]


@pytest.mark.parametrize(
    ("text", "name", "format"),
    [
        ("Words.", "a.md", "markdown"),
        ("Words.", "A.HTML", "html"),
        ("Words.", "a.eml", "mail"),
        ("Words.", "a.txt", "text"),
        ("Words.", "a.rst", "rst"),
        ("Words.", "a.adoc", "asciidoc"),
        ("Words.", "a.asciidoc", "asciidoc"),
        ("Words.", "a.org", "org"),
        ("Words.", "A.TEX", "latex"),
        (".. note:: Look\n\n* One\n", "a.txt", "text"),
        (MARKDOWN, "", "markdown"),
        (PLAIN, "", "text"),
        (MAIL, "-", "mail"),
        (PAGE, "", "html"),
        ("- one\n- two\n- three\n", "", "text"),
        ("# 1 is a number.\nIt is.", "", "text"),
        ("From: here to there\nit is far.", "", "text"),
        ("A < B and B > C.", "", "text"),
    ],
)
def test_formats_are_told_by_name_and_look(text: str, name: str, format: Format) -> None:
    assert detect(text, name) == format


def test_lines_are_lines_in_any_format() -> None:
    for name in ("a.md", "a.html", "a.txt"):
        found = list(passages("# One\n> Two. Three.\n", mode="lines", name=name))
        assert [each.text for each in found] == ["# One", "> Two. Three."]
        assert {each.kind for each in found} == {"prose"}


@pytest.mark.parametrize("format", ["text", "markdown", "mail"])
def test_a_block_at_a_time(format: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first sentence of a long text is there before the second block is looked at."""
    split: list[str] = []
    plain = documents.iter_split

    def counting(text: str, *how: str) -> Iterator[object]:
        split.append(text)
        return plain(text, *how)  # type: ignore[arg-type]

    monkeypatch.setattr(documents, "iter_split", counting)
    found = passages("One thing.\n\nAnother thing.\n\n" * 50_000, format)
    assert next(found).text == "One thing."
    assert len(split) == 1


def test_long_sentences_are_cut_with_their_offsets() -> None:
    text = "# Top\n\nTom *ran* home; Ben ran away, and Ann stayed where she was."
    found = list(passages(text, "markdown", length=lambda of: len(of.split()), limit=4))
    assert all(len(each.text.split()) <= 4 for each in found)
    assert " ".join(each.text for each in found[1:]) == text[7:].replace("*", "")
    assert text[found[1].start :].startswith("Tom *ran* home;")
    for each in found:
        assert text[each.start : each.end].replace("*", "").lstrip("# ") == each.text


def test_paragraphs_are_numbered_through() -> None:
    text = "Tom ran.\n\nAnn slept. Ben ate.\n\nMia sang."
    found = [(each.paragraph, each.text) for each in passages(text, "text")]
    assert found == [(0, "Tom ran."), (1, "Ann slept."), (1, "Ben ate."), (2, "Mia sang.")]


def test_a_long_paragraph_with_much_markup_is_read_in_one_go() -> None:
    line = "Some *words* with `code`, a [link](http://example.org/z), **bold** text &amp; more\n"
    # Where this took the square of its length, it was minutes.
    (found,) = markdown.blocks(line * 5_000)
    assert found.text == ("Some words with code, a link, bold text & more\n" * 5_000).rstrip()
    last = found.text.rindex("bold")
    assert (line * 5_000)[found.where(last, last + 4)[0] :].startswith("**bold** text")


@pytest.mark.parametrize(
    "text", ["# a" + " " * 200_000 + "b", "x <!-- " * 30_000, "[a](b " * 50_000, "x `" * 99_999]
)
def test_markup_that_never_ends_does_not_hold_up(text: str) -> None:
    assert len(list(markdown.blocks(text))) == 1


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("# A #", "A"),
        ("## A#", "A#"),
        ("# A ## \t", "A"),
        ("### ###", ""),
        ("#", ""),
        ("# A # b", "A # b"),
    ],
)
def test_how_a_heading_ends(line: str, text: str) -> None:
    assert [each.text for each in markdown.blocks(line)] == [text]


def test_edits_of_edits_keep_their_places() -> None:
    text = "0123456789"
    block = Block(text, "prose", ((0, 100, 0),)).edited([(2, 4, ""), (6, 7, "xy")])
    assert block.text == "0145xy789"
    again = block.edited([(1, 3, "")])
    assert again.text == "05xy789"
    places = {each: again.where(at, at + 1)[0] for at, each in enumerate(again.text)}
    assert (places.pop("x"), places.pop("y")) == (106, 106)
    assert places == {"0": 100, "5": 105, "7": 107, "8": 108, "9": 109}


_PIECES = [
    *(
        "a",
        "It is so. ",
        "\n",
        "\n\n",
        "\r",
        "    ",
        "- ",
        "> ",
        "1. ",
        "*",
        "_",
        "`",
        "```",
        "[",
        "](b)",
    ),
    *(
        "<b>",
        "</b>",
        "<p>",
        "<div>",
        "</div>",
        "<td>",
        "<!--",
        "-->",
        "<h1>",
        "<span hidden>",
        "&amp;",
    ),
    *("From: a\n", "Sent: b\n", "To: c\n", "-- \n", "---\n", "\ud83d", "\0", "\ufeff", "é"),
    *("00:00:01,000 --> 00:00:02,000\n", "09:15 Ann: "),
    *("\f", "12\n\f", "::\n", ".. note:: ", ".. ", "===\n", ":a:`", "``", "|a|", "[1]_", "a_ "),
    *("----\n", "|===\n", "[source]\n", "link:a[", "<<", "footnote:[", "term:: ", "+\n"),
    *("[[", "]]", "][", "#+begin_src\n", "#+end_src\n", ":END:\n", "[fn:1]", "=a= ", "/a/"),
    *("\\emph{", "}", "$", "\\[", "\\]", "\\begin{figure}", "\\end{figure}", "\\item ", "%", "~"),
    *("\\section{", "\\cite{a}", "\\begin{document}", "\\end{document}", "\\'e", "\\verb|", "--"),
]
_MARKS = st.text(st.sampled_from("ab. \n\t#>*_`|-[](){}<>!&;:\\=~1\"'"), max_size=60)
_JOINED = st.lists(st.sampled_from(_PIECES), max_size=30).map("".join)
_FORMATS = list(get_args(Format))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), _MARKS, _JOINED), st.sampled_from(_FORMATS))
def test_any_text_has_passages_in_order_within_it(text: str, format: Format) -> None:
    last = 0
    for each in passages(text, format):
        assert isinstance(each, Passage)
        assert each.text.strip()
        assert last <= each.start < each.end <= len(text)
        last = each.start

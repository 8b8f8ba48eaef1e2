"""Org: what is prose in it, and where its sentences stand."""

from __future__ import annotations

import pytest

from tests.text.reading import found, prose, sources


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#+TITLE: Kites\n#+OPTIONS: toc:nil. Yes.\n\n* TODO Tom :a:b:\nHe ran.\n", ["He ran."]),
        ("* Tom\nSCHEDULED: <2021-05-03 Mon>\n:PROPERTIES:\n:ID: a. b.\n:END:\nHe ran.\n",
         ["He ran."]),
        ("#+begin_src c\nfly. Now.\n\n* fly.\n#+end_src\nTom ran.\n", ["Tom ran."]),
        ("#+BEGIN_EXAMPLE\nfly. Now.\n#+END_EXAMPLE\nTom ran.\n", ["Tom ran."]),
        ("#+begin_quote\nTom ran.\n#+end_quote\n", ["Tom ran."]),
        ("#+begin_src c\nNot closed. Read.\n", ["Not closed.", "Read."]),
        ("\\begin{align}\na. b.\n\\end{align}\nTom ran.\n", ["Tom ran."]),
        ("# Not this.\n: nor. This.\n| nor. | This. |\n-----\nTom ran.\n", ["Tom ran."]),
        ("We need:\n- One\n  more.\n- [ ] Two.\n  1. Three.\n",
         ["We need:", "One more.", "Two.", "Three."]),
        ("- kite :: It flies. It lands.\n", ["It flies.", "It lands."]),
        ("She came in\n2004. It was fine.\n", ["She came in 2004.", "It was fine."]),
        ("[fn:a] Ask her. Now.\n", ["Ask her.", "Now."]),
        ("A *red* /big/ =a*b= ~kite~ _of_ +it+ and */both/*.\n",
         ["A red big a*b kite of it and both."]),
        ("See [[http://x.org][the page]], [[b]] and src_c{x}.[fn:1] [[file:a.png]]Now.\n",
         ["See the page, b and x.", "Now."]),
        ("A path /usr/lib/x, 2*3*4, a_b_c and $x$ for $5 or $6 \\(y\\).\n",
         ["A path /usr/lib/x, 2*3*4, a_b_c and x for $5 or $6 y."]),
    ],
)  # fmt: skip
def test_what_is_prose(text: str, expected: list[str]) -> None:
    assert prose(text, "org") == expected
    assert prose(text.replace("\n", "\r\n"), "org") == expected


def test_what_is_no_prose() -> None:
    text = "* DONE Kites :a:\n: fly\n\n| a |\n\n- kite :: It flies.\n"
    assert found(text, "org") == [
        ("heading", "Kites"),
        ("code", ": fly"),
        ("table", "| a |"),
        ("heading", "kite"),
        ("prose", "It flies."),
    ]


def test_sentences_stand_with_their_marks() -> None:
    text = "- *Tom* ran\n  [[x][home]]. =It= was /late/.\n"
    assert sources(text, "org") == ["*Tom* ran\n  [[x][home]].", "=It= was /late/."]

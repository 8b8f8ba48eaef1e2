"""reStructuredText: what is prose in it, and where its sentences stand."""

from __future__ import annotations

import pytest

from tests.text.reading import found, prose, sources


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Titles and transitions.
        ("Kites\n=====\n\nTom ran.\n\n----\n\nAnn sat.\n", ["Tom ran.", "Ann sat."]),
        ("=====\nKites\n=====\n\nTom ran.\n", ["Tom ran."]),
        # Directives.
        (".. tip:: Look up.\n   It flies.\n\n   It *is* red.\n",
         ["Look up.", "It flies.", "It is red."]),
        (".. danger::\n   :class: red\n\n   Look up.\n", ["Look up."]),
        (".. code-block:: python\n   :linenos:\n\n   fly(1)\n\n   fly(2). Yes.\n\nTom ran.\n",
         ["Tom ran."]),
        (".. image:: kite.png\n   :alt: A kite. Red.\n\nTom ran.\n", ["Tom ran."]),
        (".. py:function:: fly(a)\n\n   It flies. It lands.\n\n   :param a: How high. Far.\n",
         ["It flies.", "It lands."]),
        (".. versionchanged:: 2.1\n   It flies.\n", ["It flies."]),
        (".. strange:: thing\n\n   It is read. In doubt.\n", ["It is read.", "In doubt."]),
        # Comments, targets, substitutions and footnotes.
        (".. Not for you.\n   Nor this.\n\nTom ran.\n", ["Tom ran."]),
        (".. _here: http://x.org\n.. |it| replace:: the kite\n\nTom ran.\n", ["Tom ran."]),
        (".. [2] As Ann says.\n   Ask her.\n", ["As Ann says.", "Ask her."]),
        ("..\n\n   Set in, and read. It is.\n", ["Set in, and read.", "It is."]),
        # Literal blocks and sessions.
        ("So it is done::\n\n    fly(1)\n\n      fly(2)\n\nTom ran.\n",
         ["So it is done:", "Tom ran."]),
        ("So it is done ::\n\n    fly(1)\n\nTom ran.\n", ["So it is done", "Tom ran."]),
        ("- So it is done::\n\n    fly(1)\n\n  Then rest.\n- Go.\n",
         ["So it is done:", "Then rest.", "Go."]),
        ("A scope:: is not code\nhere. Yes.\n", ["A scope:: is not code here.", "Yes."]),
        (">>> fly(1)\n2\n\nTom ran.\n", ["Tom ran."]),
        # Field lists, options, tables.
        (":Author: Ann. Roe.\n:Date: May\n\nTom ran.\n", ["Tom ran."]),
        (":func:`fly` is fast. It is.\n", ["fly is fast.", "It is."]),
        ("-f, --fly  Fly far. Now.\n", ["Fly far.", "Now."]),
        ("+---+---+\n| a | b |\n+---+---+\n\nTom ran.\n", ["Tom ran."]),
        ("===  ===\na.   b.\n===  ===\nc.   d.\n===  ===\n\nTom ran.\n", ["Tom ran."]),
        # Lists.
        ("* One\n  more.\n\n  * Two.\n  * Three.\n* Four.\n",
         ["One more.", "Two.", "Three.", "Four."]),
        ("She came in\n2004. It was fine.\n", ["She came in 2004.", "It was fine."]),
        ("kite\n   It flies. It is red.\n", ["It flies.", "It is red."]),
        ("\ufeffKites\n=====\n\nTom ran.\n", ["Tom ran."]),
        # Inline markup.
        ("A *red* **big** ``a ` b`` :sup:`2` `kite`.\n", ["A red big a ` b 2 kite."]),
        ("See `the page <http://x.org>`_, `that`__, Home_ and :ref:`more <m>`.\n",
         ["See the page, that, Home and more."]),
        ("It is so [1]_ and [#a]_. As |who| said [Roe20]_.\n", ["It is so and.", "As who said."]),
        ("It takes *args and **kwargs and 2*3*4 and a_b, _x\\*\n",
         ["It takes *args and **kwargs and 2*3*4 and a_b, _x*"]),
    ],
)  # fmt: skip
def test_what_is_prose(text: str, expected: list[str]) -> None:
    assert prose(text, "rst") == expected
    assert prose(text.replace("\n", "\r\n"), "rst") == expected


def test_what_is_no_prose() -> None:
    text = "Kites\n=====\n\n.. code::\n\n   fly(1)\n\n=  =\na  b\n=  =\n\nkite\n  It flies.\n"
    assert [kind for kind, _ in found(text, "rst")] == [
        *("heading", "code", "code", "table", "heading", "prose")
    ]


def test_sentences_stand_with_their_marks() -> None:
    text = "- *Tom* ran\n  `home <x>`_. ``It`` was **late**.\n"
    assert sources(text, "rst") == ["*Tom* ran\n  `home <x>`_.", "``It`` was **late**."]

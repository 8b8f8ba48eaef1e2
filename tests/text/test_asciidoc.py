"""AsciiDoc: what is prose in it, and where its sentences stand."""

from __future__ import annotations

import pytest

from tests.text.reading import found, prose, sources


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Titles and the header.
        ("= Kites\nAnn Roe <a@x.org>\nv2, May\n:toc:\n\nTom ran.\n\n== More\nHe sat.\n",
         ["Tom ran.", "He sat."]),
        ("Kites\n-----\n\nTom ran.\n\n.Of kites\nHe sat.\n", ["Tom ran.", "He sat."]),
        # Blocks.
        ("[source,c]\n----\nfly();\n\nNow. Yes.\n----\nTom ran.\n", ["Tom ran."]),
        ("....\nfly. Now.\n....\n\nTom ran.\n", ["Tom ran."]),
        ("```c\nfly. Now.\n```\n\nTom ran.\n", ["Tom ran."]),
        ("[source]\nfly. Now.\nfly.\n\nTom ran.\n", ["Tom ran."]),
        ("[source]\n--\nfly.\n\nNow.\n--\n\nTom ran.\n", ["Tom ran."]),
        ("|===\n|a. |b.\n\n|c. |d.\n|===\nTom ran.\n", ["Tom ran."]),
        ("////\nNot this.\n\nNor this.\n////\nTom ran.\n", ["Tom ran."]),
        ("----\nNot closed. Read.\n", ["Not closed.", "Read."]),
        ("[TIP]\n====\nLook up. It flies.\n====\n", ["Look up.", "It flies."]),
        ("TIP: Look up.\nIt flies.\n", ["Look up.", "It flies."]),
        ("____\nIt flies.\n____\n\n--\nIt lands.\n--\n", ["It flies.", "It lands."]),
        # Comments, attributes and macros.
        ("Tom\n// Who is Tom?\nran.\n\n:a: b. c.\n\nHe sat.\n", ["Tom ran.", "He sat."]),
        ("image::kite.png[A kite. Red.]\ninclude::b.adoc[]\n\nTom ran.\n", ["Tom ran."]),
        # Indented lines.
        (" fly = 1\n fly = 2\n\nTom ran.\n", ["Tom ran."]),
        (" The night was long and cold.\n Nobody slept.\n",
         ["The night was long and cold.", "Nobody slept."]),
        # Lists.
        ("* One\nmore.\n** Two.\n+\nOf it.\n\n. Three.\n",
         ["One more.", "Two.", "Of it.", "Three."]),
        ("* [x] One. Two.\n", ["One.", "Two."]),
        ("kite:: It flies. It lands.\nbird::\n  It sings.\n",
         ["It flies.", "It lands.", "It sings."]),
        ("She came in\n2004. It was fine.\n", ["She came in 2004.", "It was fine."]),
        ("\ufeff= Kites\n\nTom ran.\n", ["Tom ran."]),
        # Inline markup.
        ("A *red* _big_ `kite` **k**ite __l__ow x^2^ ~a~ #it# `+a_b+`.\n",
         ["A red big kite kite low x2 a it a_b."]),
        ("See https://x.org[the page^], <<a,that>>, link:b[] and https://y.org[].\n",
         ["See the page, that, b and https://y.org."]),
        ("It is so footnote:[Ask her. Now.]. image:a.png[] Press kbd:[F1] (((a,b)))now.\n",
         ["It is so.", "Press F1now."]),
        ("It is *2 by 3* and a_b_c and C++ or C++ here.\n",
         ["It is 2 by 3 and a_b_c and C++ or C++ here."]),
    ],
)  # fmt: skip
def test_what_is_prose(text: str, expected: list[str]) -> None:
    assert prose(text, "asciidoc") == expected
    assert prose(text.replace("\n", "\r\n"), "asciidoc") == expected


def test_what_is_no_prose() -> None:
    text = "= Kites\n\n----\nfly(1)\n----\n\n|===\n|a\n|===\n\nkite:: It flies.\n"
    assert [kind for kind, _ in found(text, "asciidoc")] == [
        *("heading", "code", "table", "heading", "prose")
    ]


def test_sentences_stand_with_their_marks() -> None:
    text = "* *Tom* ran\nlink:x[home]. `It` was _late_.\n"
    assert sources(text, "asciidoc") == ["*Tom* ran\nlink:x[home].", "`It` was _late_."]

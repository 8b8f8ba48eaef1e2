"""English: the kinds of pragmatic_segmenter's golden rules, and others, in sentences of our own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonar_cli.text.sentences import split

# Sentences are parted by " / "; the text is what is left when these are spaces.
GOLDEN = """
The lamp went out. / Nobody moved.
Who took the bread? / The dog looked away.
The bridge is down! / We must swim.
The prize went to Clara M. Hughes.
The answer is on p. 208.
Are Tom and co. coming to supper?
They bought it from Marsh, Field & Co. in spring.
Invite Tom and co. / They are hungry.
They bought it from Marsh, Field & Co. / It rained all day.
We climbed Mt. Elgon before noon.
St. Anne's school is on 3rd st. behind the mill.
This is Paul Reed Jr.'s bicycle.
She toured the U.S.A. in a small van.
He works in the E.U. / Where do you work?
He was born in the U.S. / When were you born?
She wrote to the U.S. Senate about it.
They lived in the U.S. for ten years.
At 7 a.m. Mrs. Cole fed the hens. / She came home at 9 P.M. / Mrs. Cole was tired.
The hat costs $12.50 in town.
The hat costs $12.50. / It is blue.
Our guide (He was once a sailor by trade.) knew every star.
Write to Mary.Lane@example.org. / She will answer.
It is at https://www.example.20.org/old-pages/list_two.html. / Read it soon.
He looked at her and said, 'It is late.' and left.
He looked at her and said, "It is late." and left.
He looked at her and said, "It is late." / She took her coat.
Wait!! / The train has not stopped.
Really?? / Nobody told me.
You did it!? / I am proud.
You did it?! / I am proud.
1.) A red kite / 2.) A small boat
1.) We made a kite. / 2.) We made a boat.
1) A red kite / 2) A small boat
1) We made a kite. / 2) We made a boat.
1. A red kite / 2. A small boat
1. We made a kite. / 2. We made a boat.
• 9. A red kite / • 10. A small boat
⁃9. A red kite / ⁃10. A small boat
a. A red kite / b. A small boat / c. A long rope
The paper is kept as N°. 2044.118.907. / Ask the clerk for it.
He works at Wow! in the toy department.
We know it, you and I. / Did you meet Henry I. Marsh today?
She writes that in a quiet house “the clocks will sound louder. . . .”
"Marsh [...] drew the map of the old road [...]" (Cole 12).
He gave up the search in the end . . . . / Then it snowed.
He never came back.... / We waited long.
I wasn’t quite ... well, you know...no . . . what I mean, it is . . . I forgot it.
One rule that was given up . . . was that of silence at meals. . . . / The bell still rang. . . .
"""

OTHERS = """
When Reed et al. left, it was dark. / As Cole et al. (2011) write, it is so. / See Lane et al. 1999.
It was shown by Reed et al. / The proof is short.
The min. depth is 4 m. / Add 3 tbsp. of flour. / It rises.
On Tue. and Fri. the shop is shut. / Then it opens.
Look at Eq. 4 and Tab. 1. / They agree.
The cause is found.[7] / It was tried again.[8][9] / Some doubt it [4]. / Time will tell.
The cause is found.⁴ / It was tried again.²³ / Time will tell.
She listened… / The house was still… / “We…” he began.
I… I do not know. / But… I can ask.
The K.L.M.'s ship sailed. / It was full.
So said T.H. White in June. / He read A.A. Milne.
It was J.R. / He came late.
My uncle reads Hooray! at breakfast. / We saw Hello, Dolly! and went home.
They came first! 🎉 / See you at noon. 👋🏽 / Now it is over.
Do it so: 1. Wash it. / 2. Dry it.
He left the shop. / iPhones were gone.
"""


pytestmark = pytest.mark.usefixtures("shipped_parameters")


def _rows(table: str) -> list[list[str]]:
    return [row.split(" / ") for row in table.strip().splitlines()]


@pytest.mark.parametrize("expected", [*_rows(GOLDEN), *_rows(OTHERS)], ids=lambda row: row[0][:40])
def test_sentences(expected: list[str]) -> None:
    text = " ".join(expected)
    found = split(text)
    assert [each.text for each in found] == expected
    assert [text[each.start : each.end] for each in found] == expected


def test_a_space_may_be_missing_before_a_word_that_begins_sentences() -> None:
    text = "The sun came out.Today we sail.Mrs. Lane packed bread and paid 2,000.That was a lot."
    assert [each.text for each in split(text)] == [
        "The sun came out.",
        "Today we sail.",
        "Mrs. Lane packed bread and paid 2,000.",
        "That was a lot.",
    ]
    assert len(split("It runs on ASP.Net and Node.Js since May.")) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The wheat\nwas dry by\nJuly this year.", ["The wheat was dry by July this year."]),
        ("It was a dark \nday in the hills.", ["It was a dark day in the hills."]),
        ("maps and lamps\nthree ropes\ntea, salt", ["maps and lamps", "three ropes", "tea, salt"]),
        (
            "When the wind came up late\nJohn ran to the old mill\nand hid there. It was dry.",
            ["When the wind came up late John ran to the old mill and hid there.", "It was dry."],
        ),
        (
            "A Kite\nThe wind rose at noon. It blew.",
            ["A Kite", "The wind rose at noon.", "It blew."],
        ),
        (
            "She was born on June\n8. She lives in Rome.",
            ["She was born on June 8.", "She lives in Rome."],
        ),
        ("The law in part 2\n(b) is old\n- too old, say some.", None),
        ("Take these\n- a rope\n- a lamp", ["Take these", "- a rope", "- a lamp"]),
        ("Take these:\n1) a rope", ["Take these:", "1) a rope"]),
        ("Take these\na. A rope\nb. A lamp", ["Take these", "a. A rope", "b. A lamp"]),
    ],
)
def test_wrapped_lines_and_lines_of_their_own(text: str, expected: list[str] | None) -> None:
    found = [each.text for each in split(text)]
    assert found == (expected or [" ".join(text.split())])


_PARTS = (
    "A It I the al. p. Eq. U.S. 3. 12 a) (b) 1.) \u2022 - . ! ? \u2026 ... . . . . ; : [4] \u00b2"
    " \U0001f389 \u201c \u201d ' \u2019s \" ( ) C.S. a.m. Mr."
).split(" ")


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from([*_PARTS, " ", " ", "\n", "\n\n"]), max_size=30).map("".join))
def test_sentences_and_the_white_space_between_give_the_text_back(text: str) -> None:
    found = split(text)
    ends = [0, *(each.end for each in found)]
    starts = [*(each.start for each in found), len(text)]
    gaps = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    assert all(not gap.strip() for gap in gaps)
    sentences = [*(text[each.start : each.end] for each in found), ""]
    assert "".join(a + b for a, b in zip(gaps, sentences, strict=True)) == text
    assert all(re.search(r"\S", sentence) for sentence in sentences[:-1])

"""What is to be known of a language to split its sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sonar_cli.text.marks import marks


def closing_marks(inward: str = "") -> re.Pattern[str]:
    """Return the pattern of closing marks that Punkt moves back to the sentence before.

    `inward` is « for languages that quote »so«. Elsewhere « opens a quotation, in French with a
    space behind it.
    """
    return re.compile(
        rf"[\"')\]}}\u2018\u2019\u201c\u201d\xbb{inward}]+?(?:\s+|(?=--)|$)", re.MULTILINE
    )


_CLOSING, _MARKS = closing_marks(), marks()


@dataclass(frozen=True)
class Rules:
    """How to split the sentences of one language.

    For Punkt: `model` names its trained parameters in NLTK's data, "" for none. `abbreviations` are
    in lower case, without the final full stop; those in `before_numbers` count only before a
    number. `starters` begin a sentence if they have a capital after an abbreviation. `closing`
    matches the marks that belong to the sentence before. `function_words` are in any text, whatever
    it is about.

    `marks` matches marks that end a sentence in any context. `goes_on` is searched in the end of a
    sentence, a line break, and the beginning of the next: a match says that they are one. `spaces`
    is set if a space can end a sentence; it matches the words before which that is unlikely.
    """

    model: str
    abbreviations: tuple[str, ...] = ()
    starters: tuple[str, ...] = ()
    before_numbers: tuple[str, ...] = ()
    closing: re.Pattern[str] = _CLOSING
    marks: re.Pattern[str] = _MARKS
    goes_on: re.Pattern[str] | None = None
    spaces: re.Pattern[str] | None = None
    function_words: tuple[str, ...] = ()

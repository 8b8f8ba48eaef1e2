"""The words of a sentence that say what it is about, in their basic form."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from sonar_cli.text.marks import SPACELESS, SPACELESS_CHARACTER
from sonar_cli.text.scripts import rules

if TYPE_CHECKING:
    from nltk.stem.snowball import SnowballStemmer

# A run of letters and digits of one kind of script, with or without spaces between its words.
_RUN = re.compile(rf"[{SPACELESS}]+|[^\W_{SPACELESS}]+")


class ContentWords:
    """Finds the content words of sentences in a language, a FLORES-200 code.

    Words are in lower case and, where NLTK has a Snowball stemmer for the language, without their
    endings; the language's function words are left out where we have a list of them (`is_listed`).
    In a script without spaces, each two characters that stand together count as a word.

    >>> ContentWords("eng_Latn")("The boats were sailing to the island's harbours.")
    ['boat', 'sail', 'island', 'harbour']
    >>> ContentWords("jpn_Jpan")("大きな船")
    ['大き', 'きな', 'な船']
    """

    def __init__(self, lang: str) -> None:
        own = rules(lang)
        self.is_listed = bool(own.function_words)
        self._function_words = frozenset(own.function_words)
        self._stemmer = _stemmer(own.model)
        self._stems: dict[str, str] = {}

    def __call__(self, sentence: str) -> list[str]:
        """Return the content words of a sentence, in order."""
        found: list[str] = []
        for run in _RUN.findall(sentence.lower()):
            if len(run) > 1 and SPACELESS_CHARACTER.match(run):
                found += map("".join, pairwise(run))
            elif run not in self._function_words:
                found.append(self._stem(run))
        return found

    def _stem(self, word: str) -> str:
        if self._stemmer is None:
            return word
        if (stem := self._stems.get(word)) is None:
            stem = self._stems[word] = self._stemmer.stem(word)
        return stem


@cache
def _stemmer(language: str) -> SnowballStemmer | None:
    """Return NLTK's stemmer of a language by its name in NLTK, None where there is none."""
    from nltk.stem.snowball import SnowballStemmer

    return SnowballStemmer(language) if language in SnowballStemmer.languages else None

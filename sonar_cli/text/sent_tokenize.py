"""Split a text as `nltk.sent_tokenize` does: NLTK's English Punkt, on the whole text.

The published SONAR-LLMs were trained on these sentences and no others, which differ from those of
`sentences`: a quotation and the words that name its speaker are two sentences, and neither a
heading nor an empty line ends one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from sonar_cli.options import ENGLISH
from sonar_cli.text import punkt, scripts
from sonar_cli.text.lines import GAP

if TYPE_CHECKING:
    from nltk.tokenize.punkt import PunktSentenceTokenizer

GET_DATA = "python -c \"import nltk; nltk.download('punkt_tab')\""
NO_DATA = (
    "NLTK's data for English is not on this machine: our own word lists stand in, and a few "
    f"sentences may end elsewhere; {GET_DATA} gets it"
)
_MODEL = "english"


def has_data() -> bool:
    """Tell whether NLTK's trained parameters for English (`punkt_tab`) are on this machine."""
    return punkt.has_data(_MODEL)


def spans(text: str) -> Iterator[tuple[int, int, int]]:
    r"""Yield (start, end, paragraph) of each sentence, without white space at its ends.

    The paragraph is that of the sentence's start; empty lines part paragraphs. Without NLTK's data
    Punkt gets the parameters of this package.

    >>> text = '"Where is it?" asked Tom.\n\nHe ran.'
    >>> [text[start:end] for start, end, _ in spans(text)]
    ['"Where is it?"', 'asked Tom.', 'He ran.']
    """
    gaps = GAP.finditer(text, len(text) - len(text.lstrip()))
    gap, paragraph = next(gaps, None), 0
    for begin, stop in _tokenizer(has_data()).span_tokenize(text):
        sentence = text[begin:stop]
        if not (stripped := sentence.strip()):
            continue
        start = begin + len(sentence) - len(sentence.lstrip())
        while gap and gap.end() <= start:
            gap, paragraph = next(gaps, None), paragraph + 1
        yield start, start + len(stripped), paragraph


@cache
def _tokenizer(trained: bool) -> PunktSentenceTokenizer:
    from nltk.tokenize.punkt import PunktLanguageVars, PunktSentenceTokenizer, PunktTokenizer

    if trained:
        found = PunktTokenizer(_MODEL)
    else:
        found = PunktSentenceTokenizer(punkt.tokenizer(scripts.rules(ENGLISH))._params)
    found._lang_vars = punkt.compiled(PunktLanguageVars())
    return found

"""Summaries to compare ours with: a text's first sentences, and three systems of sumy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sonar_cli.evaluation.metrics import dev_extra, tokens

# Many texts' sentences, and how many sentences of each -> each text's summary, in order.
System = Callable[[Sequence[Sequence[str]], Sequence[int]], Iterable[Sequence[str]]]

LEAD = "lead-n"
SUMY = ("LexRank (sumy)", "TextRank (sumy)", "LSA (sumy)")

# sumy's Tokenizer._WORD_PATTERN: only such tokens are words.
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|['-])*")
# Ratings that differ in later decimal places are equal.
_DIGITS = 9


def baselines() -> dict[str, System]:
    """Return the systems by name; UsageError where sumy is missing.

    >>> list(baselines())
    ['lead-n', 'LexRank (sumy)', 'TextRank (sumy)', 'LSA (sumy)']
    """
    return {LEAD: lead} | {
        name: _system(summarizer) for name, summarizer in zip(SUMY, _summarizers(), strict=True)
    }


def lead(texts: Sequence[Sequence[str]], counts: Sequence[int]) -> Iterator[Sequence[str]]:
    """Take the first sentences of each text.

    >>> list(lead([["A.", "B.", "C."], ["D."]], [2, 2]))
    [['A.', 'B.'], ['D.']]
    """
    return (text[:count] for text, count in zip(texts, counts, strict=True))


class Words:
    """What sumy's English tokenizer does within a sentence, without NLTK data."""

    def to_words(self, sentence: str) -> tuple[str, ...]:
        """Return the words of a sentence.

        >>> Words().to_words("The well-known cat is 3.")
        ('The', 'well-known', 'cat', 'is')
        """
        return tuple(filter(_WORD.fullmatch, tokens(sentence)))


def _summarizers() -> Iterator[Any]:
    """sumy's summarizers with a stemmer and stop words, as its README sets them up."""
    with dev_extra("sumy"):
        from sumy.nlp.stemmers import Stemmer
        from sumy.summarizers.lex_rank import LexRankSummarizer
        from sumy.summarizers.lsa import LsaSummarizer
        from sumy.summarizers.text_rank import TextRankSummarizer
        from sumy.utils import get_stop_words

    for kind in (LexRankSummarizer, TextRankSummarizer, LsaSummarizer):
        summarizer = kind(Stemmer("english"))
        summarizer.stop_words = get_stop_words("english")
        summarizer._get_best_sentences = _steady(summarizer._get_best_sentences)
        yield summarizer


def _steady(best: Callable[..., Any]) -> Callable[..., Any]:
    """Let the first of equally good sentences win.

    sumy's LSA rates a sentence by about the number of its words, so equals are common, and which
    of them wins hangs on rounding errors, thus on the order of a set and on the processor.
    """

    def choose(sentences: Sequence[Any], count: int, rating: Any) -> Any:
        rate = rating.__getitem__ if isinstance(rating, dict) else rating
        return best(sentences, count, lambda sentence: round(rate(sentence), _DIGITS))

    return choose


def _system(summarizer: Any) -> System:
    def summarize(texts: Sequence[Sequence[str]], counts: Sequence[int]) -> Iterator[Sequence[str]]:
        return (
            _summary(summarizer, text, count) for text, count in zip(texts, counts, strict=True)
        )

    return summarize


def _summary(summarizer: Any, text: Sequence[str], count: int) -> Sequence[str]:
    """A text's best sentences in the text's order."""
    import numpy
    from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence

    sentences = [Sentence(sentence, Words()) for sentence in text]
    # Where no sentence is like another, LexRank divides by zero and leaves the order as it is.
    with numpy.errstate(invalid="ignore"):
        chosen = summarizer(ObjectDocumentModel([Paragraph(sentences)]), count)
    kept = {id(sentence) for sentence in chosen}
    summary = [own for own, theirs in zip(text, sentences, strict=True) if id(theirs) in kept]
    # LSA chooses nothing from a text of stop words alone.
    return summary or text[:count]

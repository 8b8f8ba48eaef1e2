"""Summarizers to compare ours with: a text's first sentences, and four of the package sumy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sonar_cli.evaluation.metrics import dev_extra, tokens
from sonar_cli.evaluation.summarizers import Summarizer

LEAD = "lead-n"
SUMY = ("LexRank (sumy)", "TextRank (sumy)", "LSA (sumy)", "Luhn (sumy)")

# What sumy's tokenizer takes for a word, its `Tokenizer._WORD_PATTERN`.
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|['-])*")
# Decimals that sumy's ratings of sentences are rounded to before they are compared. Sentences that
# are rated the same differ beyond these, by rounding errors of sumy's sums.
_DECIMALS = 9


def baselines() -> dict[str, Summarizer]:
    """Return the baselines by name. Raises UsageError where sumy is missing.

    >>> list(baselines())
    ['lead-n', 'LexRank (sumy)', 'TextRank (sumy)', 'LSA (sumy)', 'Luhn (sumy)']
    """
    sumy = zip(SUMY, _of_sumy(), strict=True)
    return {LEAD: lead} | {name: _summarizer(summarize) for name, summarize in sumy}


def lead(texts: Sequence[Sequence[str]], counts: Sequence[int]) -> Iterator[Sequence[str]]:
    """Yield the first sentences of each text.

    >>> list(lead([["A.", "B.", "C."], ["D."]], [2, 2]))
    [['A.', 'B.'], ['D.']]
    """
    return (text[:count] for text, count in zip(texts, counts, strict=True))


class Words:
    """A tokenizer for sumy that finds the words its own one for English finds.

    Its own one needs NLTK's data to split texts into sentences, which is not asked for here.
    """

    def to_words(self, sentence: str) -> tuple[str, ...]:
        """Return the words of a sentence.

        >>> Words().to_words("The well-known cat is 3.")
        ('The', 'well-known', 'cat', 'is')
        """
        return tuple(filter(_WORD.fullmatch, tokens(sentence)))


def _of_sumy() -> Iterator[Any]:
    """Yield the summarizers of `SUMY`, with a stemmer and stop words as sumy's README has them."""
    with dev_extra("sumy"):
        from sumy.nlp.stemmers import Stemmer
        from sumy.summarizers.lex_rank import LexRankSummarizer
        from sumy.summarizers.lsa import LsaSummarizer
        from sumy.summarizers.luhn import LuhnSummarizer
        from sumy.summarizers.text_rank import TextRankSummarizer
        from sumy.utils import get_stop_words

    for kind in (LexRankSummarizer, TextRankSummarizer, LsaSummarizer, LuhnSummarizer):
        summarize = kind(Stemmer("english"))
        summarize.stop_words = get_stop_words("english")
        summarize._get_best_sentences = _rounded(summarize._get_best_sentences)
        yield summarize


def _rounded(best: Callable[..., Any]) -> Callable[..., Any]:
    """Let sumy's choice of the best sentences compare rounded ratings, so the first of equals wins.

    sumy's LSA rates a sentence by about the number of its words, so many are rated the same. Which
    of them came first would hang on rounding errors, and these on the order of a set and on the
    processor.
    """

    def choose(sentences: Sequence[Any], count: int, rating: Any, *args: Any) -> Any:
        rate = rating.__getitem__ if isinstance(rating, dict) else rating
        return best(sentences, count, lambda sentence: round(rate(sentence, *args), _DECIMALS))

    return choose


def _summarizer(summarize: Any) -> Summarizer:
    """Return a summarizer of sumy as one that takes many texts."""

    def summaries(texts: Sequence[Sequence[str]], counts: Sequence[int]) -> Iterator[Sequence[str]]:
        return (_summary(summarize, text, count) for text, count in zip(texts, counts, strict=True))

    return summaries


def _summary(summarize: Any, text: Sequence[str], count: int) -> Sequence[str]:
    """Return a text's best sentences by a summarizer of sumy, in the text's order."""
    import numpy
    from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence

    sentences = [Sentence(sentence, Words()) for sentence in text]
    # LexRank divides by zero where no sentence is like another, and then takes the first ones.
    with numpy.errstate(invalid="ignore"):
        chosen = summarize(ObjectDocumentModel([Paragraph(sentences)]), count)
    kept = {id(sentence) for sentence in chosen}
    summary = [own for own, theirs in zip(text, sentences, strict=True) if id(theirs) in kept]
    # LSA chooses nothing from a text that has only stop words.
    return summary or text[:count]

"""Metrics of continuations and of summaries, as pure functions of texts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import Any

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.wordnet import wordnet
from sonar_cli.text import sentences

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Return the words of a text as written.

    >>> words('"Look!" said Tom.')
    ['Look', 'said', 'Tom']
    """
    return _WORD.findall(text)


def keeps_name(name: str, continuation: Sequence[str], others: Collection[str]) -> bool:
    """Tell whether a continuation keeps its main character.

    It does when `name` occurs in it as a word, and no other of the names `others` does.

    >>> keeps_name("Tom", ["Tom was sad.", "He ran."], {"Ben", "Lily"})
    True
    >>> keeps_name("Tom", ["Tom was sad.", "Ben ran."], {"Ben", "Lily"})
    False
    """
    found = {word for sentence in continuation for word in words(sentence)}
    return name in found and not found & (set(others) - {name})


def repeats(prefix: Sequence[str], continuation: Sequence[str]) -> bool:
    """Tell whether a sentence of the continuation equals an earlier sentence of the text.

    The text is the prefix and the continuation; what is repeated within the prefix does not count.

    >>> repeats(["A."], ["B.", "A."]), repeats(["A."], ["B.", "C."])
    (True, False)
    """
    seen = set(prefix)
    for sentence in continuation:
        if sentence in seen:
            return True
        seen.add(sentence)
    return False


def share(hits: Iterable[bool]) -> float:
    """Return the share of True in [0, 1]; 0 of no values at all.

    >>> share([True, False, True, True])
    0.75
    """
    counted = list(hits)
    return sum(counted) / len(counted) if counted else 0.0


def rouge_l(reference: str, summary: str) -> float:
    """Return the F measure of ROUGE-L with stemming in [0, 1], as rouge-score computes it.

    Raises UsageError where the package is missing.

    >>> rouge_l("The dog barked at the moon.", "A dog barks.")  # 2 of 6 words, 2 of 3 words
    0.4444444444444444
    """
    return float(rouge_scorer().score(reference, summary)["rougeL"].fmeasure)


def chrf(reference: str, text: str) -> float:
    """Return the chrF2 of a text in [0, 100]: the F measure of its character 1- to 6-grams.

    White space is left out, and recall weighs twice as much as precision (Popović 2015 and 2016),
    as sacrebleu computes it. Raises UsageError where the package is missing.

    >>> round(chrf("The cat sat.", "The cat sat."), 1), round(chrf("The cat sat.", "The dog."), 1)
    (100.0, 13.3)
    """
    return float(_chrf_scorer().sentence_score(text, [reference]).score)


@lru_cache(maxsize=1)
def _chrf_scorer() -> Any:
    with dev_extra("sacrebleu"):
        from sacrebleu.metrics.chrf import CHRF

    return CHRF()


@lru_cache(maxsize=2)
def rouge_scorer(kinds: tuple[str, ...] = ("rougeL",)) -> Any:
    """Return rouge-score's scorer with stemming; UsageError where the package is missing."""
    with dev_extra("rouge-score"):
        from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(kinds), use_stemmer=True)


def meteor(reference: str, summary: str) -> float:
    """Return METEOR in [0, 1] with NLTK's default parameters, on the tokens of `tokens`.

    Synonyms are those of `wordnet`. NLTK looks them up by the word's stem, so "kid" matches
    "child", but "happy", whose stem is "happi", matches no synonym.

    >>> meteor("The cat sat.", "The cat sat.")  # 1 - 0.5 * (1 chunk / 4 tokens) ** 3
    0.9921875
    """
    return meteor_of(tokens(reference), tokens(summary))


def meteor_of(reference: Sequence[str], written: Sequence[str]) -> float:
    """Return METEOR in [0, 1] as `meteor` does, of texts that are tokens already."""
    from nltk.translate.meteor_score import meteor_score

    return float(meteor_score([reference], written, wordnet=wordnet()))


def tokens(text: str) -> list[str]:
    """Return the tokens of a text as NLTK's `word_tokenize` does.

    That splits the text by Punkt first, which needs NLTK's data; here our own splitter does it.

    >>> tokens("It's late. Go!")
    ['It', "'s", 'late', '.', 'Go', '!']
    """
    from nltk.tokenize import NLTKWordTokenizer

    treebank = NLTKWordTokenizer()
    found = (treebank.tokenize(sentence.text) for sentence in sentences.iter_split(text))
    return list(chain.from_iterable(found))


@contextmanager
def dev_extra(package: str) -> Iterator[None]:
    """Turn a failed import of a package of the extra `dev` into UsageError that says so."""
    try:
        yield
    except ImportError as error:
        message = f"this needs the package {package}: pip install 'sonar-llm[dev]'"
        raise UsageError(message) from error

"""Metrics of continuations and of summaries, as pure functions of texts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from sonar_cli.errors import UsageError
from sonar_cli.text import sentences

# Where Debian's package wordnet-base has WordNet 3.0, the version that NLTK's corpus is of.
WORDNET = Path("/usr/share/wordnet")

_WORD = re.compile(r"\w+")
# A data file's line: offset, number of its source file, kind, number of words (hexadecimal), then
# each word with a number of its own: wndb(5WN).
_BEFORE_WORDS = 4


def words(text: str) -> list[str]:
    """Return the words of a text as written.

    >>> words('"Look!" said Tom.')
    ['Look', 'said', 'Tom']
    """
    return _WORD.findall(text)


def keeps_name(name: str, continuation: Sequence[str], others: Collection[str]) -> bool:
    """Tell whether a continuation still has its main character and no other one.

    The name occurs in it, and none of the `others` that could be main characters does.

    >>> keeps_name("Tom", ["Tom was sad.", "He ran."], {"Ben", "Lily"})
    True
    >>> keeps_name("Tom", ["Tom was sad.", "Ben ran."], {"Ben", "Lily"})
    False
    """
    found = {word for sentence in continuation for word in words(sentence)}
    return name in found and not found & (set(others) - {name})


def repeats(prefix: Sequence[str], continuation: Sequence[str]) -> bool:
    """Tell whether a written sentence equals, word for word, an earlier one of its text.

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
    """Return the share of True; 0 when there is nothing.

    >>> share([True, False, True, True])
    0.75
    """
    counted = list(hits)
    return sum(counted) / len(counted) if counted else 0.0


def rouge_l(reference: str, summary: str) -> float:
    """Return the F measure of ROUGE-L with stemming, as rouge-score computes it.

    >>> rouge_l("The dog barked at the moon.", "A dog barks.")  # 2 of 6 words, 2 of 3 words
    0.4444444444444444
    """
    return float(rouge_scorer().score(reference, summary)["rougeL"].fmeasure)


@lru_cache(maxsize=1)
def rouge_scorer() -> Any:
    """Return rouge-score's scorer of ROUGE-L; UsageError where the package is missing."""
    with dev_extra("rouge-score"):
        from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


def meteor(reference: str, summary: str) -> float:
    """Return METEOR as NLTK computes it by default, on the tokens that `tokens` gives.

    NLTK looks for synonyms of stems: "kid" finds "child", but "happy", stem "happi", nothing.

    >>> meteor("The cat sat.", "The cat sat.")  # 1 - 0.5 * (1 chunk / 4 tokens) ** 3
    0.9921875
    """
    from nltk.translate.meteor_score import meteor_score

    return float(meteor_score([tokens(reference)], tokens(summary), wordnet=wordnet()))


def tokens(text: str) -> list[str]:
    """Cut a text into tokens as NLTK's `word_tokenize` does, our splitter in Punkt's place.

    >>> tokens("It's late. Go!")
    ['It', "'s", 'late', '.', 'Go', '!']
    """
    from nltk.tokenize import NLTKWordTokenizer

    treebank = NLTKWordTokenizer()
    found = (treebank.tokenize(sentence.text) for sentence in sentences.iter_split(text))
    return list(chain.from_iterable(found))


def has_synonyms() -> bool:
    """Tell whether METEOR takes synonyms for matches here: whether there is a WordNet."""
    return wordnet() is not _NO_WORDNET


@lru_cache(maxsize=1)
def wordnet() -> Any:
    """Return what METEOR finds synonyms in: NLTK's corpus, Debian's files, or nothing at all.

    Nothing is ever downloaded.
    """
    from nltk.corpus import wordnet as corpus

    try:
        corpus.ensure_loaded()
    except LookupError:
        return WordNet.read(WORDNET) if (WORDNET / "data.noun").is_file() else _NO_WORDNET
    return corpus


class Lemma(str):
    """A word of a synset."""

    def name(self) -> str:
        """Return the word itself."""
        return str(self)


@dataclass(frozen=True)
class Synset:
    """Words that can mean the same."""

    words: tuple[Lemma, ...]

    def lemmas(self) -> tuple[Lemma, ...]:
        """Return the words."""
        return self.words


@dataclass(frozen=True)
class WordNet:
    """As much of NLTK's WordNet reader as METEOR asks for, without its index and its senses.

    NLTK's own reader takes no folder outside of NLTK's data, and wants a file that Debian lacks.
    """

    by_word: Mapping[tuple[str, str], Sequence[Synset]] = field(default_factory=dict)
    exceptions: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)

    @staticmethod
    def read(folder: Path) -> WordNet:
        """Read the data files and the lists of irregular forms of a folder."""
        by_word: dict[tuple[str, str], list[Synset]] = defaultdict(list)
        exceptions: dict[tuple[str, str], list[str]] = {}
        for kind, name in {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}.items():
            for line in _lines(folder / f"data.{name}"):
                synset = _synset(line)
                for word in {lemma.lower() for lemma in synset.words}:
                    by_word[kind, word].append(synset)
            for line in _lines(folder / f"{name}.exc"):
                irregular, *regular = line.split()
                exceptions[kind, irregular] = regular
        return WordNet(dict(by_word), exceptions)

    def synsets(self, word: str) -> list[Synset]:
        """Return the synsets of a word and of the forms that it may be an inflection of."""
        from nltk.corpus import WordNetCorpusReader

        found: list[Synset] = []
        for kind in "nvar":
            endings = WordNetCorpusReader.MORPHOLOGICAL_SUBSTITUTIONS[kind]
            regular = [word[: -len(old)] + new for old, new in endings if word.endswith(old)]
            forms = [word, *self.exceptions.get((kind, word), regular)]
            for form in dict.fromkeys(forms):
                found += self.by_word.get((kind, form), ())
        return found


_NO_WORDNET = WordNet()


def _lines(path: Path) -> Iterator[str]:
    """A file's lines without the licence, which is indented."""
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith(" "))


def _synset(line: str) -> Synset:
    columns = line.split()
    stop = _BEFORE_WORDS + 2 * int(columns[_BEFORE_WORDS - 1], 16)
    # An adjective may have a mark of where it stands: "afloat(p)".
    return Synset(tuple(Lemma(word.split("(")[0]) for word in columns[_BEFORE_WORDS:stop:2]))


@contextmanager
def dev_extra(package: str) -> Iterator[None]:
    """Say how to install a package of the extra `dev` where its import fails."""
    try:
        yield
    except ImportError as error:
        message = f"this needs the package {package}: pip install 'sonar-llm[dev]'"
        raise UsageError(message) from error

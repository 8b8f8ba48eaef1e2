"""WordNet as METEOR asks for it: the words that can mean the same as a word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

# The folder of Debian's package wordnet-base. It has version 3.0, as NLTK's corpus does.
DEBIAN = Path("/usr/share/wordnet")

# Columns of a data file's line before its words; the last of these is their number, in
# hexadecimal. Each word is followed by a number of its own. See the manual page wndb(5WN).
_BEFORE_WORDS = 4


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
    """The part of NLTK's WordNet reader that METEOR calls: the synsets of a word.

    NLTK's own reader cannot read Debian's files: it looks only into NLTK's data folders, and it
    needs a file that Debian does not ship. `by_word` has the synsets of (part of speech, word in
    lower case), `exceptions` the base forms of (part of speech, irregular form). Without either
    it knows no word.
    """

    by_word: Mapping[tuple[str, str], Sequence[Synset]] = field(default_factory=dict)
    exceptions: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)

    @staticmethod
    def read(folder: Path) -> WordNet:
        """Read a folder's data files and its lists of irregular forms."""
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


_NONE = WordNet()


@lru_cache(maxsize=1)
def wordnet() -> Any:
    """Return the WordNet of this machine: NLTK's corpus, else Debian's files, else an empty one.

    Nothing is ever downloaded.
    """
    from nltk.corpus import wordnet as corpus

    try:
        corpus.ensure_loaded()
    except LookupError:
        return WordNet.read(DEBIAN) if (DEBIAN / "data.noun").is_file() else _NONE
    return corpus


def has_synonyms() -> bool:
    """Tell whether METEOR can match synonyms here, that is whether there is a WordNet."""
    return wordnet() is not _NONE


def _lines(path: Path) -> Iterator[str]:
    """Yield a file's lines without its licence, whose lines begin with a space."""
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith(" "))


def _synset(line: str) -> Synset:
    columns = line.split()
    stop = _BEFORE_WORDS + 2 * int(columns[_BEFORE_WORDS - 1], 16)
    # An adjective may have a mark of where it stands beside its noun: "afloat(p)".
    return Synset(tuple(Lemma(word.split("(")[0]) for word in columns[_BEFORE_WORDS:stop:2]))

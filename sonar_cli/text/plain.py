"""Plain text as blocks: paragraphs, and those of them that are headings or tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sonar_cli.text.blocks import Block, Edit, Kind, block
from sonar_cli.text.lines import GAP, ends_sentence

_WORDLESS = re.compile(r"[\W_]*")
_UNDERLINED = re.compile(r"[^\n]+\n[ \t]*([=\-~*^])\1{2,}[ \t]*")
_CHAPTER = re.compile(
    r"(?:chapter|book|part|volume|act|scene|section|appendix|prologue|epilogue|preface|contents)\b"
    r"[^a-z]{0,40}\.?$|(?:[ivxlcdm]+|\d+(?:\.\d+)*)\.?$|\d+(?:\.\d+)*\.?[ \t]+[^\W\d_][^.!?]*$",
    re.I,
)
_CODE_SIGNS = re.compile(r"[{}=<>|\\;$`]|\w\(|^\s*(?:#|//|-)|\S {2,}\S", re.M)
_TITLE_LENGTH = 60
_HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u00ad][ \t]*\r?\n[ \t]*(?=[^\W\d_])")
_CELL_SEPARATOR = re.compile(r"\||\t| {3,}")


def blocks(text: str, start: int = 0, end: int | None = None) -> Iterator[Block]:
    """Yield the paragraphs of text[start:end] as blocks, without those that are only signs.

    In prose, words that are hyphenated at the end of a line are joined again. Memory holds one
    paragraph at a time.

    >>> [(each.kind, each.text) for each in blocks("CHAPTER I\\n\\nShe was un-\\nhappy.\\n\\n***")]
    [('heading', 'CHAPTER I'), ('prose', 'She was unhappy.')]
    """
    end = len(text) if end is None else end
    while start < end:
        gap = GAP.search(text, start, end)
        stop = gap.start() if gap else end
        if not _WORDLESS.fullmatch(text, start, stop):
            kind = _kind(text[start:stop])
            yield block(
                text, start, stop, kind, hyphens(text, start, stop) if kind == "prose" else ()
            )
        start = gap.end() if gap else end


def hyphens(text: str, start: int, end: int) -> Iterator[Edit]:
    """Yield the edits that join the words of text[start:end] that a line's end has parted.

    >>> list(hyphens("un-\\nhappy Anglo-\\nSaxon", 0, 22))
    [(2, 4, '')]
    """
    for found in _HYPHEN.finditer(text, start, end):
        if text[found.start() - 1].islower() and text[found.end()].islower():
            yield *found.span(), ""


def reads_as_prose(paragraph: str) -> bool:
    """Return whether lines that are set in like code are sentences.

    >>> reads_as_prose("    It rained all day."), reads_as_prose("    x = call(1)")
    (True, False)
    """
    words = paragraph.split()
    return (
        len(words) >= 4
        and words[0].lstrip("\"'\u201c\u2018\u00ab(")[:1].isupper()
        and ends_sentence(paragraph.rstrip())
        and not _CODE_SIGNS.search(paragraph)
    )


def _kind(paragraph: str) -> Kind:
    if len(paragraph) > 2_000:
        return "prose"
    if _UNDERLINED.fullmatch(paragraph.strip()):
        return "heading"
    lines = [line.strip() for line in paragraph.splitlines() if line.strip()]
    if len(lines) == 1 and _is_heading(lines[0]):
        return "heading"
    cells = sum(len(_CELL_SEPARATOR.findall(line)) >= 2 for line in lines)
    letters = sum(map(str.isalpha, paragraph))
    solid = sum(not each.isspace() for each in paragraph)
    if len(lines) > 1 and (cells > len(lines) / 2 or letters < solid / 3):
        return "table"
    return "prose"


def _is_heading(line: str) -> bool:
    if len(line) > _TITLE_LENGTH or line[:1] in "\"'\u201c\u2018\u00ab-*\u2022":
        return False
    if _CHAPTER.match(line):
        return True
    begins = line[:1].isupper() or line[:1].isdigit()
    return (begins and not ends_sentence(line)) or (
        line.isupper() and not line.endswith(("!", "?"))
    )

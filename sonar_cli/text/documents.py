"""Split documents (Markdown, HTML, mail, plain text) into sentences, each with its kind.

A text is cut into blocks (`blocks.py`), such as paragraphs, headings and tables. Each block loses
its markup and is split into sentences, which keep their offsets in the document.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from sonar_cli.errors import InputError
from sonar_cli.options import SplitMode
from sonar_cli.text import html, markdown
from sonar_cli.text.blocks import Block, Kind, block
from sonar_cli.text.clauses import shorten
from sonar_cli.text.sentences import iter_split

Format = Literal["text", "markdown", "html", "mail"]

# The kinds of sentences that an extractive summary may choose.
CANDIDATES: frozenset[Kind] = frozenset({"prose", "quote"})
# The kinds of sentences that a model continues.
CONTINUED: frozenset[Kind] = frozenset({"prose", "quote", "heading"})

_ENDINGS: dict[str, Format] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".eml": "mail",
}
# Characters at the beginning of a text from which its format is detected.
_SAMPLE = 8_000

_GAP = re.compile(r"\n[^\S\n]*(?:\n\s*)+")
_WORDLESS = re.compile(r"[\W_]*")
_UNDERLINED = re.compile(r"[^\n]+\n[ \t]*([=\-~*^])\1{2,}[ \t]*")
_CHAPTER = re.compile(
    r"(?:chapter|book|part|volume|act|scene|section|appendix|prologue|epilogue|preface|contents)\b"
    r"[^a-z]{0,40}\.?$|(?:[ivxlcdm]+|\d+(?:\.\d+)*)\.?$|\d+(?:\.\d+)*\.?[ \t]+[^\W\d_][^.!?]*$",
    re.I,
)
_FINAL = re.compile(
    r"[.!?\u2026:;,\u3002\uff01\uff1f\u0964\u061f\u06d4]['\"\u201d\u2019\u00bb)\]]*$"
)
_TITLE_LENGTH = 60
_HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u00ad][ \t]*\r?\n[ \t]*(?=[^\W\d_])")
_CELL_SEPARATOR = re.compile(r"\||\t| {3,}")

_HEADER = re.compile(
    r"(?:From|To|Cc|Bcc|Subject|Date|Sent|Reply-To|Message-ID|Return-Path)\s*:", re.I
)
_QUOTED = re.compile(r"[ \t]*>")
# An attribution line: "On Monday, 3 March, Ann <ann@host> wrote:". The first alternative spans up
# to three lines, and only a quotation, an empty line or the end may follow. The second is any line
# with "wrote:" that a quotation follows.
_WROTE = (
    r"\b(?:wrote|schrieb|escribi\xf3|a \xe9crit|ha scritto|escreveu|schreef)\b"
    r"[^\n]{0,80}:[ \t\r]*"
)
_ATTRIBUTION = re.compile(
    r"[ \t]*(?:(?:On|Am|Le|El|Il|Em|Op)\b(?=[^\n]*\d)"
    rf"(?:[^\n]{{0,200}}\n(?![ \t\r]*[>\n])){{0,2}}?[^\n]{{0,200}}?{_WROTE}"
    r"(?:\n(?=[ \t]*[>\r\n]|\Z)|\Z)"
    rf"|[^\n]{{0,200}}?{_WROTE}\n(?:[ \t\r]*\n)?(?=[ \t]*>))"
)
_ORIGINAL = re.compile(r"-{3,} ?(?:Original Message|Forwarded message)\b", re.I)


@dataclass(frozen=True)
class Passage:
    """A sentence of a document.

    `text` is what the encoder reads, without markup and with white space collapsed. `start` and
    `end` are character offsets in the document; in HTML they are those of the sentence's block, in
    a MIME mail they count in the decoded part. `paragraph` is the number of the paragraph in the
    document, from 0. `line` is True where the sentence begins a line of its own inside its
    paragraph.
    """

    text: str
    start: int
    end: int
    paragraph: int
    kind: Kind
    line: bool = False


def passages(
    text: str,
    format: Format | None = None,
    mode: SplitMode = "auto",
    lang: str = "eng_Latn",
    name: str = "",
    length: Callable[[str], int] | None = None,
    limit: int = 0,
) -> Iterator[Passage]:
    """Yield a document's sentences one by one, holding one block (of HTML, the page) in memory.

    Without a `format`, `detect` finds it from the text and the file's `name`. `lang` is a
    FLORES-200 code. If `length`, which counts the tokens of a sentence, is given, sentences of more
    than `limit` tokens are cut. With mode "lines" every line is a sentence of prose, and markup is
    not parsed. Raises UsageError for HTML without beautifulsoup4, and InputError for a MIME mail
    without readable text.

    >>> found = passages("# A kite\\n\\nTom *found* it. He ran.\\n", "markdown")
    >>> [(each.kind, each.text, each.start) for each in found]
    [('heading', 'A kite', 2), ('prose', 'Tom found it.', 10), ('prose', 'He ran.', 26)]
    """
    paragraph = -1
    for part in _blocks(text, format, mode, name):
        last = None
        found = iter_split(part.text, mode, lang)
        if length:
            found = shorten(found, part.text, length, limit, lang)
        for each in found:
            if each.paragraph != last:
                last, paragraph = each.paragraph, paragraph + 1
            start, end = part.where(each.start, each.end)
            yield Passage(each.text, start, end, paragraph, part.kind, each.line)


def detect(text: str, name: str = "") -> Format:
    """Return a text's format, known by its file's name or else by its beginning.

    >>> detect("a", "notes.md"), detect("<!DOCTYPE html><p>Hi."), detect("Just words.")
    ('markdown', 'html', 'text')
    """
    for ending, format in _ENDINGS.items():
        if name.lower().endswith(ending):
            return format
    sample = text[:_SAMPLE].lstrip("\ufeff \t\r\n")
    if re.match(r"<!doctype html|<html\b|<\?xml[^>]*\?>\s*<(?:!doctype )?html", sample, re.I):
        return "html"
    if _is_mail(sample):
        return "mail"
    lines = sample.splitlines()
    signs = (r"#{1,6} \S", r"```", r"\[[^\]]+\]\(\S+\)", r"\|?[ :]*-{3,}[-| :]*\|", r"[-*+] \S")
    seen = [sum(bool(re.search(f"^{sign}", line)) for line in lines) for sign in signs[:2]]
    seen += [sum(bool(re.search(signs[2], line)) for line in lines)]
    seen += [sum(bool(re.match(sign, line)) for line in lines) for sign in signs[3:]]
    # Lists alone do not make a text Markdown: plain text has them too.
    return "markdown" if sum(map(bool, seen)) >= 2 and any(seen[:4]) else "text"


def _is_mail(sample: str) -> bool:
    lines = sample.splitlines()
    headers = len(list(takewhile(_HEADER.match, lines)))
    quoted = sum(bool(_QUOTED.match(line)) for line in lines)
    return headers >= 2 or (
        quoted >= 2 and any(_ATTRIBUTION.match(sample, at) for at in _starts(sample))
    )


def _starts(text: str) -> Iterator[int]:
    yield 0
    for each in re.finditer("\n", text):
        yield each.end()


def _blocks(text: str, format: Format | None, mode: SplitMode, name: str) -> Iterator[Block]:
    if mode == "lines":
        return iter([Block(text, "prose")])
    format = format or detect(text, name)
    if format == "markdown":
        return markdown.blocks(text)
    if format == "html":
        return html.blocks(text)
    return _mail(text) if format == "mail" else _plain(text, 0, len(text))


def _plain(text: str, start: int, end: int) -> Iterator[Block]:
    """Yield plain text's paragraphs as blocks, without those that are only signs (ruled lines).

    In prose, words that are hyphenated at the end of a line are joined again.
    """
    while start < end:
        gap = _GAP.search(text, start, end)
        stop = gap.start() if gap else end
        if not _WORDLESS.fullmatch(text, start, stop):
            kind = _kind(text[start:stop])
            edits = (
                (*each.span(), "")
                for each in (_HYPHEN.finditer(text, start, stop) if kind == "prose" else ())
                if text[each.start() - 1].islower() and text[each.end()].islower()
            )
            yield block(text, start, stop, kind, edits)
        start = gap.end() if gap else end


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
    return (begins and not _FINAL.search(line)) or (
        line.isupper() and not line.endswith(("!", "?"))
    )


def _mail(text: str) -> Iterator[Block]:
    """Yield a mail's own text as prose, and its quotations, headers and signature as such."""
    if re.search(
        r"^Content-Type:\s*multipart/|^Content-Transfer-Encoding:", text[:_SAMPLE], re.I | re.M
    ):
        yield from _mime(text)
        return
    in_header = _is_mail(text[:_SAMPLE]) and bool(_HEADER.match(text.lstrip("\ufeff")))
    start, kind, wrote = 0, "prose", 0
    for line in re.finditer(r"[^\n]*\n|[^\n]+", text):
        if introduced := _ATTRIBUTION.match(text, line.start()):
            wrote = introduced.end()
        stripped = line[0].rstrip()
        in_header = in_header and bool(stripped)
        if in_header:
            new = "header"
        elif kind == "signature":
            new = kind
        else:
            new = "quoted" if line.start() < wrote else _line_kind(stripped)
        if new != kind:
            yield from _mail_run(text, start, line.start(), kind)
            start, kind = line.start(), new
    yield from _mail_run(text, start, len(text), kind)


def _line_kind(line: str) -> str:
    if line == "--" or _ORIGINAL.match(line):
        return "signature"
    return "quoted" if _QUOTED.match(line) else "prose"


def _mail_run(text: str, start: int, end: int, kind: str) -> Iterator[Block]:
    if kind == "prose":
        yield from _plain(text, start, end)
    elif text[start:end].strip():
        marks = re.compile(r"^[ \t>]+", re.M).finditer(text, start, end)
        edits = [(*each.span(), "") for each in marks] if kind == "quoted" else []
        yield block(text, start, end, kind, edits)  # type: ignore[arg-type]


def _mime(text: str) -> Iterator[Block]:
    """Yield the blocks of a MIME mail's readable part, with offsets in that part's decoded text."""
    # From bytes: in a string, the parser loses all but ASCII letters of a part sent as "8bit".
    message = email.message_from_bytes(text.encode(), policy=email.policy.default)
    body = message.get_body(("plain", "html"))
    if body is None:
        raise InputError("the mail holds no text; save the part to be read as a file of its own")
    if body["Content-Transfer-Encoding"] not in ("base64", "quoted-printable"):
        # `encode` made these bytes UTF-8, whatever charset the mail declares.
        body.set_param("charset", "utf-8")
    try:
        content = str(body.get_content())
    except (LookupError, ValueError) as error:
        raise InputError(f"the mail's text cannot be read ({error})") from None
    if body.get_content_subtype() == "html":
        yield from html.blocks(content)
    else:
        yield from _mail(content)

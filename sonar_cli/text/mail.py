"""Mail as blocks: its own text, and what is no part of it (header, earlier mails, signature)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from sonar_cli.text import header, html, mime, plain
from sonar_cli.text.blocks import Block, Kind, block
from sonar_cli.text.charsets import even
from sonar_cli.text.header import ATTRIBUTION, QUOTED

_RULE = r"[ \t]*[-_]{2,}[ \t]*"
_FORWARDED = re.compile(
    rf"{_RULE}(?:Forwarded (?:message|by)|Weitergeleitete (?:Nachricht|E-Mail)"
    r"|Message transf\xe9r\xe9|Mensaje reenviado|Messaggio inoltrato"
    r"|Mensagem encaminhada|Doorgestuurd bericht)\b[^\n]*\n?"
    r"|[ \t]*(?:Begin forwarded message|Anfang der weitergeleiteten Nachricht"
    r"|D\xe9but du message transf\xe9r\xe9)[ \t]*:[ \t]*(?:\n|\Z)",
    re.I,
)
_ORIGINAL = re.compile(
    rf"{_RULE}(?:Original[ -]?Message|Original Appointment|Urspr\xfcngliche Nachricht"
    r"|Message d'origine|Mensaje original|Messaggio originale|Mensagem original"
    r"|Oorspronkelijk bericht)\b[^\n]*\n?",
    re.I,
)
_FORWARDS = re.compile(
    r"^Subject:[ \t]*(?:\[[^\]\n]*\][ \t]*)?(?:Fwd?|WG|TR|RV|I|ENC|VB)[ \t]*:", re.I | re.M
)
_SIGNED = re.compile(r"-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\n(?:[\w-]+:[^\n]*\n)*")
_ARMOUR = re.compile(r"-----BEGIN (PGP [A-Z ]+|[A-Z ]*CERTIFICATE|PKCS7)-----[ \t]*(?:\n|\Z)")
_MARKS = re.compile(r"^[ \t>]+", re.M)
_SIGNATURES = ("--", "- --")


def blocks(text: str) -> Iterator[Block]:
    """Yield a mail's own text as prose, and its quotations, headers and signature as such.

    A forwarded mail is read as the mail's own text, and so are quotations where there is nothing
    else. In a mail in MIME, offsets count in the decoded text of the parts that are read.

    >>> mail = "From: a@example.org\\nTo: b@example.org\\n\\nYes. See you.\\n\\n> Tea?\\n"
    >>> [each.kind for each in blocks(mail)]
    ['header', 'prose', 'quoted']
    """
    found = list(_blocks(text))
    kinds = {each.kind for each in found}
    for kind in ("quoted", "signature"):
        if not kinds & {"prose", "quote"} and kind in kinds:
            found = [replace(each, kind="prose") if each.kind == kind else each for each in found]
            break
    return iter(found)


def _blocks(text: str) -> Iterator[Block]:
    start = int(text.startswith("\ufeff"))
    end = header.header_end(text, start)
    forwards = bool(_FORWARDS.search(text, start, end))
    if not mime.is_encoded(text, text[start:end]):
        text = even(text)
        if end > start:
            yield block(text, start, end, "header")
        yield from _body(text, end, forwards)
        return
    done = 0
    for part in mime.texts(text[start:]):
        content = even(part.text)
        made = _page(content, forwards) if part.is_html else _body(content, 0, forwards)
        for each in made:
            kind: Kind = "signature" if part.is_footer else each.kind
            yield replace(each, kind=kind).moved(done)
        done += len(content)


def _body(text: str, start: int, forwards: bool) -> Iterator[Block]:
    """Yield the blocks of a mail's text."""
    for kind, first, last in _runs(text, start, forwards):
        if kind == "prose":
            yield from plain.blocks(text, first, last)
        elif text[first:last].strip():
            marks = _MARKS.finditer(text, first, last) if kind == "quoted" else ()
            yield block(text, first, last, kind, [(*each.span(), "") for each in marks])


def _runs(text: str, start: int, forwards: bool) -> Iterator[tuple[Kind, int, int]]:
    """Yield (kind, start, end) of the parts of a mail's text."""
    kind: Kind = "prose"
    # From here on lines are of this kind, unless they are special.
    rest: Kind = "prose"
    done, own = start, False
    until, inside = start, kind
    for line in header.lines(text, start, len(text)):
        at = line.start()
        if at >= until:
            inside = rest
            if rest != "quoted" and (special := _special(text, at, forwards or not own)):
                inside, until, rest = special
            elif rest == "prose" and line[0].rstrip() in _SIGNATURES:
                inside = rest = "signature"
            elif rest == "prose" and QUOTED.match(line[0]):
                inside = "quoted"
        own = own or (inside == "prose" and bool(re.search(r"\w", line[0])))
        if inside != kind:
            yield kind, done, at
            done, kind = at, inside
    yield kind, done, len(text)


def _special(text: str, at: int, keep: bool) -> tuple[Kind, int, Kind] | None:
    """Return what a line begins: (kind, end, kind of what follows), or None.

    With `keep`, an earlier mail below the line is read: it was forwarded, or is all there is.
    """
    size = len(text)
    if found := _FORWARDED.match(text, at):
        following = header.skip_empty(text, found.end(), size)
        end = max(header.copied_end(text, following, size), header.header_end(text, following))
        return "header", end if end > following else found.end(), "prose"
    if found := _ORIGINAL.match(text, at):
        following = header.skip_empty(text, found.end(), size)
        end = header.copied_end(text, following, size)
        return ("header", end, "prose") if keep else ("quoted", end, "quoted")
    if (end := header.copied_end(text, at, size)) > at:
        return ("header", end, "prose") if keep else ("quoted", end, "quoted")
    if found := ATTRIBUTION.match(text, at):
        return "quoted", found.end(), "prose"
    if found := _SIGNED.match(text, at):
        return "header", found.end(), "prose"
    if found := _ARMOUR.match(text, at):
        closing = f"-----END {found[1]}-----"
        end = text.find(closing, found.end())
        return "signature", end + len(closing) + 1 if end >= 0 else size, "prose"
    return None


def _page(text: str, forwards: bool) -> Iterator[Block]:
    """Yield the blocks of a mail in HTML."""
    rest = False
    forwarded = forwards
    own = attributed = False
    for each in html.blocks(text, mail=True):
        special = _special(each.text, 0, forwarded or not own) if each.kind != "signature" else None
        kind = each.kind
        if special:
            kind = special[0]
            forwarded = forwarded or bool(_FORWARDED.match(each.text))
            rest = rest or special[2] == "quoted"
        elif rest or (attributed and kind == "quote"):
            kind = "quoted"
        elif kind == "quoted" and forwarded:
            kind = "prose"
        own = own or kind == "prose"
        attributed = bool(special and ATTRIBUTION.match(each.text))
        yield replace(each, kind=kind)

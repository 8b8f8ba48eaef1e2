"""Detect what a text is: plain text, a kind of markup, HTML, mail, subtitles or a chat."""

from __future__ import annotations

import re
from typing import Literal

from sonar_cli.text import chat, header, subtitles

Format = Literal[
    "text", "markdown", "html", "mail", "subtitles", "chat", "rst", "asciidoc", "org", "latex"
]

ENDINGS: dict[str, Format] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".eml": "mail",
    ".srt": "subtitles",
    ".vtt": "subtitles",
    ".rst": "rst",
    ".adoc": "asciidoc",
    ".asciidoc": "asciidoc",
    ".org": "org",
    ".tex": "latex",
}
# Characters at the beginning of a text from which its format is detected.
SAMPLE = 8_000

_HTML = re.compile(r"<!doctype html|<html\b|<\?xml[^>]*\?>\s*<(?:!doctype )?html", re.I)
# A heading, a fence, a link and a table's rule. Two of these make Markdown, or one and a list; a
# list alone does not, since plain text has them too.
_SIGNS = (r"^#{1,6} \S", r"^```", r"^\[[^\]\n]+\]\(\S+\)", r"^\|?[ :]*-{3,}[-| :]*\|")
_LISTED = r"^[-*+] \S"


def detect(text: str, name: str = "") -> Format:
    """Return a text's format, known by its file's name or else by its beginning.

    >>> detect("a", "notes.md"), detect("<!DOCTYPE html><p>Hi."), detect("Just words.")
    ('markdown', 'html', 'text')
    """
    for ending, format in ENDINGS.items():
        if name.lower().endswith(ending):
            return format
    sample = text[:SAMPLE].lstrip("\ufeff \t\r\n")
    if _HTML.match(sample):
        return "html"
    if header.is_mail(sample):
        return "mail"
    if subtitles.is_subtitles(sample):
        return "subtitles"
    if chat.is_chat(sample):
        return "chat"
    seen = [_has(sign, sample) for sign in _SIGNS]
    return "markdown" if any(seen) and sum(seen) + _has(_LISTED, sample) >= 2 else "text"


def _has(sign: str, sample: str) -> bool:
    return bool(re.search(sign, sample, re.M))

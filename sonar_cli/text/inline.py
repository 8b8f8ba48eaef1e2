"""The inline markup of a Markdown paragraph: emphasis, code spans, links, entities and the like.

markdown-it-py parses it, but its tokens do not say where they stood. Its rules are therefore
wrapped: each one that succeeds notes which characters of the source are markup.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from html import unescape
from typing import Any

from markdown_it import MarkdownIt, rules_inline
from markdown_it.rules_inline import StateInline

from sonar_cli.text.blocks import Edit, whole

Rule = Callable[[StateInline, bool], bool]

_SIGN = re.compile(r"[\\`*_~\[<&]")
_NOTE = re.compile(r"\[\^[^\[\]\s]+\]:?")
# A star of a file's pattern (*.txt) or of a product (2*x), which would open or close emphasis.
_LONE_STAR = re.compile(r"(?<!\*)\*(?=\.\w+(?![\w*]))|(?<=\d)\*(?=\w)|(?<=\w)\*(?=\d)")
_BRACKET = re.compile(r"[\[\]]")
_BREAK = re.compile(r"<br\b", re.I)
_ESCAPED = re.compile(r"\\[!-/:-@\[-`{-~\n]")
# Characters that are parsed at a time. Some markup takes the square of its length, so a longer
# paragraph is parsed in parts that end with a line, a sentence or a word.
_PART = 16_000
# Brackets in brackets, beyond which they are text: each one is looked for to the end of the part.
_BRACKETS = 8


def edits(content: str, references: dict[str, Any]) -> Iterator[Edit]:
    """Yield the edits that remove a paragraph's markup, in order.

    `references` are the document's link definitions as markdown-it-py collects them. Marks before a
    word or behind one are replaced together with that word's letter, so that the place of a
    sentence holds its marks as well.

    >>> list(edits("*Run* `it` &amp; go", {}))
    [(0, 2, 'R'), (3, 5, 'n'), (6, 8, 'i'), (8, 10, 't'), (11, 16, '&')]
    """
    start = 0
    while start < len(content):
        stop = _cut(content, start)
        part = content[start:stop]
        if _SIGN.search(part):
            for first, last, new in whole(part, _marks(part, references)):
                yield first + start, last + start, new
        start = stop


def _cut(content: str, start: int) -> int:
    """Return where the part that begins at `start` ends."""
    limit = start + _PART
    if limit >= len(content):
        return len(content)
    for end in ("\n", ". ", " "):
        if (found := content.rfind(end, start + _PART // 2, limit)) >= 0:
            return found + len(end)
    return limit


def _marks(content: str, references: dict[str, Any]) -> list[Edit]:
    """Return the edits of all markup, in order; of some nested markup one edit holds others."""
    env: dict[str, Any] = {"references": references, "edits": [], "delimiters": []}
    has_links = bool(references) or "](" in content
    env["links"] = has_links and _depth(content) <= _BRACKETS
    parser = _parser()
    parser.inline.parse(content, parser, env, [])
    found: list[Edit] = env["edits"]
    for token, start, end in env["delimiters"]:
        # What was found to be emphasis has lost its content; a lone star keeps it.
        if token.type != "text" or not token.content:
            found.append((start, end, ""))
    return sorted(found)


def _depth(content: str) -> int:
    """Return how many brackets are open at once at most."""
    depth = most = 0
    for bracket in _BRACKET.findall(content):
        depth = depth + 1 if bracket == "[" else max(depth - 1, 0)
        most = max(most, depth)
    return most


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark")
    rules: dict[str, Rule] = {
        "escape": _noting(rules_inline.escape, _escape),
        "backticks": _noting(rules_inline.backtick, _code),
        "strikethrough": _delimiting(rules_inline.strikethrough.tokenize),
        "emphasis": _delimiting(rules_inline.emphasis.tokenize),
        "link": _link,
        "image": _removed(_image),
        "autolink": _noting(rules_inline.autolink, _autolink),
        "html_inline": _removed(rules_inline.html_inline),
        "entity": _noting(rules_inline.entity, _entity),
    }
    for name, rule in rules.items():
        parser.inline.ruler.at(name, rule)
    parser.inline.ruler.before("link", "footnote_reference", _noting(_footnote, _all))
    parser.inline.ruler.before("emphasis", "lone_star", _lone_star)
    parser.enable("strikethrough")
    # It would join the delimiters that remain text with others that do not.
    parser.inline.ruler2.disable(["fragments_join", "text_collapse"], True)
    return parser


def _noting(rule: Rule, marks: Callable[[str], list[Edit]]) -> Rule:
    """Return the rule, made to note the markup of the source it has consumed."""

    def wrapped(state: StateInline, silent: bool) -> bool:
        start = state.pos
        if not rule(state, silent):
            return False
        if not silent:
            for first, last, new in marks(state.src[start : state.pos]):
                state.env["edits"].append((start + first, start + last, new))
        return True

    return wrapped


def _removed(rule: Rule) -> Rule:
    """Return the rule, made to note all it has consumed; it makes no tokens."""

    def quiet(state: StateInline, silent: bool) -> bool:
        return rule(state, True)

    return _noting(quiet, _all)


def _all(source: str) -> list[Edit]:
    return [(0, len(source), "\n" if _BREAK.match(source) else "")]


def _escape(source: str) -> list[Edit]:
    return [(0, 1, "")] if _ESCAPED.match(source) else []


def _entity(source: str) -> list[Edit]:
    return [(0, len(source), unescape(source))]


def _autolink(source: str) -> list[Edit]:
    return [(0, 1, ""), (len(source) - 1, len(source), "")]


def _code(source: str) -> list[Edit]:
    inner = source.strip("`")
    if not inner:
        # Backticks that nothing closes.
        return []
    marks = (len(source) - len(inner)) // 2
    inner = source[marks:-marks]
    pad = int(inner[0] == inner[-1] == " " and bool(inner.strip(" ")))
    return [(0, marks + pad, ""), (len(source) - marks - pad, len(source), "")]


def _footnote(state: StateInline, silent: bool) -> bool:
    found = _NOTE.match(state.src, state.pos, state.posMax)
    if found:
        state.pos = found.end()
    return bool(found)


def _lone_star(state: StateInline, silent: bool) -> bool:
    if not _LONE_STAR.match(state.src, state.pos):
        return False
    if not silent:
        state.push("text", "", 0).content = "*"
    state.pos += 1
    return True


def _link(state: StateInline, silent: bool) -> bool:
    start = state.pos
    if state.src[start] != "[" or not state.env["links"]:
        return False
    stop = state.md.helpers.parseLinkLabel(state, start, True)
    if not rules_inline.link(state, silent):
        return False
    if not silent:
        state.env["edits"] += [(start, start + 1, ""), (stop, state.pos, "")]
    return True


def _image(state: StateInline, silent: bool) -> bool:
    return bool(state.env["links"]) and rules_inline.image(state, silent)


def _delimiting(rule: Rule) -> Rule:
    """Return the rule, made to note its delimiters, which are paired after all else is parsed."""

    def wrapped(state: StateInline, silent: bool) -> bool:
        start = state.pos
        if not rule(state, silent):
            return False
        end = state.pos
        for token in reversed(state.tokens):
            if end <= start:
                break
            state.env["delimiters"].append((token, end - len(token.content), end))
            end -= len(token.content)
        return True

    return wrapped

"""HTML as blocks, parsed by beautifulsoup4 (the extra `[html]`)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from sonar_cli.errors import UsageError
from sonar_cli.text.blocks import Block, Kind

# Elements that are not part of the page's running text.
_SKIPPED_TAGS = {
    *("script", "style", "noscript", "template", "svg", "math", "head", "nav", "header", "footer"),
    *("aside", "form", "button", "select", "textarea", "iframe", "object", "figure"),
}
_KINDS: dict[str, Kind] = {
    **{f"h{level}": "heading" for level in range(1, 7)},
    **{"pre": "code", "table": "table", "blockquote": "quote"},
}
_BLOCKS = {
    *("address", "article", "body", "center", "dd", "details", "div", "dl", "dt", "fieldset"),
    *("figcaption", "hr", "html", "li", "main", "ol", "p", "section", "summary", "ul"),
    *_KINDS,
}
# The beginning of a marked section that HTML does not know, such as <![if IE]>.
_UNKNOWN_SECTION = re.compile(r"<!\[(?!CDATA\[)")


def blocks(text: str) -> Iterator[Block]:
    """Yield a page's blocks in order, only those of its <main> or its only <article> if it has one.

    The parser gives the offsets of tags, not of characters: a block's `span` goes from its tag to
    that of the next block. Raises UsageError without beautifulsoup4.
    """
    root = _parse(text)
    found = [(tag, "".join(strings)) for tag, strings in _strings(_main(root))]
    found = [(tag, inner) for tag, inner in found if inner.strip()]
    lines = [0, *(match.end() for match in re.finditer("\n", text))]
    starts = [_offset(tag, lines) for tag, _ in found]
    # Text behind a nested block belongs to the outer tag, which has a smaller offset.
    starts = list(accumulate(starts, max))
    for (tag, inner), start in zip(found, starts, strict=True):
        later = bisect_right(starts, start)
        end = starts[later] if later < len(starts) else len(text)
        yield Block(inner, _kind(tag), span=(start, end))


def _parse(text: str) -> Any:
    try:
        from bs4 import BeautifulSoup
        from bs4.builder import ParserRejectedMarkup
    except ImportError:
        raise UsageError(
            "reading HTML needs beautifulsoup4: pip install 'sonar-llm[html]'"
        ) from None
    try:
        return BeautifulSoup(text, "html.parser")
    except ParserRejectedMarkup:
        # html.parser rejects what browsers take for a comment. The replacement keeps the offsets.
        return BeautifulSoup(_UNKNOWN_SECTION.sub("<! ", text), "html.parser")


def _main(root: Any) -> Any:
    articles = root.find_all("article")
    return root.find("main") or (articles[0] if len(articles) == 1 else root)


def _strings(root: Any) -> Iterator[tuple[Any, list[str]]]:
    """Yield each run of text that belongs to one block, with that block's tag."""
    last: Any = None
    strings: list[str] = []
    for tag, string in _walk(root):
        if tag is not last and strings:
            yield last, strings
            strings = []
        last = tag
        strings.append(string)
    if strings:
        yield last, strings


def _walk(root: Any) -> Iterator[tuple[Any, str]]:
    """Yield each string with its block's tag, without recursion: pages may nest very deeply."""
    waiting = [(child, root, False) for child in reversed(list(root.children))]
    while waiting:
        node, block, verbatim = waiting.pop()
        name = getattr(node, "name", None)
        if name is None:
            # Subclasses are comments, doctypes and the like.
            if type(node).__name__ == "NavigableString":
                # Outside <pre>, a line break in the source is only a space.
                yield block, str(node) if verbatim else " ".join(re.split(r"\s+", str(node)))
        elif name == "br":
            yield block, "\n"
        elif not _is_skipped(node):
            # Elements inside a code block, a table or a heading do not begin blocks of their own.
            outer = _kind(block) in ("code", "table", "heading")
            inner = node if name in _BLOCKS and not outer else block
            verbatim = verbatim or name == "pre"
            if name in ("td", "th"):
                yield inner, " "
            waiting += [(child, inner, verbatim) for child in reversed(list(node.children))]


def _is_skipped(tag: Any) -> bool:
    style = str(tag.get("style") or "").replace(" ", "").lower()
    hidden = tag.has_attr("hidden") or "display:none" in style or tag.get("aria-hidden") == "true"
    return tag.name in _SKIPPED_TAGS or hidden


def _kind(tag: Any) -> Kind:
    """Return the kind of a tag, or of the nearest tag around it that has one."""
    for each in (tag, *tag.parents):
        if each.name in _KINDS:
            return _KINDS[each.name]
    return "prose"


def _offset(tag: Any, lines: list[int]) -> int:
    """Return the offset of a tag in the page; 0 for the page itself."""
    if tag.sourceline is None:
        return 0
    return lines[min(tag.sourceline, len(lines)) - 1] + int(tag.sourcepos or 0)

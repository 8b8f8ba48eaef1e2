"""HTML as blocks, with the offset of every character; `html.parser` finds the tags."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser

from sonar_cli.text import elements
from sonar_cli.text.blocks import Block, Edit, block
from sonar_cli.text.page import Run, State, chosen, inner

_ENTITY = re.compile(r"&(?:#\d{1,8}(?!\d);?|#[xX][\da-fA-F]{1,8};?|[a-zA-Z]\w{1,31};?)")
_END = re.compile(r"</([a-zA-Z][^\s/>]*)")
_FLAT = str.maketrans("\n\t\r\f", "    ")
# Replaces a character that must not be seen as markup; it never gets into a block.
_STAND_IN = "\ufdd0"
# Open elements that are looked at for one whose end tag was left out.
_REACH = 16


def blocks(text: str, fragment: bool = False, mail: bool = False) -> Iterator[Block]:
    """Yield a page's blocks in order: those of its <main> or of its only <article> if it has one.

    What is beside the text (navigation, asides, captions) or hidden is left out, unless a page has
    no other text. The page is parsed as a whole. A `fragment` is a part of a page, without a choice
    of what is read. In a `mail`, the marks that mail programs leave tell what was quoted.

    >>> [(each.kind, each.text) for each in blocks("<h1>A kite</h1><p>Tom &amp; <b>Ben</b> ran.")]
    [('heading', 'A kite'), ('prose', 'Tom & Ben ran.')]
    """
    flat = text.translate(_FLAT)
    for run in chosen(_Reader(text, mail).read(), flat, fragment):
        source = text if run.state.kind == "code" else flat
        yield block(source, run.start, run.end, run.kind, _edits(source, run))


def _edits(source: str, run: Run) -> Iterator[Edit]:
    """Yield what makes text of a run's source: tags go, and entities become characters."""
    for index, (start, end) in enumerate(run.spans):
        if index:
            before = run.spans[index - 1][1]
            if start > before or run.fillers[index]:
                yield before, start, run.fillers[index]
        for found in _ENTITY.finditer(source, start, end):
            if (new := unescape(found[0])) != found[0]:
                yield (*found.span(), new)


def _prepared(text: str) -> str:
    """Return a text that `html.parser` of every version reads alike, quickly and as browsers do.

    It has the same length. Text in doubt stays text: behind a comment that is never closed, say.
    """
    text = re.sub(r"<!--(?=-?>)", "<!xx", text.replace("--!>", "--->"))
    if "<![CDATA[" in text:
        # XHTML's CDATA is text, so its marks alone go: as a comment, and as an unknown tag.
        text = text.replace("<![CDATA[", "<!--xx-->").replace("]]>", "<x>")
    # Other sections are unknown to HTML.
    text = text.replace("<![", "<! ")
    closed = text.rfind("-->") + 1
    text = text[:closed] + text[closed:].replace("<!--", f"{_STAND_IN}!--")
    # Python refuses to make a number of thousands of digits.
    return re.sub(r"&(?=#\d{9})", _STAND_IN, text)


class _Reader(HTMLParser):
    """Collects the runs of text that stand in one block each."""

    def __init__(self, text: str, mail: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.mail = text, mail
        self.lines = [0, *(each.end() for each in re.finditer("\n", text))]
        self.runs: list[Run] = []
        self.run: Run | None = None
        self.stack = [State()]
        self.open: Counter[str] = Counter()
        self.last_ends = {each[1].lower(): each.start() for each in _END.finditer(text)}
        self.filler = ""
        self.data_at: int | None = None
        self.tables = self.articles = 0

    def read(self) -> list[Run]:
        # Behind the last ">" there are no tags; the parser would look for their ends in vain.
        last = self.text.rfind(">") + 1
        self.feed(_prepared(self.text)[:last])
        self.close()
        self.text_until(last)
        self.add(last, len(self.text))
        self.flush()
        return self.runs

    def place(self) -> int:
        line, column = self.getpos()
        return self.lines[line - 1] + column

    def text_until(self, end: int) -> None:
        """Add the text that was begun, which ends here. The parser does not say how long it is."""
        if self.data_at is not None:
            self.add(self.data_at, end)
            self.data_at = None

    def add(self, start: int, end: int) -> None:
        state = self.stack[-1]
        if start == end or state.level == 3:
            return
        if self.run and self.run.state.level != state.level:
            if state.level and not state.is_block:
                # A hidden word inside a paragraph that is shown.
                return
            self.flush()
        if self.run is None:
            if not self.text[start:end].strip():
                return
            self.run = Run(state)
        self.run.add(start, end, self.filler)
        self.filler = ""

    def flush(self) -> None:
        if self.run:
            self.runs.append(self.run)
        self.run, self.filler = None, ""

    def bound(self, state: State) -> None:
        """End the run at a block's beginning or end; inside a heading or code it goes on."""
        if state.sealed:
            self.filler = self.filler or "\n"
        else:
            self.flush()

    def handle_data(self, data: str) -> None:
        if self.data_at is None:
            self.data_at = self.place()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text_until(self.place())
        if tag == "br":
            self.filler += "\n"
        if tag in elements.VOID:
            if tag == "hr":
                self.flush()
            return
        is_block = tag in elements.BLOCKS
        if is_block:
            self.end_implied(tag)
        above = self.stack[-1]
        state = inner(above, tag, dict(attrs), self.mail)
        if tag == "table" or (tag in elements.TABLE and not above.table):
            self.tables += 1
            state.table = self.tables
        if tag == "article":
            self.articles += 1
            state.article = self.articles
        if state.level == 3 and not self.is_closed(tag):
            # It would swallow the rest of the page.
            return
        if is_block or above.level >= 2 or (state.level, state.kind) != (above.level, above.kind):
            self.stack.append(state)
            self.open[tag] += 1
        if is_block:
            self.bound(above)

    def handle_endtag(self, tag: str) -> None:
        self.text_until(self.place())
        if self.open[tag]:
            while self.pop().name != tag:
                pass
        elif tag in elements.HEADINGS:
            # As in <h1>Title</h2>.
            self.pop_to(elements.HEADINGS, frozenset())
        if tag in elements.BLOCKS:
            self.bound(self.stack[-1])

    def handle_comment(self, data: str) -> None:
        self.text_until(self.place())

    def handle_decl(self, decl: str) -> None:
        self.text_until(self.place())

    def handle_pi(self, data: str) -> None:
        self.text_until(self.place())

    def pop(self) -> State:
        state = self.stack.pop()
        self.open[state.name] -= 1
        if state.is_block and not self.stack[-1].sealed:
            self.flush()
        return state

    def is_closed(self, tag: str) -> bool:
        """Return whether an end tag of this name is still to come."""
        return self.last_ends.get(tag, -1) >= self.place()

    def end_implied(self, tag: str) -> None:
        """Close the elements that a block's start tag ends."""
        while not self.stack[-1].is_block and not self.is_closed(self.stack[-1].name):
            self.pop()
        if self.stack[-1].name == "p":
            self.pop()
        if tag in elements.ENDS_HEADING:
            self.pop_to(elements.HEADINGS, frozenset())
        if tag in elements.ENDED_BY:
            self.pop_to(*elements.ENDED_BY[tag])

    def pop_to(self, names: frozenset[str], limits: frozenset[str]) -> None:
        """Close the nearest of these elements, with what is in it, if no limit is in between."""
        for depth, state in enumerate(reversed(self.stack[-_REACH:]), start=1):
            if state.name in names:
                for _ in range(depth):
                    self.pop()
                return
            if state.name in limits:
                return

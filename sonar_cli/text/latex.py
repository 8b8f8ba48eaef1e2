"""LaTeX as blocks: prose without commands, formulas on lines of their own, figures and tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sonar_cli.text import tex
from sonar_cli.text.blocks import Block, Edit, Kind, block, whole

_TOKEN = re.compile(
    r"""(?P<comment>%[^\n]*(?:\n[ \t]*(?=\S))?)
    |(?P<gap>\n[ \t]*\n\s*)
    |\\(?P<accent>['`^"~=.]|[cvuHkrdb](?![a-zA-Z]))[ \t]*(?P<letter>\\?[a-zA-Z](?![a-zA-Z])
        |[a-zA-Z]|\{\\?[a-zA-Z]\})
    |\\(?P<name>[a-zA-Z@]+)\*?
    |\\(?P<sign>[^a-zA-Z])
    |(?P<brace>[{}])
    |(?P<dollar>\$\$?)
    |(?P<mark>~|---?|``?|'')""",
    re.X,
)
_ENVIRONMENT = re.compile(r"\{([a-zA-Z]+\*?)\}")
_END = re.compile(r"\\end\{([a-zA-Z]+\*?)\}")
_OPTION = re.compile(r"[ \t]{0,8}\[[^\[\]]{0,300}\]")
_TERM = re.compile(r"\[(?P<term>[\w ,.:'-]{2,100})\]")
_SPACE = re.compile(r"[ \t]{0,80}(?:\n[ \t]{0,80}(?=\S))?")
_WORD = re.compile(r"\w")
# Characters that the text between the signs of \verb may have.
_VERB = 1_000


def blocks(text: str) -> Iterator[Block]:
    r"""Yield the blocks of a text in LaTeX; what is no prose is code, table or heading.

    Commands and environments that are unknown are removed, and what is in them is read. Line ends
    must be line feeds.

    >>> found = blocks("\\section{Top}\n\nIt \\emph{is} so~\\cite{a}. % Sure?\n")
    >>> [(each.kind, each.text.strip()) for each in found]
    [('heading', 'Top'), ('prose', 'It is so.')]
    """
    return _Reader(text).blocks()


class _Reader:
    """Reads one text; the block that was begun at `begin` has `edits`.

    `groups` tells of each open brace whether it holds a heading, `closing` where a brace is closed.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = self.begin = 0
        self.kind: Kind = "prose"
        self.edits: list[Edit] = []
        self.found: list[Block] = []
        self.groups: list[bool] = []
        self.in_formula = False
        self.closing = tex.closing_braces(text)
        self.last = {each[1]: each.start() for each in _END.finditer(text)}
        self.last_display = text.rfind("\\]")

    def blocks(self) -> Iterator[Block]:
        begin = self.text.find(r"\begin{document}")
        if begin >= 0:
            self.without_prose(0, begin, "code")
        readers: dict[str, Callable[[re.Match[str]], None]] = {
            **{"comment": self.comment, "gap": self.gap, "letter": self.accent},
            **{"name": self.command, "sign": self.sign, "brace": self.brace},
            **{"dollar": self.dollar, "mark": self.mark},
        }
        while found := _TOKEN.search(self.text, self.at):
            self.at = found.end()
            readers[found.lastgroup or ""](found)
            yield from self.found
            self.found.clear()
        self.flush(len(self.text), len(self.text))
        yield from self.found

    def flush(self, end: int, begin: int) -> None:
        """End the block at `end`, and begin the next one at `begin`."""
        source = self.text[self.begin : end]
        edits = ((a - self.begin, b - self.begin, new) for a, b, new in self.edits)
        made = Block(source, self.kind, ((0, self.begin, 0),)).edited(whole(source, edits))
        if _WORD.search(made.text):
            self.found.append(made)
        self.begin, self.edits = begin, []

    def without_prose(self, start: int, end: int, kind: Kind) -> None:
        """Add what is between two offsets as it is."""
        self.flush(start, end)
        if _WORD.search(self.text, start, end):
            self.found.append(block(self.text, start, end, kind))
        self.at = end

    def replace(self, start: int, end: int, new: str = "") -> None:
        self.edits.append((start, end, new))
        self.at = max(self.at, end)

    def remove(self, start: int, end: int, new: str = "") -> None:
        """Remove what may stand on a line of its own, and the space behind it."""
        parts_words = not new and self.text[max(start - 1, 0) : start].isalnum()
        self.replace(start, end if parts_words else self.space(end), new)

    def drop(self, start: int, end: int) -> None:
        """Remove what is no part of a sentence that begins behind it."""
        if not self.edits and self.text_end(start) == self.begin:
            self.begin = self.at = end
        else:
            self.remove(start, end)

    def comment(self, found: re.Match[str]) -> None:
        before = self.text[max(found.start() - 1, 0) : found.start()]
        self.replace(*found.span(), "" if before.strip() else " ")

    def gap(self, found: re.Match[str]) -> None:
        self.flush(*found.span())
        self.kind, self.in_formula = "prose", False

    def accent(self, found: re.Match[str]) -> None:
        letter = found["letter"].strip("{}\\")
        self.replace(*found.span(), tex.accented(letter, found["accent"]))

    def sign(self, found: re.Match[str]) -> None:
        start, end = found.span()
        if found["sign"] == "[" and self.last_display > start:
            self.remove(start, self.text.find("\\]", start) + 2, " ")
        elif found["sign"] in tex.SYMBOLS:
            option = _OPTION.match(self.text, end) if found["sign"] == "\\" else None
            self.replace(start, option.end() if option else end, tex.SYMBOLS[found["sign"]])
            self.in_formula = found["sign"] == "(" or (self.in_formula and found["sign"] != ")")
        else:
            self.replace(start, start + 1)

    def brace(self, found: re.Match[str]) -> None:
        start, end = found.span()
        if found["brace"] == "{":
            self.groups.append(False)
        elif self.groups and self.groups.pop():
            self.flush(start, end)
            self.kind = "prose"
            return
        self.replace(start, end)

    def dollar(self, found: re.Match[str]) -> None:
        start, end = found.span()
        close = self.text.find("$$", end) if found["dollar"] == "$$" else -1
        if close >= 0:
            self.remove(start, close + 2, " ")
        else:
            self.in_formula = not self.in_formula
            self.replace(start, end)

    def mark(self, found: re.Match[str]) -> None:
        if not self.in_formula:
            self.replace(*found.span(), tex.SYMBOLS[found["mark"]])

    def command(self, found: re.Match[str]) -> None:
        """Read a command, with those of its arguments that are not read."""
        name, (start, end) = found["name"], found.span()
        if name in ("begin", "end"):
            self.environment(start, end, name)
        elif name in tex.HEADINGS:
            self.heading(start, self.options(end))
        elif name in ("item", "par"):
            term = _TERM.match(self.text, end)
            self.flush(start, end if term else self.options(end))
            if term:
                self.edits += [(end, end + 1, ""), (term.end() - 1, term.end(), "")]
            self.at = max(self.begin, term.end() if term else 0)
        elif name in tex.VERBATIM and (brace := self.options(end)) in self.closing:
            close = self.closing[brace]
            self.edits += [(start, brace + 1, ""), (close, close + 1, "")]
            self.at = close + 1
        elif tex.NOTES.fullmatch(name):
            self.note(start, self.arguments(end))
        elif name in tex.DROPPED:
            self.drop(start, self.arguments(end))
        elif name in tex.FIRST_DROPPED:
            self.remove(start, self.arguments(end, tex.FIRST_DROPPED[name]))
        elif name == "verb":
            self.verbatim(start, end)
        elif self.in_formula or name in tex.SYMBOLS:
            sign = tex.formula_sign(name)
            self.replace(start, self.space(end) if len(sign) == 1 and sign.isalpha() else end, sign)
        else:
            self.remove(start, end)

    def space(self, at: int) -> int:
        """Return where the white space ends that begins at an offset, but for an empty line."""
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def options(self, at: int) -> int:
        """Return where the optional arguments end that begin at an offset."""
        while found := _OPTION.match(self.text, at):
            at = found.end()
        return at

    def arguments(self, at: int, most: int = 9) -> int:
        """Return where at most so many arguments end, and the optional ones around them."""
        for _ in range(most):
            at = self.options(at)
            brace = self.space(at)
            if brace not in self.closing:
                return at
            at = self.closing[brace] + 1
        return at

    def heading(self, start: int, end: int) -> None:
        if end in self.closing:
            self.flush(start, end + 1)
            self.kind, self.at = "heading", end + 1
            self.groups.append(True)
        else:
            self.replace(start, end)

    def note(self, start: int, end: int) -> None:
        """Remove a note with the space before it, of which a part may have been replaced."""
        first = self.text_end(start)
        while self.edits and self.edits[-1][0] >= first:
            self.edits.pop()
        if self.edits:
            first = max(first, self.edits[-1][1])
        self.replace(first, end)

    def text_end(self, at: int) -> int:
        """Return where the space and the ties begin that end at an offset."""
        while at > self.begin and self.text[at - 1] in " ~\n\t":
            at -= 1
        return at

    def verbatim(self, start: int, end: int) -> None:
        close = self.text.find(self.text[end : end + 1] or "|", end + 1, end + _VERB)
        if close < 0 or "\n" in self.text[end:close]:
            self.replace(start, end)
        else:
            self.edits += [(start, end + 1, ""), (close, close + 1, "")]
            self.at = close + 1

    def environment(self, start: int, end: int, command: str) -> None:
        """Read the beginning or the end of an environment, or all of one without prose."""
        found = _ENVIRONMENT.match(self.text, end)
        if not found:
            self.replace(start, end)
            return
        at, name = found.end(), found[1]
        kind = name.rstrip("*")
        is_closed = command == "begin" and self.last.get(name, -1) >= at
        if is_closed and kind in tex.NO_PROSE:
            last = self.text.index(rf"\end{{{name}}}", at) + len(rf"\end{{{name}}}")
            if kind in tex.FORMULAS:
                self.remove(start, last, " ")
            else:
                self.without_prose(start, last, "table" if kind in tex.TABLES else "code")
        elif command == "end" and name == "document":
            self.without_prose(start, len(self.text), "code")
        else:
            begin = self.arguments(at) if kind in tex.WITH_ARGUMENTS else self.options(at)
            self.flush(start, begin)
            self.at = begin

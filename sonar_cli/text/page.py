"""The text of an HTML page: runs of it, what they are, and which of them are to be read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sonar_cli.text import elements
from sonar_cli.text.blocks import Kind
from sonar_cli.text.lines import ends_sentence
from sonar_cli.text.marks import FULL_STOPS

# The share of a page's prose that its <main> or only <article> must have to be read alone.
_SHARE = 0.25
# A table's cell with as many words, or with fewer that end as a sentence does, is running text.
_WORDS = 12
_WORDS_OF_A_SENTENCE = 2


@dataclass
class State:
    """What holds inside an open element.

    `level` is 0 for the page's own text, 1 beside it (navigation, asides), 2 for hidden text and 3
    for what is no text. `table` and `article` are the numbers of those around, or 0. In a `sealed`
    element (a heading, code) other elements begin no blocks.
    """

    name: str = ""
    kind: Kind = "prose"
    level: int = 0
    table: int = 0
    is_block: bool = True
    sealed: bool = False
    main: bool = False
    article: int = 0


@dataclass
class Run:
    """Text in one block: spans of the source, and what is put before each of them."""

    state: State
    spans: list[tuple[int, int]] = field(default_factory=list)
    fillers: list[str] = field(default_factory=list)
    kind: Kind = "prose"

    def __post_init__(self) -> None:
        self.kind = self.state.kind

    @property
    def start(self) -> int:
        """Where it begins."""
        return self.spans[0][0]

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.spans[-1][1]

    def add(self, start: int, end: int, filler: str = "") -> None:
        """Add a span, with what separates it from those before."""
        self.spans.append((start, end))
        self.fillers.append(filler)

    def size(self) -> int:
        """Return the number of characters if it is running text, or 0."""
        return sum(b - a for a, b in self.spans) if self.kind in ("prose", "quote") else 0


def inner(above: State, name: str, attributes: dict[str, str | None], mail: bool) -> State:
    """Return the state inside an element that stands in `above`."""
    state = replace(above, name=name, is_block=name in elements.BLOCKS)
    if name in elements.NO_TEXT:
        state.level = 3
    elif elements.is_hidden(name, attributes):
        state.level = max(above.level, 2)
    elif name == "main" or attributes.get("role") == "main":
        state.main = True
        # It cannot stand in what is beside the text: there an end tag is missing.
        state.level = 0 if above.level == 1 else above.level
    elif name in elements.BESIDE and not (name == "header" and (above.main or above.article)):
        state.level = max(above.level, 1)
    if not above.sealed and above.kind not in ("quoted", "signature"):
        found = elements.mail_kind(name, attributes) if mail else None
        state.kind = found or elements.KINDS.get(name, above.kind)
        state.sealed = state.kind in ("heading", "code")
    return state


def chosen(runs: list[Run], text: str, fragment: bool) -> list[Run]:
    """Return the runs that are to be read, of a whole page or of a fragment of one."""
    runs = _with_tables(runs, text)
    if fragment:
        return [each for each in runs if each.state.level < 2]
    kept = runs
    for level in (0, 1, 2):
        kept = [each for each in runs if each.state.level <= level]
        if any(each.size() for each in kept):
            break
    inside = [each for each in kept if each.state.main]
    if not inside:
        inside = [each for each in kept if each.state.article]
        if len({each.state.article for each in inside}) > 1:
            return kept
    size = sum(each.size() for each in inside)
    return inside if size and size >= _SHARE * sum(each.size() for each in kept) else kept


def _with_tables(runs: list[Run], text: str) -> list[Run]:
    """Return the runs, with the cells of a table that are no running text joined."""
    found: list[Run] = []
    for each in runs:
        words = "".join(text[start:end] for start, end in each.spans)
        if each.state.table and each.kind in ("prose", "quote") and not _is_running(words):
            each.kind = "table"
        last = found[-1] if found else None
        if last and each.kind == last.kind == "table" and last.state.table == each.state.table:
            each.fillers[0] = " "
            last.spans += each.spans
            last.fillers += each.fillers
        else:
            found.append(each)
    return found


def _is_running(cell: str) -> bool:
    """Return whether a table's cell holds sentences, as those of a page's layout do."""
    cell = cell.strip()
    words = cell.split(maxsplit=_WORDS)
    if len(words) >= _WORDS:
        return True
    return ends_sentence(cell) and (
        len(words) >= _WORDS_OF_A_SENTENCE or any(each in FULL_STOPS for each in cell)
    )

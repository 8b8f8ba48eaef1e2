"""Read input texts one after the other from files, standard input and JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from sonar_cli.errors import InputError, SonarError
from sonar_cli.options import InputOptions
from sonar_cli.text.charsets import SURROGATE
from sonar_cli.text.documents import CONTINUED, Format, Passage, detect, passages
from sonar_cli.text.files import read_text, shown_name

# Characters of texts that are encoded together at most.
_TOGETHER = 1 << 16


@dataclass(frozen=True)
class Text:
    """A text, and the options that say how to read it.

    `name` is that of its file, or `file:line` in JSON Lines. `number` counts the texts of a run
    from 0.

    >>> text = Text("notes", "# A kite\\n\\nTom *found* it.\\n", InputOptions("markdown"))
    >>> [(each.text, each.kind) for each in text.sentences()]
    [('A kite', 'heading'), ('Tom found it.', 'prose')]
    """

    name: str
    content: str
    options: InputOptions = field(default_factory=InputOptions)
    number: int = 0

    @property
    def format(self) -> Format:
        """The format that the options name, or else the detected one."""
        asked = self.options.format
        if asked == "auto" or asked == "jsonl":
            return detect(self.content, self.name)
        return asked

    def passages(
        self, length: Callable[[str], int] | None = None, limit: int = 0
    ) -> Iterator[Passage]:
        """Yield the sentences of every kind, with their character offsets in `content`.

        If `length`, which counts the tokens of a sentence, is given, sentences of more than `limit`
        tokens are cut. Raises what `documents.passages` raises.
        """
        how = self.options
        return passages(self.content, self.format, how.split, how.lang, self.name, length, limit)

    def sentences(self) -> list[Passage]:
        """Return the sentences that a model continues: prose, headings and quotations.

        In plain text, and in a document without any of these, return all sentences.
        """
        found = list(self.passages())
        if self.format == "text":
            return found
        return [each for each in found if each.kind in CONTINUED] or found


def together(texts: Iterable[Text]) -> Iterator[list[Text]]:
    """Yield lists of texts, each of one or of `_TOGETHER` characters at most.

    >>> texts = [Text(name, "x" * length) for name, length in zip("abc", (9, 9, _TOGETHER))]
    >>> [[each.name for each in some] for some in together(texts)]
    [['a', 'b'], ['c']]
    """
    some: list[Text] = []
    length = 0
    for each in texts:
        if some and length + len(each.content) > _TOGETHER:
            yield some
            some, length = [], 0
        some.append(each)
        length += len(each.content)
    if some:
        yield some


def read_texts(
    names: Iterable[str],
    options: InputOptions,
    on_error: Callable[[SonarError], None] | None = None,
) -> Iterator[Text]:
    """Read files one by one and yield their texts; memory holds one file at a time.

    `on_error` is called with the error of a file that cannot be read, and the file is skipped.
    Without `on_error`, InputError is raised.
    """
    numbers = count()
    for name in names:
        try:
            found = _texts(name, options)
        except SonarError as error:
            if on_error is None:
                raise
            on_error(error)
            continue
        for each, content in found:
            yield Text(each, content, options, next(numbers))


def _texts(name: str, options: InputOptions) -> list[tuple[str, str]]:
    """Return a file's texts as (name, content): one, or in JSON Lines one per line."""
    given = options.format
    if given == "jsonl" or (given == "auto" and name.endswith(".jsonl")):
        return list(_json_lines(name, options.encoding))
    return [(name, read_text(name, options.encoding))]


def _json_lines(name: str, encoding: str | None) -> Iterator[tuple[str, str]]:
    """Yield (`file:line`, "text") for each object, with lines counted from 1.

    Empty lines are skipped. Raises InputError, which names the line, for a line that is not an
    object with a "text" that is not empty.
    """
    shown = shown_name(name)
    for number, line in enumerate(read_text(name, encoding).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
        except (ValueError, TypeError, KeyError, RecursionError):
            text = None
        if not isinstance(text, str):
            raise InputError(f'{shown}: line {number} is no JSON object with a "text"')
        if not text.strip():
            raise InputError(f"{shown}: the text of line {number} is empty")
        # JSON can hold half of a character, which no encoder takes.
        yield f"{name}:{number}", SURROGATE.sub("\ufffd", text)

"""Texts as they are given: files, standard input and JSON Lines, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from sonar_cli.errors import InputError, SonarError, UsageError
from sonar_cli.options import InputOptions
from sonar_cli.text.documents import CONTINUED, Format, Passage, detect, passages
from sonar_cli.text.files import read_text, shown_name


@dataclass(frozen=True)
class Text:
    """A text, and how it is to be read.

    `name` is its file's, or `file:line` in JSON Lines; `number` counts the texts of a run from 0.

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
        """What the text is written in, by its options or else by its name and its look."""
        asked = self.options.format
        if asked == "auto" or asked == "jsonl":
            return detect(self.content, self.name)
        return asked

    def passages(
        self, length: Callable[[str], int] | None = None, limit: int = 0
    ) -> Iterator[Passage]:
        """Yield all sentences, of whatever kind, with their offsets in `content`.

        With `length`, which counts a sentence's tokens, those of more than `limit` are cut.
        """
        how = self.options
        return passages(self.content, self.format, how.split, how.lang, self.name, length, limit)

    def sentences(self) -> list[Passage]:
        """Return the sentences that a continuation follows: prose, headings and quotations.

        Of plain text these are all sentences, and so they are where there is nothing else.
        """
        found = list(self.passages())
        if self.format == "text":
            return found
        return [each for each in found if each.kind in CONTINUED] or found


def read_texts(
    names: Iterable[str],
    options: InputOptions,
    on_error: Callable[[SonarError], None] | None = None,
) -> Iterator[Text]:
    """Read files one by one and yield their texts; memory holds one file at a time.

    A file that cannot be read is told to `on_error` and passed over; without it InputError is
    raised. A format that cannot be read here at all raises UsageError either way.
    """
    numbers = count()
    for name in names:
        try:
            found = _texts(name, options)
        except UsageError:
            raise
        except SonarError as error:
            if on_error is None:
                raise
            on_error(error)
            continue
        for each, content in found:
            yield Text(each, content, options, next(numbers))


def _texts(name: str, options: InputOptions) -> list[tuple[str, str]]:
    """Return a file's texts with their names: one, or with JSON Lines one a line."""
    given = options.format
    if given == "jsonl" or (given == "auto" and name.endswith(".jsonl")):
        return list(_json_lines(name))
    return [(name, read_text(name))]


def _json_lines(name: str) -> Iterator[tuple[str, str]]:
    """Yield the "text" of each object, named `file:line`, lines counted from 1.

    Empty lines are passed over. Raises InputError, which names the line.
    """
    shown = shown_name(name)
    for number, line in enumerate(read_text(name).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
        except (ValueError, TypeError, KeyError):
            text = None
        if not isinstance(text, str):
            raise InputError(f'{shown}: line {number} is no JSON object with a "text"')
        if not text.strip():
            raise InputError(f"{shown}: the text of line {number} is empty")
        yield f"{name}:{number}", text

"""Where texts come from, the story world, files or a data set, and which part each belongs to."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from glob import iglob
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from typing import Literal

from sonar_cli.errors import InputError, SonarError, UsageError
from sonar_cli.model.systems.base import SUMMARY_CUE
from sonar_cli.text.files import read_text
from sonar_cli.text.inputs import Text
from sonar_cli.training import rows
from sonar_cli.training.tables import BRANCHING, NEEDLE, WORLDS, Data
from sonar_cli.world import branching, needle
from sonar_cli.world import stories as world
from sonar_cli.world.choices import Choices

HUB = "hub:"
# What a folder is searched for.
ENDINGS = tuple(".txt .md .markdown .html .htm .eml .srt .vtt .jsonl .parquet".split())

# A text as it was read, or the number of a story: what becomes sentences in any process.
Source = Text | int
Part = Literal["train", "valid", "test"]
Notify = Callable[[str], None]


def documents(data: Data, notify: Notify) -> Iterator[list[str]]:
    """Yield the texts of the data, each its sentences; memory holds one text at a time.

    `notify` is told of what cannot be read, which is left out. Raises UsageError where there is
    nothing at the path, or a single file and it cannot be read.

    >>> from sonar_cli.training.tables import Data
    >>> told = list(documents(Data(stories=2, summaries=True), print))
    >>> [SUMMARY_CUE in sentences for sentences in told]
    [False, True]
    """
    for source in sources(data, notify):
        try:
            if found := sentences_of(source, data):
                yield found
        except InputError as error:
            notify(str(error))


def sources(data: Data, notify: Notify) -> Iterator[Source]:
    """Yield the texts before they are split into sentences, in an order that never changes.

    Tells and raises what `documents` does.
    """
    if data.path.startswith(HUB):
        name = os.path.expanduser(data.path.removeprefix(HUB))
        try:
            yield from rows.data_set(name, data.split, data.column, notify)
        except InputError as error:
            raise UsageError(str(error)) from None
    elif data.path not in WORLDS:
        yield from _from_files(data, notify)
    if data.path in WORLDS or data.world:
        yield from range(data.stories)


def sentences_of(source: Source, data: Data) -> list[str]:
    """Split a text into sentences, or write a story.

    Raises InputError, which names the text, where it cannot be split.
    """
    if isinstance(source, int) and data.path == NEEDLE:
        return needle.text(source, data.max_sentences, Choices(data.variety))
    if isinstance(source, int):
        told = branching.story if data.path == BRANCHING else world.story
        story = told(source, choices=Choices(data.variety))
        summary = (SUMMARY_CUE, *story.summary) if data.summaries and source % 2 else ()
        return [*story.sentences, *summary]
    try:
        return [each.text for each in source.sentences()]
    except InputError as error:
        raise InputError(f"{source.name}: {error}") from None


def find_files(path: str, notify: Notify) -> Iterator[Path]:
    """Return the files that a path names, in order: itself, those in a folder, or of a glob.

    Raises UsageError where there are none.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        found = _walk(str(place), notify)
    else:
        named = [place] if place.exists() else sorted(map(Path, iglob(str(place), recursive=True)))
        found = (each for each in named if each.is_file())
    first = next(found, None)
    if first is None:
        kinds = ", ".join(ENDINGS)
        raise UsageError(f"data.path={path}: no file there, and no folder with {kinds}")
    return chain([first], found)


def fingerprint(data: Data) -> str:
    """Return a short hash of the files' names, sizes and times, "" where there are no files."""
    path = data.path.removeprefix(HUB)
    if data.path in WORLDS or (path != data.path and not os.path.isdir(os.path.expanduser(path))):
        return ""
    state = blake2b(digest_size=8)
    for file in find_files(path, lambda line: None):
        seen = file.stat()
        state.update(os.fsencode(file) + f"\0{seen.st_size} {seen.st_mtime_ns}\0".encode())
    return state.hexdigest()


def place_of(sentences: Sequence[str]) -> float:
    """Return a text's place in [0, 1) by a hash of its sentences, for ever the same.

    A summary behind the text does not move it.

    >>> sum(place_of([f"Text {n}."]) < 0.1 for n in range(1000))
    88
    >>> place_of(["Tom ran."]) == place_of(["Tom ran.", SUMMARY_CUE, "Tom."])
    True
    """
    own = sentences[: summary_at(sentences)]
    return zlib.crc32("\n".join(own).encode()) / 2**32


def part_of(place: float, data: Data) -> Part:
    """Return the part of a text: below `valid`, in the `test` next to it, or else for training.

    >>> from sonar_cli.training.tables import Data
    >>> [part_of(place, Data(valid=0.1, test=0.2)) for place in (0.05, 0.1, 0.29, 0.31)]
    ['valid', 'test', 'test', 'train']
    """
    if place < data.valid:
        return "valid"
    return "test" if place < data.valid + data.test else "train"


def summary_at(sentences: Sequence[str]) -> int:
    """Return where a text's summary begins, with its cue; its length where it has none."""
    return sentences.index(SUMMARY_CUE) if SUMMARY_CUE in sentences else len(sentences)


def _from_files(data: Data, notify: Notify) -> Iterator[Source]:
    files = find_files(data.path, notify)
    first = list(islice(files, 2))
    for file in chain(first, files):
        try:
            if file.suffix.lower() == ".jsonl":
                yield from rows.json_lines(file, data.column, notify)
            elif file.suffix.lower() == ".parquet":
                yield from rows.parquet(file, data.column, notify)
            else:
                yield Text(str(file), read_text(str(file)))
        except UsageError:
            raise
        except SonarError as error:
            if len(first) == 1:
                raise UsageError(str(error)) from None
            notify(str(error))


def _walk(folder: str, notify: Notify) -> Iterator[Path]:
    """Yield the files below a folder, sorted by the parts of their paths.

    One folder's names are in memory at a time. Links to folders are not followed.
    """
    try:
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as error:
        notify(f"{folder}: {error.strerror or error}")
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, notify)
        elif entry.name.lower().endswith(ENDINGS) and entry.is_file():
            yield Path(entry.path)

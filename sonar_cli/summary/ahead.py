"""Split a long text in a process of its own, while the sentences before are encoded.

Run as `python -m sonar_cli.summary.ahead` it is that process. It reads an `Order` from standard
input, and writes lists of sentences to standard output, then an empty list, or the error that ended
the splitting; all of these are pickled.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from sonar_cli.cores import cores
from sonar_cli.errors import InputError, SonarError
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.text.documents import Passage
from sonar_cli.text.inputs import Text

# Characters of a text from which on a process of its own saves more than it takes to start: 2 MB.
_LONG = 2 << 20
# Number of sentences that are sent together.
_TOGETHER = 512


@dataclass(frozen=True)
class Order:
    """A text to split, and the tokenizer by which sentences of more than `limit` tokens are cut."""

    text: Text
    tokenizer: Path
    lang: str
    limit: int

    def split(self, tokenizer: Tokenizer) -> Iterator[Passage]:
        """Yield the sentences, split in this process with the order's tokenizer, loaded."""
        return self.text.passages(lambda each: len(tokenizer.source(each, self.lang)), self.limit)


def passages(order: Order, tokenizer: Tokenizer) -> Iterator[Passage]:
    """Yield the sentences of a text, those of a long one split in a process of its own.

    They are the same either way. Raises what `Text.passages` raises, and SonarError where the other
    process ends before the text does.
    """
    if len(order.text.content) < _LONG or not sys.executable or cores() < 2:
        return order.split(tokenizer)
    return _split_elsewhere(order)


def _split_elsewhere(order: Order) -> Iterator[Passage]:
    command = [sys.executable, "-m", __spec__.name]
    # In a session of its own, because Ctrl-C is meant for this process, which then ends that one.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            with suppress(BrokenPipeError):  # it has ended; what follows says so
                pickle.dump(order, process.stdin)
                process.stdin.close()
            while part := _received(process.stdout):
                yield from part
        finally:
            process.kill()


def _received(stream: IO[bytes]) -> list[Passage]:
    try:
        part = pickle.load(stream)  # from a process of our own
    except (EOFError, pickle.UnpicklingError):
        raise SonarError(
            "the process that splits the text has ended too early; is there enough memory?"
        ) from None
    if isinstance(part, Exception):
        raise part
    found: list[Passage] = part
    return found


def _split(order: Order, stream: IO[bytes]) -> None:
    found = order.split(Tokenizer.load(order.tokenizer))
    try:
        while part := list(islice(found, _TOGETHER)):
            pickle.dump(part, stream)
        pickle.dump([], stream)
    except InputError as error:
        pickle.dump(error, stream)
    stream.flush()


if __name__ == "__main__":
    try:
        _split(pickle.load(sys.stdin.buffer), sys.stdout.buffer)
    except BrokenPipeError:  # nobody reads any more; what is left would fail aloud at exit
        os._exit(1)

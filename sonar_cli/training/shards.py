"""Texts -> the files of a corpus: each sentence once, texts as rows of numbers, and the parts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sonar_cli.errors import UsageError, counted
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.model.systems.base import BEGIN_SENTENCE, END_SENTENCE, SUMMARY_CUE
from sonar_cli.model.systems.state import LCM_END
from sonar_cli.training.crew import in_order
from sonar_cli.training.pieces import Piece, batches, piece_of, short_hash, split
from sonar_cli.training.store import Growing, Numbers
from sonar_cli.training.tables import WORLDS, Data
from sonar_cli.training.texts import sources
from sonar_cli.training.vectors import ENCODED, SENTENCES, VECTORS

# Sentences that every corpus begins with, whatever its texts.
SPECIAL = (BEGIN_SENTENCE, END_SENTENCE, LCM_END, SUMMARY_CUE)
NUMBERS = "numbers.sqlite"
_ARRAYS = {
    "sentence_starts": np.int64, "tokens": np.int32, "token_starts": np.int64,
    "documents": np.int32, "document_starts": np.int64, "ends": np.bool_, "places": np.float64,
}  # fmt: skip
_PARTS = ("train", "valid", "test")
# Places of texts that are looked at together.
_PLACES = 1 << 20

Notify = Callable[[str], None]


def write_texts(
    folder: Path,
    data: Data,
    tokenizer: Tokenizer,
    files: Path | None,
    limit: int,
    progress: bool,
    notify: Notify,
    least: int = 2,
) -> dict[str, Any]:
    """Write sentences, tokens, texts and parts into the folder, or go on where this was stopped.

    `files` are the tokenizer's, for other processes; with None this one does it all. Sentences of
    more than `limit` tokens are cut, texts of fewer than `least` sentences left out. Return the
    counts of sentences, texts and parts, and a hash of the texts. Raises UsageError where there
    are fewer than two texts, or none where `least` is 1.
    """
    work = partial(split, data, limit, least)
    load = partial(Tokenizer.load, files) if files is not None else None
    with closing(_Writer(folder)) as writer:
        if writer.fresh:
            writer.add(piece_of(list(SPECIAL), tokenizer, limit))
        waiting = batches(islice(sources(data, notify), writer.state["read"], None))
        pieces = in_order(work, waiting, tokenizer, load, data.workers)
        with closing(pieces), _meter(data, writer.state["read"], progress) as shown:
            for piece in pieces:
                for error in piece.errors:
                    notify(error)
                writer.add(piece)
                writer.save()
                shown.update(piece.read)
        state = writer.state
    _tell(state, limit, notify)
    return {**state, **_write_parts(folder, data, least)}


def discard(folder: Path) -> None:
    """Remove the files of a corpus."""
    arrays = (f"{name}.npy" for name in (*_ARRAYS, *_PARTS))
    for name in (NUMBERS, f"{NUMBERS}-journal", SENTENCES, VECTORS, ENCODED, *arrays):
        (folder / name).unlink(missing_ok=True)


class _Writer:
    """The growing files of a corpus; what was saved last is what a later one goes on with."""

    def __init__(self, folder: Path) -> None:
        self._numbers = Numbers(folder / NUMBERS)
        saved = self._numbers.load()
        self.fresh = saved is None
        self.state: dict[str, Any] = {"read": 0, "short": 0, "empty": 0, "cut": 0, "hash": ""}
        sizes = {"bytes": 0, **dict.fromkeys(_ARRAYS, 0)}
        if saved:
            self.state, sizes = saved["state"], saved["sizes"]
        self._arrays = {
            name: Growing(folder / f"{name}.npy", kind, sizes[name])
            for name, kind in _ARRAYS.items()
        }
        path = folder / SENTENCES
        self._lines = path.open("r+b" if path.exists() else "w+b")
        self._lines.truncate(sizes["bytes"])
        self._lines.seek(sizes["bytes"])
        if self.fresh:
            for name in ("sentence_starts", "token_starts", "document_starts"):
                self._arrays[name].append([0])

    def add(self, piece: Piece) -> None:
        """Append the sentences that are new and all rows of a piece."""
        known = self._numbers.count
        numbers = self._numbers.of(piece.digests)
        new = numbers >= known
        lines = [
            json.dumps(sentence, ensure_ascii=False).encode() + b"\n"
            for sentence, fresh in zip(piece.sentences, new, strict=True)
            if fresh
        ]
        self._arrays["sentence_starts"].append(self._lines.tell() + np.cumsum([*map(len, lines)]))
        self._lines.write(b"".join(lines))
        lengths = piece.tokens.lengths
        self._append("token", piece.tokens.flat[np.repeat(new, lengths)], np.cumsum(lengths[new]))
        self._append("document", numbers[piece.rows.flat], piece.rows.starts[1:])
        self._arrays["ends"].append(piece.ends)
        self._arrays["places"].append(piece.places)
        for mark in piece.marks:
            self.state["hash"] = short_hash(self.state["hash"].encode(), mark).hex()
        self.state["cut"] += int(np.sum(new & piece.cut))
        for name in ("read", "short", "empty"):
            self.state[name] += getattr(piece, name)

    def save(self) -> None:
        """Keep all that was added: a process that is killed afterwards does not lose it."""
        self._lines.flush()
        for array in self._arrays.values():
            array.flush()
        sizes = {name: array.count for name, array in self._arrays.items()}
        sizes["bytes"] = self._lines.tell()
        self._numbers.save({"state": self.state, "sizes": sizes})

    def close(self) -> None:
        """Close the files."""
        self._numbers.close()
        self._lines.close()
        for array in self._arrays.values():
            array.close()

    def _append(self, kind: str, flat: npt.NDArray[Any], ends: npt.NDArray[np.int64]) -> None:
        array = self._arrays[f"{kind}s"]
        self._arrays[f"{kind}_starts"].append(array.count + ends)
        array.append(flat)


def _write_parts(folder: Path, data: Data, least: int) -> dict[str, int]:
    """Write the numbers of the rows of each part; return how many they are."""
    places = np.load(folder / "places.npy", mmap_mode="r")
    lowest, highest = (float(places.min()), float(places.max())) if len(places) else (0.0, 0.0)
    if lowest == highest and not (least == 1 and len(places)):
        found = counted(min(len(places), 1), "text")
        raise UsageError(
            f"data.path={data.path}: {found} of two sentences or more; give at least two, one of "
            "them to validate on"
        )
    # Of few texts no place may lie in a part: then the lowest is that of a text to validate on,
    # the highest that of one to train on.
    valid = min(max(data.valid, np.nextafter(lowest, 1)), highest)
    test = min(max(data.valid + data.test, valid), highest)
    parts = {name: Growing(folder / f"{name}.npy", np.int64) for name in _PARTS}
    for start in range(0, len(places), _PLACES):
        some = places[start : start + _PLACES]
        mine = {"valid": some < valid, "train": some >= test}
        mine["test"] = ~(mine["valid"] | mine["train"])
        for name, array in parts.items():
            array.append(start + np.flatnonzero(mine[name]))
    for array in parts.values():
        array.close()
    return {name: array.count for name, array in parts.items()}


def _tell(state: dict[str, Any], limit: int, notify: Notify) -> None:
    for number, one, many, why in (
        (state["empty"], "text without a sentence is", "texts without a sentence are", "left out"),
        (state["short"], "text of one sentence is", "texts of one sentence are",
         "left out: nothing follows"),
        (state["cut"], "sentence is", "sentences are", f"longer than {limit} tokens and cut there"),
    ):  # fmt: skip
        if number:
            notify(f"{number} {one if number == 1 else many} {why}")


def _meter(data: Data, read: int, progress: bool) -> Any:
    from tqdm import tqdm

    total = data.stories if data.path in WORLDS else None
    shown = progress and sys.stderr.isatty()
    return tqdm(desc="reading", unit="text", initial=read, total=total, disable=not shown)

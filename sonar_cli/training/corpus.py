"""Texts -> a corpus on disk: sentences as token ids and vectors, texts as numbers of sentences.

Every sentence is stored and encoded once, however often it occurs. All arrays are memory-mapped, so
that training reads what a batch needs. A corpus knows its texts and its codec, and is made anew
for others; making it goes on where it was stopped.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sonar_cli.errors import UsageError, counted
from sonar_cli.model.codec.base import Codec
from sonar_cli.model.systems.base import BEGIN_SENTENCE, END_SENTENCE, SUMMARY_CUE
from sonar_cli.model.systems.state import LCM_END
from sonar_cli.options import ENGLISH, InputOptions
from sonar_cli.text.inputs import read_texts
from sonar_cli.training.batches import Batches, Ints, Rows
from sonar_cli.training.progress import bar
from sonar_cli.training.recipe import Data, Train
from sonar_cli.training.record import digest, write_whole
from sonar_cli.world import stories as world

# Sentences that every corpus begins with, whatever its texts.
SPECIAL = (BEGIN_SENTENCE, END_SENTENCE, LCM_END, SUMMARY_CUE)
BEGIN, END, END_OF_TEXT, CUE = range(len(SPECIAL))
WORLD = "world"
# What a folder is searched for.
_ENDINGS = (".txt", ".md", ".markdown", ".html", ".htm", ".eml", ".jsonl")
# Sentences encoded between two saves.
_CHUNK = 4_096

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Corpus:
    """Sentences and texts in arrays.

    `tokens` row i is sentence i as `[eos] [lang] pieces [eos]`, `vectors` (sentences, D) float16
    its vector. `documents` row t holds the numbers of text t's sentences; `ends` (texts,) bool
    tells whether the text ends with them, or goes on in the next row. `train` and `valid` are the
    numbers of the texts of each part.
    """

    tokens: Rows
    vectors: npt.NDArray[np.float16]
    documents: Rows
    ends: npt.NDArray[np.bool_]
    train: Ints
    valid: Ints

    def batches(self, train: Train) -> Batches:
        """Return the batches of training texts that a recipe asks for, as rows of `train`."""
        lengths = self.documents.lengths[self.train]
        return Batches(lengths, min(train.batch, len(lengths)), train.seed)

    def sequence(self, text: int, first: Sequence[int], last: int) -> list[int]:
        """Return a text's sentences as numbers: `first` in front and, if it ends, `last` behind."""
        numbers = self.documents.row(text).tolist()
        return [*first, *numbers, last] if self.ends[text] else [*first, *numbers]

    def batch(self, sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return the vectors (B, T, D) float32 of sequences, padded with 0, and the mask (B, T)."""
        longest = max(map(len, sequences))
        vectors = torch.zeros(len(sequences), longest, self.vectors.shape[1])
        mask = torch.zeros(len(sequences), longest, dtype=torch.bool)
        for row, numbers in enumerate(sequences):
            vectors[row, : len(numbers)] = torch.from_numpy(self.vectors[list(numbers)]).float()
            mask[row, : len(numbers)] = True
        return vectors, mask

    def tokens_of(self, sequences: Sequence[Sequence[int]]) -> int:
        """Return how many tokens the sentences of sequences have."""
        lengths = self.tokens.starts
        return sum(int(lengths[n + 1] - lengths[n]) for numbers in sequences for n in numbers)

    def longest_before(self, sentence: int) -> int:
        """Return the most sentences that a text has before a sentence, 0 where none has it."""
        places = np.flatnonzero(self.documents.flat == sentence)
        texts = np.searchsorted(self.documents.starts, places, side="right") - 1
        return int((places - self.documents.starts[texts]).max(initial=0))

    def pieces(self, text: int) -> list[int]:
        """Return a text's token ids, sentence after sentence, without language and ends."""
        rows = (self.tokens.row(number)[2:-1] for number in self.documents.row(text))
        return [int(each) for row in rows for each in row]


def prepare(
    folder: Path, data: Data, codec: Codec, identity: str, progress: bool, notify: Notify
) -> Corpus:
    """Make the corpus in a folder, or go on making it, or read it where it is whole.

    `identity` names the codec. `notify` is told of texts that are left out. Raises UsageError where
    the data hold no text to train on.
    """
    wanted = {"data": asdict(data), "codec": identity, "format": 1}
    note = folder / "corpus.json"
    if not (note.exists() and json.loads(note.read_text(encoding="utf-8")) == wanted):
        folder.mkdir(parents=True, exist_ok=True)
        note.unlink(missing_ok=True)
        _write_texts(folder, data, codec, notify)
        _start_vectors(folder, codec.width)
        write_whole(note, json.dumps(wanted, indent=2) + "\n")
    _encode(folder, codec, progress)
    return _read(folder)


def documents(data: Data, notify: Notify) -> Iterator[list[str]]:
    """Yield the texts of the data, each its sentences, cut to at most `max_sentences`.

    A text that is empty, or a file that cannot be read, is told to `notify` and left out.
    """
    if data.path == WORLD:
        for story in world.stories(data.stories):
            yield list(story.sentences)
        return
    files = find_files(data.path)
    texts = read_texts(map(str, files), InputOptions(), lambda error: notify(str(error)))
    for text in texts:
        if sentences := [each.text for each in text.sentences()]:
            yield sentences


def find_files(path: str) -> list[Path]:
    """Return the files that a path names: itself, those in a folder, or those of a glob.

    Raises UsageError where there are none.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        found = sorted(each for each in place.rglob("*") if each.suffix.lower() in _ENDINGS)
    elif place.exists():
        found = [place]
    else:
        found = sorted(Path(each) for each in glob(str(place), recursive=True))
    if not found:
        kinds = ", ".join(_ENDINGS)
        raise UsageError(f"data.path={path}: no file there, and no folder with {kinds}")
    return [each for each in found if each.is_file()]


def place_of(sentences: Sequence[str]) -> float:
    """Return a text's place in [0, 1) by a hash of its sentences, for ever the same.

    Texts below `held_out` are kept for validation.

    >>> sum(place_of([f"Text {n}."]) < 0.1 for n in range(1000))
    88
    """
    return zlib.crc32("\n".join(sentences).encode()) / 2**32


def _windows(sentences: list[str], data: Data) -> Iterator[tuple[list[str], bool]]:
    """Cut a text into pieces of at most `max_sentences`; tell of each whether it ends the text."""
    size = data.max_sentences
    if data.cut:
        yield sentences[:size], True
        return
    for start in range(0, len(sentences), size):
        yield sentences[start : start + size], start + size >= len(sentences)


def _write_texts(folder: Path, data: Data, codec: Codec, notify: Notify) -> None:
    numbers: dict[str, int] = {text: number for number, text in enumerate(SPECIAL)}
    rows: list[list[int]] = []
    ends: list[bool] = []
    places: list[float] = []
    short = 0
    for text in documents(data, notify):
        if len(text) < 2:
            short += 1
            continue
        place = place_of(text)
        for piece, last in _windows(text, data):
            rows.append([numbers.setdefault(each, len(numbers)) for each in piece])
            ends.append(last)
            places.append(place)
    if short:
        notify(f"left out {counted(short, 'text')} of one sentence: nothing follows")
    if len(set(places)) < 2:
        found = counted(len(set(places)), "text")
        raise UsageError(
            f"data.path={data.path}: {found} of two sentences or more; give at "
            "least two, one of them to validate on"
        )
    # Of few texts none may lie below the share: then the one with the lowest place is kept.
    limit = max(data.held_out, np.nextafter(min(places), 1))
    valid = np.array(places) < limit
    longest = codec.max_len
    tokens = Rows.of(_cut(codec.tokenizer.target(each, ENGLISH), longest) for each in numbers)
    texts = Rows.of(rows)
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "tokens": tokens.flat, "token_starts": tokens.starts,
        "documents": texts.flat, "document_starts": texts.starts,
        "ends": np.array(ends), "valid": valid,
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "sentences.jsonl").write_text(
        "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in numbers), encoding="utf-8"
    )


def _cut(ids: list[int], limit: int) -> list[int]:
    return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]


def _start_vectors(folder: Path, width: int) -> None:
    count = len(np.load(folder / "token_starts.npy")) - 1
    np.lib.format.open_memmap(
        folder / "vectors.npy", mode="w+", dtype=np.float16, shape=(count, width)
    ).flush()
    write_whole(folder / "encoded", "0\n")


def _encode(folder: Path, codec: Codec, progress: bool) -> None:
    """Encode the sentences that have no vector yet; what is done is counted in a file."""
    done = int((folder / "encoded").read_text())
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", mode="r+")
    if done == len(vectors):
        return
    lines = (folder / "sentences.jsonl").read_text(encoding="utf-8").splitlines()
    for start in bar(range(done, len(vectors), _CHUNK), "encoding", progress):
        piece = [json.loads(line) for line in lines[start : start + _CHUNK]]
        vectors[start : start + len(piece)] = codec.encode(piece, batch_size=256).half().cpu()
        vectors.flush()
        write_whole(folder / "encoded", f"{start + len(piece)}\n")


def _read(folder: Path) -> Corpus:
    def load(name: str) -> Any:
        return np.load(folder / f"{name}.npy", mmap_mode="r")

    valid = np.asarray(load("valid"))
    return Corpus(
        Rows(load("tokens"), np.asarray(load("token_starts"))),
        load("vectors"),
        Rows(load("documents"), np.asarray(load("document_starts"))),
        np.asarray(load("ends")),
        np.flatnonzero(~valid),
        np.flatnonzero(valid),
    )


def corpus_digest(corpus: Corpus) -> str:
    """Return a short hash of all that training reads, the same in every process."""
    arrays: Iterable[npt.NDArray[np.generic]] = (
        corpus.tokens.flat, corpus.tokens.starts, corpus.documents.flat, corpus.documents.starts,
        corpus.ends, corpus.train, corpus.vectors,
    )  # fmt: skip
    return digest(arrays)

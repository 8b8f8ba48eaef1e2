"""A corpus on disk as training reads it: sentences as token ids and vectors, texts as numbers.

Every sentence is stored and encoded once, however often it occurs. All arrays are memory-mapped, so
that training reads what a batch needs. A corpus knows its texts and its codec, and making it goes
on where it was stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sonar_cli.errors import UsageError
from sonar_cli.model.codec.base import Codec
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.model.shapes import DECODER_MAX_LEN
from sonar_cli.options import ModelPaths
from sonar_cli.training.batches import Batches, Ints, Rows, shaped
from sonar_cli.training.record import damaged, digest, read_record, require_same, write_whole
from sonar_cli.training.shards import NUMBERS, SPECIAL, discard, write_texts
from sonar_cli.training.tables import Data, Train
from sonar_cli.training.texts import fingerprint
from sonar_cli.training.vectors import write_vectors

# The numbers of the sentences that every corpus begins with.
BEGIN, END, END_OF_TEXT, CUE = range(len(SPECIAL))
_FORMAT = 2
_NOTE = "corpus.json"

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Corpus:
    """Sentences and texts in arrays.

    `tokens` row i is sentence i as `[eos] [lang] pieces [eos]`, `vectors` (sentences, D) float16
    its vector, (0, 0) where no codec was asked for. `documents` row t holds the numbers of text t's
    sentences; `ends` (texts,) bool tells whether the text ends with them, or goes on in the next
    row. `train`, `valid` and `test` are the numbers of the rows of each part. `digest` is a hash of
    all that training reads, the same in every process. All arrays are memory-mapped.
    """

    tokens: Rows
    vectors: npt.NDArray[np.float16]
    documents: Rows
    ends: npt.NDArray[np.bool_]
    train: Ints
    valid: Ints
    test: Ints
    digest: str

    def batches(self, train: Train) -> Batches:
        """Return the batches of training texts that a recipe asks for, as rows of `train`."""
        lengths = self.documents.lengths[self.train]
        return Batches(lengths, min(train.batch, len(lengths)), train.seed)

    def sequence(self, text: int, first: Sequence[int], last: int) -> list[int]:
        """Return a text's sentences as numbers: `first` in front and, if it ends, `last` behind."""
        numbers = self.documents.row(text).tolist()
        return [*first, *numbers, last] if self.ends[text] else [*first, *numbers]

    def batch(self, sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return the vectors (B, T, D) float32 of sequences, padded with 0, and the mask (B, T).

        T is that of the longest, rounded up; see `shaped`.
        """
        longest = shaped(max(map(len, sequences)))
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

    @cached_property
    def counts(self) -> Ints:
        """How often each sentence occurs in the training texts (sentences,)."""
        found = np.zeros(len(self.tokens), np.int64)
        for text in self.train:
            np.add.at(found, self.documents.row(text), 1)
        return found

    def longest_before(self, sentence: int) -> int:
        """Return the most sentences that a text has before a sentence, 0 where none has it."""
        places = np.flatnonzero(self.documents.flat == sentence)
        texts = np.searchsorted(self.documents.starts, places, side="right") - 1
        return int((places - self.documents.starts[texts]).max(initial=0))

    def pieces(self, sentence: int) -> list[int]:
        """Return a sentence's token ids without language and ends."""
        found: list[int] = self.tokens.row(sentence)[2:-1].tolist()
        return found


def prepare(
    folder: Path,
    data: Data,
    codec: Codec,
    paths: ModelPaths | None,
    identity: str,
    progress: bool,
    notify: Notify,
) -> Corpus:
    """Make the corpus in a folder, or go on making it, or read it where it is whole.

    `paths` are the codec's files, for other processes; with None this one does it all. `identity`
    names the codec. `notify` is told
    of texts that are left out, and of files that have changed since. Raises UsageError where the
    data hold no text to train on, and where the corpus there is of other data or another codec.
    """
    files = paths.tokenizer if paths is not None else None
    limit = codec.max_len
    known = _texts(folder, data, codec.tokenizer, files, limit, identity, progress, notify)
    if "digest" not in known:
        hashes = write_vectors(folder, codec, paths, data.workers, progress)
        known["digest"] = digest([_texts_digest(known, data), *hashes])
        _write(folder, known)
    return _read(folder, known["digest"])


def prepare_texts(
    folder: Path,
    data: Data,
    tokenizer: Tokenizer,
    files: Path,
    identity: str,
    progress: bool,
    notify: Notify,
) -> Corpus:
    """Make a corpus without vectors, for a codec that is yet to be trained, as `prepare` does.

    `files` are the tokenizer's, and `identity` names it. A text of one sentence is one here.
    """
    limit = DECODER_MAX_LEN
    known = _texts(folder, data, tokenizer, files, limit, identity, progress, notify, least=1)
    return _read(folder, _texts_digest(known, data), vectors=False)


def made_of(data: Data, identity: str) -> dict[str, Any]:
    """Return what a corpus depends on; the number of processes is not among it."""
    settings = {name: value for name, value in asdict(data).items() if name != "workers"}
    return {"format": _FORMAT, "codec": identity, "data": settings, "files": fingerprint(data)}


def _texts(
    folder: Path,
    data: Data,
    tokenizer: Tokenizer,
    files: Path | None,
    limit: int,
    identity: str,
    progress: bool,
    notify: Notify,
    least: int = 2,
) -> dict[str, Any]:
    """Write the texts of a corpus, or find them there; return what is known of it."""
    note = folder / _NOTE
    wanted = made_of(data, identity)
    known = read_record(note, _remedy(folder)) if note.exists() else {}
    if known.get("made_of") != wanted:
        if "texts" in known:
            # Days of work may be in it: only other files are reason enough to make it anew.
            old = {**known["made_of"], "files": wanted["files"]}
            require_same(folder, {"corpus": old}, {"corpus": wanted})
            notify(f"data.path={data.path}: files have changed, so the corpus is made anew")
        folder.mkdir(parents=True, exist_ok=True)
        note.unlink(missing_ok=True)
        discard(folder)
        known = {"made_of": wanted}
        _write(folder, known)
    if "texts" not in known:
        try:
            known["texts"] = write_texts(
                folder, data, tokenizer, files, limit, progress, notify, least
            )
        except UsageError:
            _leave(folder)
            raise
        _write(folder, known)
    (folder / NUMBERS).unlink(missing_ok=True)
    return known


def _leave(folder: Path) -> None:
    """Remove what was made of data that hold nothing to train on, and folders left empty."""
    discard(folder)
    (folder / _NOTE).unlink(missing_ok=True)
    for each in (folder, folder.parent):
        with suppress(OSError):
            each.rmdir()


def _texts_digest(known: dict[str, Any], data: Data) -> str:
    return digest([known["made_of"]["codec"], known["texts"]["hash"], f"{data.valid} {data.test}"])


def _remedy(folder: Path) -> str:
    return f"delete {folder}, and it is made anew"


def _write(folder: Path, known: dict[str, Any]) -> None:
    write_whole(folder / _NOTE, json.dumps(known, indent=2) + "\n")


def _read(folder: Path, made: str, vectors: bool = True) -> Corpus:
    def load(name: str) -> Any:
        file = folder / f"{name}.npy"
        try:
            # The map behind a plain array, whose rows are cheaper to take.
            return np.asarray(np.load(file, mmap_mode="r"))
        except (ValueError, EOFError):
            raise damaged(file, _remedy(folder)) from None

    return Corpus(
        Rows(load("tokens"), load("token_starts")),
        load("vectors") if vectors else np.empty((0, 0), np.float16),
        Rows(load("documents"), load("document_starts")),
        load("ends"),
        load("train"),
        load("valid"),
        load("test"),
        made,
    )

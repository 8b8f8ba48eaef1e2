"""Making a corpus: shared by processes, killed and gone on with, at constant memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from sonar_cli.errors import SonarError
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.model.load import load_codec
from sonar_cli.options import Runtime
from sonar_cli.training import crew, pieces, vectors
from sonar_cli.training.corpus import CUE, SPECIAL, Corpus, prepare
from sonar_cli.training.shards import NUMBERS
from sonar_cli.training.store import Growing, Numbers
from sonar_cli.training.tables import Data
from sonar_cli.world import stories as world

STORIES = 60
# Of the batches and shards in these tests: small, so that few stories make several.
TEXTS, SHARD = 8, 64


@pytest.fixture(scope="module")
def codec() -> NativeCodec:
    found = load_codec(resolve(), Runtime("cpu"))
    assert isinstance(found, NativeCodec)
    return found


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_TEXTS", TEXTS)
    monkeypatch.setattr(vectors, "_SHARD", SHARD)


class Cheap:
    """A codec of four numbers that costs nothing."""

    width, max_len, device = 4, 40, torch.device("cpu")

    def __init__(self) -> None:
        self.tokenizer = Tokenizer.load(resolve().tokenizer)
        self.encoded = 0

    def encode(self, sentences: list[str], batch_size: int) -> torch.Tensor:
        self.encoded += len(sentences)
        return torch.tensor([[len(each), ord(each[0]), 0.0, 1.0] for each in sentences])


def _prepare(folder: Path, data: Data, codec, told: list[str] | None = None) -> Corpus:
    notify = (lambda line: None) if told is None else told.append
    return prepare(folder, data, codec, resolve(), "codec", False, notify)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def _lines(path: Path, texts: list[str]) -> str:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(path)


def test_one_or_two_processes_make_the_same_bytes(tmp_path: Path, codec, monkeypatch) -> None:
    one = _prepare(tmp_path / "one", Data(stories=STORIES, workers=1), codec)
    monkeypatch.setattr(crew, "_PATIENCE", 0.0)
    monkeypatch.setattr(crew, "_processes", lambda size: 2)
    for workers in (2, 0):
        made = _prepare(tmp_path / str(workers), Data(stories=STORIES, workers=workers), codec)
        assert made.digest == one.digest
        assert _bytes(tmp_path / str(workers)) == _bytes(tmp_path / "one")
    assert len(one.vectors) > 3 * SHARD


KILLED = """
import os, signal, sys, multiprocessing
from pathlib import Path
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.load import load_codec
from sonar_cli.options import Runtime
from sonar_cli.training import pieces, shards, vectors
from sonar_cli.training.corpus import prepare
from sonar_cli.training.tables import Data

pieces._TEXTS, vectors._SHARD = {texts}, {shard}
folder, when, left = Path({folder!r}), {when!r}, [3]

def die():
    left[0] -= 1
    if not left[0]:
        pids = [str(child.pid) for child in multiprocessing.active_children()]
        (folder.parent / "workers").write_text(" ".join(pids))
        os.kill(os.getpid(), signal.SIGKILL)

def dying(function):
    def wrapped(*arguments):
        result = function(*arguments)
        die()
        return result
    return wrapped

if when == "within a save":  # the arrays are longer than the numbers know
    save = shards.Numbers.save
    shards.Numbers.save = lambda self, state: die() or save(self, state)
elif when == "after a save":
    shards._Writer.save = dying(shards._Writer.save)
elif when == "a shard":
    vectors.encode = dying(vectors.encode)
else:
    bar = vectors.bar
    vectors.bar = lambda *all: (die() or each for each in bar(*all))
data = Data(stories={stories}, workers={workers})
prepare(folder, data, load_codec(resolve(), Runtime("cpu")), resolve(), "codec", False, print)
"""


@pytest.mark.parametrize(
    ("when", "workers", "read", "encoded"),
    [
        ("within a save", 1, 2 * TEXTS, 0),
        ("after a save", 1, 3 * TEXTS, 0),
        ("after a save", 2, 3 * TEXTS, 0),
        ("a shard", 1, STORIES, 2),
        ("shards", 2, STORIES, 2),
    ],
)
def test_killed_and_gone_on_with(
    tmp_path: Path, codec, monkeypatch, when: str, workers: int, read: int, encoded: int
) -> None:
    """At whatever moment: it ends with the same bytes, and does not do again what was done."""
    folder = tmp_path / "corpus"
    script = KILLED.format(
        texts=TEXTS, shard=SHARD, folder=str(folder), when=when, stories=STORIES, workers=workers
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=120, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    pids = (tmp_path / "workers").read_text().split()
    assert len(pids) == (workers if workers > 1 else 0)
    _gone(pids)
    if encoded:
        assert len((folder / "encoded").read_text().splitlines()) == encoded
    else:
        numbers = Numbers(folder / NUMBERS)
        assert numbers.load()["state"]["read"] == read
        numbers.close()
    again: list[int] = []
    encode = codec.encode
    monkeypatch.setattr(codec, "encode", lambda s, **m: again.append(len(s)) or encode(s, **m))
    made = _prepare(folder, Data(stories=STORIES), codec)
    assert sum(again) == len(made.vectors) - encoded * SHARD
    _prepare(tmp_path / "whole", Data(stories=STORIES), codec)
    assert _bytes(folder) == _bytes(tmp_path / "whole")


def _gone(pids: list[str]) -> None:
    """Worker processes do not outlive the one that was killed."""
    if not Path("/proc/self").exists():
        return
    until = time.monotonic() + 20
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.05)


def _alive(pid: str) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # empty of a process that ended
    except OSError:
        return False


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(pieces, "_TEXTS", 32)
    monkeypatch.setattr(vectors, "_SHARD", 256)

    def peak(count: int) -> int:
        texts = [f"Tom saw {n} birds. Tom saw {n} kites." for n in range(count)]
        data = Data(_lines(tmp_path / f"{count}.jsonl", texts), workers=1)
        del texts
        tracemalloc.start()
        made = _prepare(tmp_path / str(count), data, cheap)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(made.documents) == count and len(made.vectors) == 2 * count + len(SPECIAL)
        return most

    cheap = Cheap()
    peak(200)  # what is imported and cached once
    few, many = peak(500), peak(5_000)
    assert many < 1.3 * few, (few, many)


def test_a_sentence_is_stored_and_encoded_once(tmp_path: Path) -> None:
    texts = [f"All came. Tom saw {n % 5} birds. All left." for n in range(40)]
    cheap = Cheap()
    made = _prepare(tmp_path / "c", Data(_lines(tmp_path / "a.jsonl", texts)), cheap)
    assert cheap.encoded == len(made.vectors) == len(made.tokens) == len(SPECIAL) + 2 + 5
    assert len(made.documents) == 40
    lines = vectors.read_sentences(tmp_path / "c", 0, len(made.vectors))
    for text, row in zip(texts, range(40), strict=True):
        assert " ".join(lines[n] for n in made.documents.row(row)) == text
    assert vectors.read_sentences(tmp_path / "c", 4, 6) == ["All came.", "Tom saw 0 birds."]
    assert not (tmp_path / "c" / NUMBERS).exists()


def test_all_arrays_are_mapped(tmp_path: Path) -> None:
    made = _prepare(tmp_path, Data(stories=12), Cheap())
    rows = (made.tokens.flat, made.tokens.starts, made.documents.flat, made.documents.starts)
    for array in (*rows, made.vectors, made.ends, made.train, made.valid, made.test):
        assert isinstance(array.base, np.memmap) and not array.flags.writeable


def test_summaries_stay_whole(tmp_path: Path) -> None:
    for cut in (False, True):
        data = Data(stories=20, summaries=True, max_sentences=5, cut=cut)
        made = _prepare(tmp_path / str(cut), data, Cheap())
        lines = vectors.read_sentences(tmp_path / str(cut), 0, len(made.vectors))
        texts = [[lines[n] for n in made.documents.row(row)] for row in range(len(made.documents))]
        ends = [text for text, end in zip(texts, made.ends, strict=True) if end]
        assert len(ends) == 20
        for number, (text, story) in enumerate(zip(ends, world.stories(20), strict=True)):
            own = text[: text.index(lines[CUE])] if number % 2 else text
            assert len(own) <= 5 and own[-1] in story.sentences
            assert text[len(own) :] == ([lines[CUE], *story.summary] if number % 2 else [])
        goes_on = [text for text, end in zip(texts, made.ends, strict=True) if not end]
        assert all(lines[CUE] not in text for text in goes_on) and bool(goes_on) != cut


def test_what_is_left_out_or_cut_is_said(tmp_path: Path) -> None:
    long = " ".join(["kite"] * 60) + "."
    texts = ["Tom ran. Tom sat.", "Ben ran. Ben sat.", "One.", f"{long} It flew.", "-----\n\n-----"]
    told: list[str] = []
    made = _prepare(tmp_path / "a", Data(_lines(tmp_path / "a.jsonl", texts)), Cheap(), told)
    assert told == [
        "1 text without a sentence is left out",
        "1 text of one sentence is left out: nothing follows",
        "1 sentence is longer than 40 tokens and cut there",
    ]
    assert made.tokens.lengths.max() == 40
    told.clear()
    _prepare(tmp_path / "b", Data(_lines(tmp_path / "b.jsonl", [*texts, "Two."])), Cheap(), told)
    assert "2 texts of one sentence are left out: nothing follows" in told


def test_changed_files_make_the_corpus_anew(tmp_path: Path) -> None:
    texts = ["Tom ran. Tom sat.", "Ben ran. Ben sat.", "Ann ran. Ann sat."]
    data, told, cheap = Data(_lines(tmp_path / "a.jsonl", texts)), [], Cheap()
    before = _prepare(tmp_path / "c", data, cheap, told)
    cheap.encoded = 0
    same = _prepare(tmp_path / "c", Data(data.path, workers=7), cheap, told)
    assert (same.digest, cheap.encoded, told) == (before.digest, 0, [])
    _lines(tmp_path / "a.jsonl", [*texts, "Zoe ran. Zoe sat."])
    after = _prepare(tmp_path / "c", data, cheap, told)
    assert len(told) == 1 and "files have changed, so the corpus is made anew" in told[0]
    assert after.digest != before.digest and len(after.documents) == 4
    _lines(tmp_path / "a.jsonl", texts)
    assert _prepare(tmp_path / "c", data, cheap).digest == before.digest, "by what is in it"


def test_few_texts_have_one_to_train_on_and_one_to_validate_on(tmp_path: Path) -> None:
    for shares in ((0.01, 0.0), (0.9, 0.05), (0.4, 0.5)):
        data = Data(
            _lines(tmp_path / "a.jsonl", ["Tom ran. Tom sat.", "Ben ran. Ben sat."]),
            valid=shares[0], test=shares[1],
        )  # fmt: skip
        made = _prepare(tmp_path / str(shares), data, Cheap())
        assert (len(made.train), len(made.valid), len(made.test)) == (1, 1, 0)


def test_a_worker_that_dies(monkeypatch) -> None:
    with pytest.raises(SonarError, match="a worker process died") as caught:
        list(crew.in_order(_die, [1, 2, 3], None, _nothing, 2))
    assert "\n" not in str(caught.value)


def test_an_error_in_a_worker_is_that_error() -> None:
    with pytest.raises(SonarError, match="no 2"):
        list(crew.in_order(_refuse, [1, 2, 3], None, _nothing, 2))


def _nothing() -> None:
    return None


def _die(tool: None, item: int) -> None:
    import os

    os.kill(os.getpid(), signal.SIGKILL)


def _refuse(tool: None, item: int) -> int:
    if item == 2:
        raise SonarError("no 2")
    return item


def test_an_array_grows_and_forgets_what_was_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    array = Growing(path, np.int64)
    array.append([1, 2, 3])
    array.flush()
    array.append([4])
    array = Growing(path, np.int64, 3)
    array.append([5])
    array.close()
    assert np.load(path).tolist() == [1, 2, 3, 5]
    empty = Growing(path, np.int64)
    empty.close()
    assert np.load(path, mmap_mode="r").shape == (0,)


def test_numbers_and_their_state_are_kept_together(tmp_path: Path) -> None:
    path = tmp_path / "n.sqlite"
    numbers = Numbers(path)
    assert numbers.load() is None
    assert numbers.of([b"a", b"b", b"a"]).tolist() == [0, 1, 0]
    numbers.save({"read": 1})
    assert numbers.of([b"c", b"b"]).tolist() == [2, 1]
    with pytest.raises(SonarError, match="does another process make this corpus"):
        Numbers(path)
    numbers.close()
    numbers = Numbers(path)
    assert numbers.load() == {"read": 1} and numbers.count == 2
    assert numbers.of([b"d", b"a"]).tolist() == [2, 0]

"""Sentences of a corpus -> their vectors, in shards that any process can encode."""

from __future__ import annotations

import json
import os
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sonar_cli.model.codec.base import Codec
from sonar_cli.model.load import load_codec
from sonar_cli.options import ModelPaths, Runtime
from sonar_cli.training.crew import in_order
from sonar_cli.training.pieces import short_hash
from sonar_cli.training.progress import bar
from sonar_cli.training.record import write_whole

SENTENCES, VECTORS, ENCODED = "sentences.jsonl", "vectors.npy", "encoded"
# Sentences of a shard. A multiple of the batch, so that a batch never depends on who encodes it.
_SHARD, _BATCH = 4_096, 256


def write_vectors(
    folder: Path, codec: Codec, paths: ModelPaths | None, workers: int, progress: bool
) -> list[str]:
    """Encode the sentences that have no vector yet; return the hashes of all shards.

    `vectors.npy` (sentences, D) float16 is written shard by shard, each by one CPU thread; on CUDA
    this process encodes. What is done is noted, a line a shard: killed at any time, the shards
    being encoded are lost and no other. Raises SonarError when a process dies.
    """
    count = len(np.load(folder / "sentence_starts.npy", mmap_mode="r")) - 1
    log = folder / ENCODED
    if not log.exists():
        shape = (count, codec.width)
        np.lib.format.open_memmap(folder / VECTORS, "w+", np.float16, shape).flush()
        log.touch()
    # Without a line that was cut off: its shard is encoded again.
    done = log.read_text().split("\n")[:-1]
    write_whole(log, "".join(f"{line}\n" for line in done))
    starts = range(len(done) * _SHARD, count, _SHARD)
    shards = ((start, min(start + _SHARD, count)) for start in starts)
    work = partial(encode, folder)
    if paths is None or codec.device.type != "cpu":
        hashes = in_order(work, shards, codec)
    else:
        load = partial(load_codec, paths, Runtime("cpu"))
        hashes = in_order(work, shards, codec, load, workers, _bytes(paths.encoder))
    with closing(hashes), log.open("a") as lines:
        for _, found in zip(bar(starts, "encoding", progress, "shard"), hashes, strict=True):
            lines.write(f"{found}\n")
            lines.flush()
    return log.read_text().split()


def encode(folder: Path, codec: Codec, shard: tuple[int, int]) -> str:
    """Encode the sentences of a shard (start, stop) into `vectors.npy`; return a hash of them."""
    start, stop = shard
    threads = torch.get_num_threads()
    # The order of a sum, and with it the last bits, may depend on the number of threads.
    torch.set_num_threads(1)
    try:
        sentences = read_sentences(folder, start, stop)
        vectors = codec.encode(sentences, batch_size=_BATCH).half().cpu().numpy()
    finally:
        torch.set_num_threads(threads)
    mapped = np.load(folder / VECTORS, mmap_mode="r")
    # Not through the map: where the disk is full that would end the process without an error.
    with (folder / VECTORS).open("r+b") as file:
        file.seek(mapped.offset + start * mapped.strides[0])
        file.write(vectors.tobytes())
    return short_hash(vectors.tobytes()).hex()


def read_sentences(folder: Path, start: int, stop: int) -> list[str]:
    """Return the sentences of a corpus from number `start` to before `stop`."""
    starts = np.load(folder / "sentence_starts.npy", mmap_mode="r")
    first, last = int(starts[start]), int(starts[stop])
    with (folder / SENTENCES).open("rb") as file:
        file.seek(first)
        return [json.loads(line) for line in file.read(last - first).split(b"\n")[:-1]]


def _bytes(path: Path) -> int:
    """Return the memory of a model's weights: as float32, twice that of a file in float16."""
    files = path.rglob("*") if path.is_dir() else [path]
    return 2 * sum(os.path.getsize(file) for file in files if file.is_file())

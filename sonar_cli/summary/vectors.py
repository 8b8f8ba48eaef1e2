"""Vectors of a long text: encoded in batches, stored on disk if they are many, read in chunks.

A million of SONAR's vectors take 4 GB, so memory holds only the chunk that is being read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from sonar_cli.errors import CacheError
from sonar_cli.model.codec.base import Codec
from sonar_cli.summary import cache

# Bytes of vectors above which they go to a temporary file: 256 MiB.
_MAX_IN_MEMORY = 256 << 20
# Number of vectors that are read at a time.
CHUNK = 8_192
# Numbers of the vectors that are made at a time. The more sentences there are to choose from, the
# more of one length share a batch; with a large codec, though, many would take long without a word.
_AT_ONCE = 2**18
_FLOAT32_BYTES, _CHECKSUM_BYTES = 4, 8

Notify = Callable[[str], None]
Item = TypeVar("Item")


class Vectors:
    """Sentence vectors (N, D) float32, which are appended in order and read in chunks or by row.

    Above `in_memory` bytes they are stored in a temporary file.

    >>> vectors = Vectors(2)
    >>> vectors.append(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    >>> len(vectors), vectors.take([2, 0]).tolist()
    (3, [[5.0, 6.0], [1.0, 2.0]])
    >>> [chunk.shape[0] for chunk in vectors.chunks(2)]
    [2, 1]
    """

    def __init__(self, width: int, in_memory: int = _MAX_IN_MEMORY) -> None:
        self.width = width
        self._count = 0
        # Not memory-mapped, because mapped pages would count as the program's memory.
        self._file = SpooledTemporaryFile(max_size=in_memory)  # noqa: SIM115

    @classmethod
    def of(cls, vectors: Tensor) -> Vectors:
        """Return a `Vectors` with the contents of a tensor (N, D)."""
        made = cls(vectors.shape[1])
        made.append(vectors)
        return made

    def __len__(self) -> int:
        return self._count

    def append(self, vectors: Tensor) -> None:
        """Add vectors (n, D) at the end."""
        self._file.seek(0, 2)
        self._file.write(vectors.float().cpu().contiguous().numpy().tobytes())
        self._count += len(vectors)

    def chunks(self, rows: int = CHUNK) -> Iterator[Tensor]:
        """Yield all vectors in order, as tensors (n, D) float32 with n at most `rows`."""
        for start in range(0, self._count, rows):
            yield self._read(start, min(rows, self._count - start))

    def take(self, rows: Sequence[int]) -> Tensor:
        """Return the vectors (n, D) float32 of n rows."""
        return torch.cat([self._read(row, 1) for row in rows] or [torch.empty(0, self.width)])

    def _read(self, start: int, count: int) -> Tensor:
        size = self.width * _FLOAT32_BYTES
        self._file.seek(start * size)
        raw = bytearray(self._file.read(count * size))
        return torch.frombuffer(raw, dtype=torch.float32).view(count, self.width)  # (count, D)


class Store(Protocol):
    """A store that keeps vectors, as bytes by key, between runs; see `cache.VectorCache`."""

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the vectors of those keys that are stored."""

    def put(self, entries: dict[bytes, bytes]) -> None:
        """Store vectors."""


class Encoding:
    """Encodes sentences of one language, after looking for their vectors in a store.

    `identity` identifies the codec in the store's keys. `found` counts the vectors that were found.
    With each vector its checksum is stored; one that is damaged is made anew, and `notify` gets one
    line. So it does if the store fails; encoding then goes on without a store.
    """

    def __init__(
        self,
        codec: Codec,
        lang: str,
        store: Store | None = None,
        identity: str = "",
        notify: Notify | None = None,
    ) -> None:
        self.codec = codec
        self.lang = lang
        self.store = store
        self.identity = identity
        self.notify = notify
        self.found = 0
        self._told = False

    def __call__(self, sentences: Iterable[str]) -> Iterator[tuple[list[str], Tensor]]:
        """Yield the sentences in batches, each with its vectors (n, D) float32."""
        for piece in batched(sentences, max(1, _AT_ONCE // self.codec.width)):
            yield piece, self._piece(piece)

    def _piece(self, sentences: list[str]) -> Tensor:
        # Keyed by text, so that a repeated sentence is encoded once.
        keys = {text: cache.key(self.identity, self.lang, text) for text in sentences}
        known = self._ask(list(keys.values()))
        self.found += len(known)
        missing = [text for text, key in keys.items() if key not in known]
        if missing:
            made = self.codec.encode(missing, self.lang).cpu()
            new = {keys[text]: vector for text, vector in zip(missing, made, strict=True)}
            self._keep({key: packed(key, vector) for key, vector in new.items()})
            known |= new
        return torch.stack([known[keys[text]] for text in sentences])

    def _ask(self, keys: list[bytes]) -> dict[bytes, Tensor]:
        if self.store is None:
            return {}
        try:
            found = self.store.get(keys)
        except CacheError as error:
            self._give_up(error)
            return {}
        read = {key: unpacked(key, raw, self.codec.width) for key, raw in found.items()}
        sound = {key: vector for key, vector in read.items() if vector is not None}
        if len(sound) < len(read) and self.notify and not self._told:
            self._told = True
            self.notify("the cache of vectors has damaged entries; they are made anew")
        return sound

    def _keep(self, entries: dict[bytes, bytes]) -> None:
        if self.store is None:
            return
        try:
            self.store.put(entries)
        except CacheError as error:
            self._give_up(error)

    def _give_up(self, error: CacheError) -> None:
        self.store = None
        if self.notify:
            self.notify(f"the cache of vectors is out of use ({error}); going on without it")


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items of an iterable in lists of `size`; the last one may be shorter.

    >>> list(batched("abc", 2))
    [['a', 'b'], ['c']]
    """
    waiting = iter(items)
    while piece := list(islice(waiting, size)):
        yield piece


def packed(key: bytes, vector: Tensor) -> bytes:
    """Return the vector (D,) of a key as bytes, with the checksum of both at the end."""
    raw = vector.numpy().tobytes()
    return raw + _checksum(key, raw)


def unpacked(key: bytes, stored: object, width: int) -> Tensor | None:
    """Return the vector (D,) float32 that `packed` made of it, None if it is damaged.

    >>> unpacked(b"k", packed(b"k", torch.tensor([1.0, 2.0])), 2)
    tensor([1., 2.])
    """
    if not isinstance(stored, bytes):
        return None
    raw = stored[:-_CHECKSUM_BYTES]
    if len(raw) != width * _FLOAT32_BYTES or stored != raw + _checksum(key, raw):
        return None
    vector = torch.frombuffer(bytearray(raw), dtype=torch.float32)
    return vector if bool(vector.isfinite().all()) else None


def _checksum(key: bytes, raw: bytes) -> bytes:
    return hashlib.blake2b(raw, key=key[:64], digest_size=_CHECKSUM_BYTES).digest()

"""Training data: rows of token ids in one array, and shuffled batches of row numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sonar_cli.errors import UsageError
from sonar_cli.model.codec.tokenizer import PAD

Ints = npt.NDArray[np.int64]

# Rows are sorted by length within a pool of this many batches. A larger pool means less padding,
# a smaller one more random batches.
_POOL = 50
# Rows grow longer in so many stages.
_STAGES = 4
_PARTS = range(1, _STAGES + 1)
# Lengths of batches are multiples of this. For each new shape oneDNN compiles its products in
# bfloat16 anew, which takes longer than they do, and it keeps no more than a thousand.
SHAPED = 4


@dataclass(frozen=True)
class Rows:
    """Rows of ids of different lengths, stored in one flat array.

    Row i is `flat[starts[i] : starts[i + 1]]`; `starts` has one more entry than there are rows.
    """

    flat: npt.NDArray[np.int32]
    starts: Ints

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> Rows:
        """Store the rows in one array.

        >>> Rows.of([[1, 2], [3]]).lengths.tolist()
        [2, 1]
        """
        arrays = [np.asarray(row, dtype=np.int32) for row in rows]
        lengths = [len(row) for row in arrays]
        flat = np.concatenate(arrays) if arrays else np.empty(0, np.int32)
        return cls(flat, np.cumsum([0, *lengths], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Ints:
        """Return the number of ids in each row (rows,)."""
        return np.diff(self.starts)

    def row(self, number: int) -> npt.NDArray[np.int32]:
        """Return the ids of a row, a view into `flat`."""
        return self.flat[self.starts[number] : self.starts[number + 1]]

    def padded(self, rows: Sequence[int] | Ints, device: torch.device | str = "cpu") -> Tensor:
        """Return the given rows in that order, as `padded` does."""
        return padded([self.row(i) for i in rows], device)


def shaped(length: int, step: int = SHAPED) -> int:
    """Return a length rounded up to a multiple, so that batches have few different shapes.

    >>> shaped(21), shaped(24), shaped(21, step=16)
    (24, 24, 32)
    """
    return -(-length // step) * step


def padded(rows: Sequence[npt.NDArray[np.int32]], device: torch.device | str = "cpu") -> Tensor:
    """Return rows of ids (N, longest) int64, padded on the right with PAD.

    The longest is rounded up; see `shaped`.
    """
    batch = np.full((len(rows), shaped(max(map(len, rows)))), PAD, dtype=np.int64)
    for line, ids in zip(batch, rows, strict=True):
        line[: len(ids)] = ids
    return torch.from_numpy(batch).to(device)


class Batches:
    """Shuffled batches of row numbers for any number of epochs.

    The batch of a step depends on `lengths`, `batch_size`, `seed` and the step alone, not on which
    batches were asked for before. Rows of similar length share a batch.

    >>> batches = Batches(np.array([3, 1, 2, 2]), batch_size=2, seed=0)
    >>> sorted(np.concatenate([batches.at(0), batches.at(1)]).tolist())
    [0, 1, 2, 3]
    """

    def __init__(self, lengths: Ints, batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        # The current epoch's number and batches: computing them for every step would be slow.
        self._plan: tuple[int, list[Ints]] | None = None

    @property
    def per_epoch(self) -> int:
        """Return the number of batches in an epoch.

        Rows that do not fill a batch are left out; each epoch leaves out others.
        """
        return max(1, len(self.lengths) // self.batch_size)

    def at(self, step: int) -> Ints:
        """Return the row numbers of a step's batch (batch_size,); all rows if they are fewer."""
        epoch, number = divmod(step, self.per_epoch)
        if self._plan is None or self._plan[0] != epoch:
            self._plan = (epoch, self._shuffled(epoch))
        return self._plan[1][number]

    def _shuffled(self, epoch: int) -> list[Ints]:
        """Return an epoch's batches: shuffle, sort by length within pools, cut, shuffle again."""
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(len(self.lengths))
        pool = _POOL * self.batch_size
        batches = []
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            cuts = range(self.batch_size, len(part) + 1, self.batch_size)
            batches += [part[cut - self.batch_size : cut] for cut in cuts]
        mixed = random.permutation(len(batches))
        return [batches[i] for i in mixed] or [order]


class GrowingBatches:
    """Batches of short rows at first, and of longer ones step by step.

    In the first quarter of `steps` they are of the shortest quarter of the rows, in the second of
    the shorter half, in the third of all but the longest quarter, and from then on of all.
    """

    def __init__(self, lengths: Ints, batch_size: int, seed: int, steps: int) -> None:
        order = np.argsort(lengths, kind="stable")
        self._rows = [order[: max(1, len(order) * part // _STAGES)] for part in _PARTS]
        self._batches = [
            Batches(lengths[rows], min(batch_size, len(rows)), seed) for rows in self._rows
        ]
        self._steps = steps

    def at(self, step: int) -> Ints:
        """Return the row numbers of a step's batch (batch_size,); all rows if they are fewer."""
        stage = min(step * _STAGES // self._steps, _STAGES - 1) if self._steps else -1
        return self._rows[stage][self._batches[stage].at(step)]


def parts_of(batch: int, micro_batch: int, processes: int) -> int:
    """Return in how many parts a batch is computed, as many for each of the processes.

    A part is `batch[number::parts]`, at most `micro_batch` rows where that is not 0. Raises
    UsageError for a batch of fewer rows than processes.

    >>> parts_of(24, micro_batch=5, processes=2)
    6
    """
    if batch < processes:
        raise UsageError(f"train.batch is at least the number of processes, {processes}")
    each = batch // processes
    own = min(each, -(-batch // (processes * micro_batch))) if micro_batch else 1
    return own * processes

"""Texts as arrays of token ids, and batches that a step number alone determines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sonar_cli.model.codec.tokenizer import PAD

Ints = npt.NDArray[np.int64]

# Batches are cut from so many batches' worth of rows sorted by length: little padding, much mixing.
_POOL = 50


@dataclass(frozen=True)
class Rows:
    """Rows of ids in one flat array: row i is `flat[starts[i] : starts[i + 1]]`."""

    flat: npt.NDArray[np.int32]
    starts: Ints

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> Rows:
        """Pack rows.

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
        """Ids in each row."""
        return np.diff(self.starts)

    def row(self, number: int) -> npt.NDArray[np.int32]:
        """Return a row's ids."""
        return self.flat[self.starts[number] : self.starts[number + 1]]

    def padded(self, rows: Sequence[int] | Ints, device: torch.device | str = "cpu") -> Tensor:
        """Return the chosen rows (N, longest) int64, filled up with pad."""
        chosen = [self.row(i) for i in rows]
        batch = np.full((len(chosen), max(map(len, chosen))), PAD, dtype=np.int64)
        for line, ids in zip(batch, chosen, strict=True):
            line[: len(ids)] = ids
        return torch.from_numpy(batch).to(device)


class Batches:
    """Endless shuffled batches of row numbers; batch `step` is the same whenever it is asked for.

    >>> batches = Batches(np.array([3, 1, 2, 2]), batch_size=2, seed=0)
    >>> sorted(np.concatenate([batches.at(0), batches.at(1)]).tolist())
    [0, 1, 2, 3]
    """

    def __init__(self, lengths: Ints, batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        # Making an epoch's plan anew for every step would cost more than the step.
        self._plan: tuple[int, list[Ints]] | None = None

    @property
    def per_epoch(self) -> int:
        """Batches in one pass; the rows that do not fill a batch wait for another epoch."""
        return max(1, len(self.lengths) // self.batch_size)

    def at(self, step: int) -> Ints:
        """Return the row numbers of a step's batch (batch_size,)."""
        epoch, number = divmod(step, self.per_epoch)
        if self._plan is None or self._plan[0] != epoch:
            self._plan = (epoch, self._shuffled(epoch))
        return self._plan[1][number]

    def _shuffled(self, epoch: int) -> list[Ints]:
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

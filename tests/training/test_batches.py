"""Batches of rows that grow longer."""

from __future__ import annotations

import numpy as np
import pytest

from sonar_cli.training.batches import Batches, GrowingBatches

LENGTHS = np.random.default_rng(0).permutation(100) + 1


def test_rows_grow_longer() -> None:
    batches = GrowingBatches(LENGTHS, 5, seed=3, steps=40)
    most = [
        max(LENGTHS[batches.at(step)].max() for step in range(at, at + 10)) for at in (0, 10, 20)
    ]
    assert most == [pytest.approx(limit, abs=11) for limit in (25, 50, 75)]
    assert all(LENGTHS[batches.at(step)].max() <= 25 for step in range(10))
    assert max(LENGTHS[batches.at(step)].max() for step in range(30, 60)) > 90
    assert batches.at(7).tolist() == GrowingBatches(LENGTHS, 5, 3, 40).at(7).tolist()


def test_without_growth_every_row_takes_part() -> None:
    batches = GrowingBatches(LENGTHS, 5, seed=3, steps=0)
    seen = np.concatenate([batches.at(step) for step in range(20)])
    assert sorted(seen.tolist()) == list(range(100))
    assert Batches(LENGTHS, 5, 3).per_epoch == 20


def test_fewer_rows_than_a_batch() -> None:
    batches = GrowingBatches(np.array([2, 5, 9]), 3, seed=0, steps=4)
    assert [sorted(batches.at(step).tolist()) for step in range(5)] == [
        [0], [0], [0, 1], [0, 1, 2], [0, 1, 2],
    ]  # fmt: skip

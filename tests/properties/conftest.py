"""Properties that hold for every text: how many are tried, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

# Texts a property is tried on, in every run of the tests and with `-m nightly`.
COUNTS = [300, pytest.param(10_000, marks=[pytest.mark.nightly, pytest.mark.timeout(7_200)])]


@pytest.fixture(params=COUNTS)
def examples(request: pytest.FixtureRequest) -> int:
    """How many texts a property is tried on."""
    return request.param


@pytest.fixture
def seen(request: pytest.FixtureRequest, tell: list[str]) -> Iterator[Counter[str]]:
    """What became of the texts; the counts are printed when the tests are over."""
    counts: Counter[str] = Counter()
    yield counts
    parts = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    tell.append(f"{request.node.name}: {counts.total():,} texts: {parts}")

"""Fixtures of the tests of reading."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sonar_cli.text import punkt


@pytest.fixture(scope="module")
def shipped_parameters() -> Iterator[None]:
    """As on a machine without NLTK's data."""
    import nltk.data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nltk.data, "path", [])
        punkt.tokenizer.cache_clear()
        yield
    punkt.tokenizer.cache_clear()

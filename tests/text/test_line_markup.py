"""How long markup takes that is there to take long."""

from __future__ import annotations

import time

import pytest

from sonar_cli.text.documents import Format, passages


@pytest.mark.parametrize("format", ["rst", "asciidoc", "org", "latex"])
@pytest.mark.parametrize(
    "piece",
    [
        *("`", "``a ", ":a:`", "[[", "[[a][", "=a ", "*a ", "**", "((", "link:a[", "<<a,", "{{{"),
        *("\\emph{", "\\cite{", "\\section{", "\\begin{figure}", "\\[", "$$", "\\verb|", "{", "~"),
    ],
)
def test_time_is_linear(format: Format, piece: str) -> None:
    begun = time.perf_counter()
    for _ in passages(piece * (60_000 // len(piece)), format):
        pass
    # What takes the square of the length takes minutes.
    assert time.perf_counter() - begun < 20

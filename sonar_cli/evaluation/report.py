"""Tables of measures: rows with a target each, as Markdown or JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Tables:
    """What an evaluation found, as Markdown and as JSON Lines."""

    markdown: str
    json_lines: str


@dataclass(frozen=True)
class Row:
    """One measure: a share in [0, 1], how many cases it counts, and the share to reach, if any.

    `at_least` False means that the target is a ceiling, `is_share` False that the value is no
    share but a plain number, such as a cosine.
    """

    measure: str
    value: float
    cases: int
    target: float | None = None
    at_least: bool = True
    is_share: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none.

        >>> Row("repeats", 0.04, 300, 0.05, at_least=False).met
        True
        """
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table; targets where some row has one.

    >>> print(markdown([Row("exact", 0.973, 100, 0.95)]))
    | measure | value | cases | target | met |
    | --- | ---: | ---: | ---: | --- |
    | exact | 97.3 % | 100 | at least 95 % | yes |
    >>> print(markdown([Row("cosine", 0.9973, 100, is_share=False)]))
    | measure | value | cases |
    | --- | ---: | ---: |
    | cosine | 0.9973 | 100 |
    """
    head = ["measure", "value", "cases"]
    if any(row.target is not None for row in rows):
        head += ["target", "met"]
    return grid(head, [_cells(row)[: len(head)] for row in rows], right=("value", "cases"))


def _cells(row: Row) -> list[str]:
    value = f"{100 * row.value:.1f} %" if row.is_share else f"{row.value:.4f}"
    cells = [row.measure, value, str(row.cases)]
    if row.target is None:
        return [*cells, "", ""]
    bound = "at least" if row.at_least else "at most"
    return [*cells, f"{bound} {100 * row.target:.0f} %", "yes" if row.met else "no"]


def grid(head: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[str]) -> str:
    """Return a Markdown table; the columns whose heads are in `right` are aligned to the right.

    >>> print(grid(["text", "steps"], [["a", 3]], right=["steps"]))
    | text | steps |
    | --- | ---: |
    | a | 3 |
    """
    lines = [head, ["---:" if each in right else "---" for each in head], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def json_lines(rows: Sequence[Row]) -> str:
    """Return the rows as JSON Lines, `met` included."""
    return "\n".join(json.dumps({**asdict(row), "met": row.met}) for row in rows)

"""Tables of measures: rows with a target each, as Markdown or JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One measure: a share in [0, 1], how many cases it counts, and the share to reach.

    `at_least` False means that the target is a ceiling.
    """

    measure: str
    value: float
    cases: int
    target: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        """Whether the target is reached.

        >>> Row("repeats", 0.04, 300, 0.05, at_least=False).met
        True
        """
        return self.value >= self.target if self.at_least else self.value <= self.target


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table.

    >>> print(markdown([Row("exact", 0.973, 100, 0.95)]))
    | measure | value | cases | target | met |
    | --- | ---: | ---: | ---: | --- |
    | exact | 97.3 % | 100 | at least 95 % | yes |
    """
    lines = ["| measure | value | cases | target | met |", "| --- | ---: | ---: | ---: | --- |"]
    for row in rows:
        bound = "at least" if row.at_least else "at most"
        lines.append(
            f"| {row.measure} | {100 * row.value:.1f} % | {row.cases} "
            f"| {bound} {100 * row.target:.0f} % | {'yes' if row.met else 'no'} |"
        )
    return "\n".join(lines)


def json_lines(rows: Sequence[Row]) -> str:
    """Return the rows as JSON Lines, `met` included."""
    return "\n".join(json.dumps({**asdict(row), "met": row.met}) for row in rows)

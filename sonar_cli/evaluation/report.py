"""What an evaluation found: tables, claims and notes, as Markdown, JSON or JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

# One row's values: names -> what JSON can hold.
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """How a table shows its records in one column.

    `show` turns the record's value of `key` into text, or the whole record where `key` is None.
    Numbers are aligned to the right; text wants `left`.
    """

    key: str | None
    head: str
    show: Callable[[Any], str] = str
    left: bool = False

    def cell(self, record: Record) -> str:
        """Return what the column shows of a record.

        >>> Column("seconds", "s a step", "{:.2f}".format).cell({"seconds": 0.1015})
        '0.10'
        """
        return self.show(record if self.key is None else record[self.key])


@dataclass(frozen=True)
class Table:
    """Records that are shown in the same columns; `name` is what JSON calls them.

    Where it is `transposed`, Markdown has a column for each record, under the name that the first
    of `columns` gives it, and JSON has an object of those names instead of a list.

    >>> seconds = "{:.1f} s".format
    >>> columns = [Column("dtype", "start", left=True), Column("load", "loading", seconds)]
    >>> loops = [{"dtype": "float32", "load": 0.27}, {"dtype": "int8", "load": 0.32}]
    >>> print(Table("loops", columns, loops).markdown())
    | start | loading |
    | --- | ---: |
    | float32 | 0.3 s |
    | int8 | 0.3 s |
    >>> print(Table("loops", columns, loops, transposed=True).markdown())
    | start | float32 | int8 |
    | --- | ---: | ---: |
    | loading | 0.3 s | 0.3 s |
    """

    name: str
    columns: Sequence[Column]
    records: Sequence[Record]
    transposed: bool = False

    def markdown(self) -> str:
        """Return the table in Markdown; without records its head alone."""
        heads = [column.head for column in self.columns]
        grid = [heads, *([column.cell(each) for column in self.columns] for each in self.records)]
        marks = ["---" if column.left else "---:" for column in self.columns]
        if self.transposed:
            grid = [list(line) for line in zip(*grid, strict=True)]
            marks = [marks[0], *["---:"] * len(self.records)]
        lines = [grid[0], marks, *grid[1:]]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def by_name(self) -> dict[str, Record]:
        """Return the records by the name that the first column gives them, and without it."""
        first = self.columns[0]
        return {
            first.cell(record): {key: record[key] for key in record if key != first.key}
            for record in self.records
        }


@dataclass(frozen=True)
class Claim:
    """What one of our systems promises, in words, and whether it was kept.

    `ours` is our value, `theirs` the value or the bound that it is held to; both are shares in
    [0, 1].
    """

    claim: str
    ours: float
    theirs: float
    met: bool


@dataclass(frozen=True)
class Report:
    """What an evaluation found.

    `notes` are facts about all of it, such as the machine: names -> what JSON can hold. `line`
    says them in the Markdown. Tables of the same name are one list in JSON.

    >>> report = Report(
    ...     [Table("scores", [Column("system", "system", left=True)], [{"system": "lead-n"}])],
    ...     [Claim("lead-n is fair", 0.35, 0.3, met=True)],
    ...     {"stories": 3},
    ...     "3 stories.",
    ... )
    >>> print(report.markdown())
    3 stories.
    <BLANKLINE>
    | system |
    | --- |
    | lead-n |
    <BLANKLINE>
    | target | ours | theirs | met |
    | --- | ---: | ---: | --- |
    | lead-n is fair | 35.0 % | 30.0 % | yes |
    >>> print(report.json_lines())
    {"system": "lead-n"}
    {"claim": "lead-n is fair", "ours": 0.35, "theirs": 0.3, "met": true}
    """

    tables: Sequence[Table]
    claims: Sequence[Claim] = ()
    notes: Record = field(default_factory=dict)
    line: str = ""

    def markdown(self) -> str:
        """Return the line of notes, the tables that have records, and the claims as a table."""
        shown = [table.markdown() for table in self._tables() if table.records]
        return "\n\n".join([self.line] * bool(self.line) + shown)

    def json(self) -> str:
        """Return one JSON object: the notes, each table under its name, then any claims.

        >>> columns = [Column("engine", "engine", left=True)]
        >>> tables = [Table("timings", columns, [{"engine": name}]) for name in ("a", "b")]
        >>> Report(tables, notes={"beam_size": 5}).json()
        '{"beam_size": 5, "timings": [{"engine": "a"}, {"engine": "b"}]}'
        """
        found: dict[str, Any] = dict(self.notes)
        for table in self._tables():
            if table.transposed:
                found[table.name] = table.by_name()
            else:
                found[table.name] = [*found.get(table.name, ()), *table.records]
        return json.dumps(found)

    def json_lines(self) -> str:
        """Return JSON Lines: one object a record, table by table, then one a claim."""
        return "\n".join(json.dumps(each) for table in self._tables() for each in table.records)

    def _tables(self) -> list[Table]:
        """Return the tables, and the claims as the last one where there are any."""
        claims = Table("claims", _CLAIM_COLUMNS, [asdict(each) for each in self.claims])
        return [*self.tables, *[claims] * bool(self.claims)]


def percent(share: float) -> str:
    """Show a share in [0, 1] as a percentage with one decimal.

    >>> percent(0.973)
    '97.3 %'
    """
    return f"{100 * share:.1f} %"


def best_in_bold(
    values: Iterable[float], show: Callable[[float], str] = percent
) -> Callable[[float], str]:
    """Return `show` for a column of `values`, with the largest in bold.

    Values that are shown alike are all bold: the reader sees no difference between them.

    >>> shown = best_in_bold([0.3128, 0.3131, 0.28])
    >>> shown(0.3128), shown(0.3131), shown(0.28)
    ('**31.3 %**', '**31.3 %**', '28.0 %')
    """
    best = show(max(values, default=0.0))

    def bold(value: float) -> str:
        text = show(value)
        return f"**{text}**" if text == best else text

    return bold


def yes_or_no(met: bool | None) -> str:
    """Show whether a target is met; nothing for None, where there is no target."""
    return "" if met is None else "yes" if met else "no"


_CLAIM_COLUMNS = (
    Column("claim", "target", left=True),
    Column("ours", "ours", percent),
    Column("theirs", "theirs", percent),
    Column("met", "met", yes_or_no, left=True),
)

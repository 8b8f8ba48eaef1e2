"""Measures of a model: a value each, how many cases it counts, and a target for some."""

from __future__ import annotations

from collections.abc import Sequence

from sonar_cli.evaluation.report import Column, Record, Report, Table, percent, yes_or_no


def measure(
    name: str,
    value: float,
    cases: int,
    target: float | None = None,
    at_least: bool = True,
    is_share: bool = True,
) -> Record:
    """Return the record of a measure, with whether its target is `met` (None: it has none).

    The value is a share of the cases in [0, 1], or a plain number such as a mean cosine where
    `is_share` is False. The target is the least that the value should be, or the most where
    `at_least` is False.

    >>> measure("repeats", 0.04, 300, 0.05, at_least=False)["met"]
    True
    """
    met = None
    if target is not None:
        met = value >= target if at_least else value <= target
    return {
        "measure": name,
        "value": value,
        "cases": cases,
        "target": target,
        "at_least": at_least,
        "is_share": is_share,
        "met": met,
    }


def report(measures: Sequence[Record]) -> Report:
    """Report measures in one table, with their targets where one of them has a target.

    >>> print(report([measure("exact", 0.973, 100, 0.95)]).markdown())
    | measure | value | cases | target | met |
    | --- | ---: | ---: | --- | --- |
    | exact | 97.3 % | 100 | at least 95 % | yes |
    >>> print(report([measure("cosine", 0.9973, 100, is_share=False)]).markdown())
    | measure | value | cases |
    | --- | ---: | ---: |
    | cosine | 0.9973 | 100 |
    """
    columns = [
        Column("measure", "measure", left=True),
        Column(None, "value", _value),
        Column("cases", "cases"),
    ]
    if any(each["target"] is not None for each in measures):
        columns.append(Column(None, "target", _target, left=True))
        columns.append(Column("met", "met", yes_or_no, left=True))
    return Report([Table("measures", columns, measures)])


def _value(record: Record) -> str:
    return percent(record["value"]) if record["is_share"] else f"{record['value']:.4f}"


def _target(record: Record) -> str:
    if record["target"] is None:
        return ""
    return f"{'at least' if record['at_least'] else 'at most'} {100 * record['target']:.0f} %"

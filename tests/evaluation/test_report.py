"""A report: what its three forms have in common, and how it is printed."""

from __future__ import annotations

import io
import json
import sys

import pytest

from sonar_cli.evaluation.report import (
    Claim,
    Column,
    Report,
    Table,
    best_in_bold,
    percent,
    yes_or_no,
)
from sonar_cli.render import print_report

NAME = Column("name", "name", left=True)
VALUES = Table("values", [NAME, Column("value", "value", percent)], [{"name": "a", "value": 0.5}])
COUNTS = Table(
    "counts",
    [NAME, Column("count", "count"), Column(None, "all", lambda record: f"{len(record)} keys")],
    [{"name": "b", "count": 3, "hidden": [1, None]}, {"name": "c", "count": 4, "hidden": []}],
)
CLAIMS = [Claim("a is good", 0.5, 0.4, True), Claim("a is best", 0.5, 0.6, False)]
REPORT = Report([VALUES, COUNTS], CLAIMS, {"machine": "mine", "threads": None}, "On mine.")


def test_markdown() -> None:
    assert REPORT.markdown().split("\n\n") == [
        "On mine.",
        "| name | value |\n| --- | ---: |\n| a | 50.0 % |",
        "| name | count | all |\n| --- | ---: | ---: |\n| b | 3 | 3 keys |\n| c | 4 | 3 keys |",
        "| target | ours | theirs | met |\n| --- | ---: | ---: | --- |\n"
        "| a is good | 50.0 % | 40.0 % | yes |\n| a is best | 50.0 % | 60.0 % | no |",
    ]


def test_json_is_one_object() -> None:
    found = json.loads(REPORT.json())
    assert list(found) == ["machine", "threads", "values", "counts", "claims"]
    assert (found["machine"], found["threads"]) == ("mine", None)
    assert found["values"] == VALUES.records
    assert found["counts"] == COUNTS.records
    assert found["claims"] == [
        {"claim": "a is good", "ours": 0.5, "theirs": 0.4, "met": True},
        {"claim": "a is best", "ours": 0.5, "theirs": 0.6, "met": False},
    ]


def test_json_lines_are_the_rows_and_the_claims() -> None:
    lines = [json.loads(line) for line in REPORT.json_lines().splitlines()]
    found = json.loads(REPORT.json())
    assert lines == [*found["values"], *found["counts"], *found["claims"]]
    assert list(lines[1]) == ["name", "count", "hidden"]


def test_what_there_is_none_of_is_not_shown() -> None:
    empty = Table("values", VALUES.columns, [])
    assert empty.markdown() == "| name | value |\n| --- | ---: |"
    report = Report([empty, COUNTS])
    assert report.markdown() == COUNTS.markdown()
    assert list(json.loads(report.json())) == ["values", "counts"]
    assert json.loads(report.json())["values"] == []
    assert Report([empty]).markdown() == Report([empty]).json_lines() == ""


def test_tables_of_one_name_are_one_list() -> None:
    other = Table("values", [NAME], [{"name": "z"}])
    report = Report([VALUES, other])
    assert json.loads(report.json()) == {"values": [*VALUES.records, *other.records]}
    assert report.markdown() == f"{VALUES.markdown()}\n\n{other.markdown()}"


def test_a_transposed_table() -> None:
    table = Table("counts", COUNTS.columns, COUNTS.records, transposed=True)
    assert table.markdown().splitlines() == [
        "| name | b | c |",
        "| --- | ---: | ---: |",
        "| count | 3 | 4 |",
        "| all | 3 keys | 3 keys |",
    ]
    report = Report([table])
    assert json.loads(report.json()) == {
        "counts": {"b": {"count": 3, "hidden": [1, None]}, "c": {"count": 4, "hidden": []}}
    }
    assert [json.loads(line) for line in report.json_lines().splitlines()] == table.records


def test_the_best_is_bold() -> None:
    shown = best_in_bold([0.1, 0.29996, 0.30004])
    assert [shown(each) for each in (0.1, 0.29996, 0.30004)] == [
        "10.0 %",
        "**30.0 %**",
        "**30.0 %**",
    ]
    assert best_in_bold([2, 10], str)(10) == "**10**"
    assert best_in_bold([])(0.5) == "50.0 %"
    assert [yes_or_no(each) for each in (True, False, None)] == ["yes", "no", ""]


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("text", REPORT.markdown() + "\n"),
        ("json", REPORT.json() + "\n"),
        ("jsonl", REPORT.json_lines() + "\n"),
    ],
)
def test_a_report_is_printed(format, expected: str) -> None:
    out = io.StringIO()
    print_report(REPORT, format, out)
    assert out.getvalue() == expected


def test_no_rows_are_no_lines() -> None:
    out = io.StringIO()
    print_report(Report([]), "jsonl", out)
    assert out.getvalue() == ""


def test_a_terminal_shows_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    out.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", out)
    print_report(REPORT, "text", out)
    shown = out.getvalue()
    assert "a is good" in shown and "50.0 %" in shown
    assert "---:" not in shown and "| a |" not in shown

"""What `sonar-llm doctor` found, as aligned lines or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sonar_cli.render.tables import show

if TYPE_CHECKING:
    from sonar_cli.doctor.findings import Finding

# Width of the longest word for a state.
_STATE = len("missing")


def print_findings(found: Iterable[tuple[str, Finding]], format: str) -> int:
    """Print findings with their sections; return how many are faults.

    "text" prints a section as soon as it is complete, "json" one object, "jsonl" an object a
    finding.
    """
    wrong = 0
    records: list[dict[str, Any]] = []
    for number, (section, pairs) in enumerate(groupby(found, key=lambda pair: pair[0])):
        findings = [finding for _, finding in pairs]
        wrong += sum(each.state == "wrong" for each in findings)
        if format == "text":
            show(*[""] * bool(number), *_section(section, findings))
        records += [{"section": section, **asdict(each)} for each in findings]
    if format == "json":
        show(json.dumps({"works": not wrong, "checks": records}))
    elif format == "jsonl":
        show(*(json.dumps(each) for each in records))
    elif not wrong:
        show("", "All that is needed works.")
    return wrong


def _section(section: str, findings: Iterable[Finding]) -> list[str]:
    r"""Return a section's lines: name, state and what was found, with a remedy in a line below.

    >>> from sonar_cli.doctor.findings import Finding
    >>> some = [Finding("torch", "good", "2.13.0"), Finding("nltk", "wrong", "no", "pip it")]
    >>> print(*_section("Installation", some), sep="\n")
    Installation
      torch  good     2.13.0
      nltk   wrong    no
                      -> pip it
    """
    some = list(findings)
    width = max(len(each.name) for each in some)
    lines = [section]
    for each in some:
        lines.append(f"  {each.name:<{width}}  {each.state:<{_STATE}}  {each.found}")
        if each.remedy:
            lines.append(" " * (width + _STATE + 6) + f"-> {each.remedy}")
    return lines

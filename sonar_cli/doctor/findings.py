"""What a check finds, and running checks so that a failure of theirs is a finding too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# "wrong" is a fault. What is "missing" is not needed, and what is "unused" has no effect.
State = Literal["good", "missing", "unused", "wrong"]

_REMEDY = "install sonar-llm anew in a fresh environment (python3 -m venv)"


@dataclass(frozen=True)
class Finding:
    """A thing that was looked at, its state, what was found, and what to do about it.

    `values` has for programs what `found` says to people: sizes in bytes, counts, names.
    """

    name: str
    state: State
    found: str
    remedy: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A function that looks at something; `needs` names the packages that it cannot do without.

    `name` is what it is called where it fails or cannot be done.
    """

    section: str
    name: str
    look: Callable[[], Iterable[Finding]]
    needs: tuple[str, ...] = ()


def examine(checks: Iterable[Check]) -> Iterator[tuple[str, Finding]]:
    """Do checks one after the other; yield each finding with its section.

    A check that raises is a finding in the state "wrong". One that needs a package that an earlier
    check found wrong is not done, so that one fault is told once.

    >>> def broken():
    ...     raise OSError("no such disk")
    >>> [(_, found)] = examine([Check("Caches", "vectors", broken)])
    >>> found.state, found.found
    ('wrong', 'OSError: no such disk')
    """
    wrong: set[str] = set()
    for check in checks:
        lacking = [name for name in check.needs if name in wrong]
        if lacking:
            reason = f"not looked at, because {' and '.join(lacking)} cannot be used"
            yield check.section, Finding(check.name, "missing", reason)
            continue
        for finding in _guarded(check):
            if finding.state == "wrong":
                wrong.add(finding.name)
            yield check.section, finding


def line(error: BaseException) -> str:
    """Return an error's type and the first line of its message.

    >>> line(ImportError("libcudart.so.12: cannot open\\nmore"))
    'ImportError: libcudart.so.12: cannot open'
    """
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _guarded(check: Check) -> Iterator[Finding]:
    try:
        yield from check.look()
    except (Exception, SystemExit) as error:  # some packages exit when they are imported
        yield Finding(check.name, "wrong", line(error), _REMEDY)

"""Records of what something was made with, kept with it so that nothing else goes on from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sonar_cli.errors import CheckpointError, UsageError
from sonar_cli.model.whole import replacing

# What something was made with: sections of named values. A value is JSON, maybe a mapping again.
Record = Mapping[str, Mapping[str, Any]]

# Another width changes nearly every tensor of a model: a few values tell as much as all of them.
_NAMED = 3
ADVICE = "another folder, or --no-resume to start anew"


def digest(parts: Iterable[str | npt.NDArray[Any]]) -> str:
    """Return a short hash of texts and arrays, the same in every process.

    It depends on the order of the parts, where one ends and the next begins, and the dtype and
    shape of an array. At 64 bits it tells data sets apart; it is no protection from forgery.

    >>> digest(["ab", "c"]) == digest(["a", "bc"])
    False
    """
    state = hashlib.blake2b(digest_size=8)
    for part in parts:
        if isinstance(part, str):
            data: Any = part.encode()
            state.update(f"text {len(data)} ".encode())
        else:
            data = np.ascontiguousarray(part).reshape(-1)
            state.update(f"array {part.dtype.str} {part.shape} ".encode())
        state.update(data)
    return f"blake2b:{state.hexdigest()}"


def require_same(
    path: Path, made: Record | None, wanted: Record, advice: str = f"give the same recipe, {ADVICE}"
) -> None:
    """Raise UsageError, in one line, unless what lies at `path` was made with what is wanted.

    `made` is the record kept with it, None where there is none. The message names the first three
    values that differ, the old and the new one, then the `advice`; of another system it names the
    system alone.
    """
    if made is None:
        raise UsageError(f"nothing tells what {path} was made with: give {ADVICE}")
    different: list[tuple[str, str]] = []
    for section, values in wanted.items():
        known = made.get(section)
        different += _differences(known if isinstance(known, Mapping) else {}, values)
    if different:
        listed = _listed(different)
        raise UsageError(f"{path} was made with {listed}: {advice}")


def write_whole(path: Path, text: str) -> None:
    """Write a text file beside its place, then move it there: it is never seen half written."""
    with replacing(path) as file:
        file.write_text(text, encoding="utf-8")


def read_record(file: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON object that was written here. Raises CheckpointError where it is damaged."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise damaged(file, remedy)
    return found


def damaged(file: Path, remedy: str) -> CheckpointError:
    """Return the error that a file is not as it was written, and what helps.

    >>> str(damaged(Path("corpus.json"), "delete it, and it is made anew"))
    'corpus.json is damaged: delete it, and it is made anew'
    """
    return CheckpointError(f"{file} is damaged: {remedy}")


def _listed(different: Sequence[tuple[str, str]]) -> str:
    # All that follows from another system differs with it.
    said = [text for name, text in different if name == "system"] or [text for _, text in different]
    more = [f"and {len(said) - _NAMED} more"] if len(said) > _NAMED else []
    return "; ".join([*said[:_NAMED], *more])


def _differences(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what differs: its name, within mappings joined with dots, and what to say of it."""
    old, new = dict(_flat(made)), dict(_flat(wanted))
    for name in {**old, **new}:
        if name not in new:
            yield name, f"{name} {_shown(old[name])}, now left out"
        elif name not in old:
            yield name, f"no {name}, now {_shown(new[name])}"
        elif old[name] != new[name]:
            yield name, f"{name} {_shown(old[name])}, not {_shown(new[name])}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    # As JSON even a text of several lines takes one.
    return json.dumps(value, ensure_ascii=False).strip('"')

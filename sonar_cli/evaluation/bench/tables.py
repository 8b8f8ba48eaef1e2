"""What the bench measured, as records and tables of a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sonar_cli.evaluation.bench.timing import NEXT_VECTOR, TOKEN_STEP, Timing
from sonar_cli.evaluation.report import Column, Record, Table

# Token steps of a text: ten sentences of thirty tokens, as in a short story.
TEXT_STEPS = 300


def records(
    timings: Sequence[Timing], opponents: Mapping[str, str] = MappingProxyType({})
) -> list[Record]:
    """Return a record for each timing, with ratios for token steps.

    `seconds` is the median of `rounds`. `opponents` names the engine that an engine is compared
    with: `faster` with as many texts together, `faster_than_alone` with one text there. Both are of
    the seconds a text, and None where that was not measured.
    """
    steps: dict[str, dict[int, float]] = {}
    for timing in timings:
        if timing.what == TOKEN_STEP:
            a_text = timing.median / timing.count
            steps.setdefault(timing.engine, {})[timing.count] = a_text
    return [_record(each, steps.get(opponents.get(each.engine, ""), {})) for each in timings]


def _record(timing: Timing, theirs: Mapping[int, float]) -> Record:
    record: dict[str, Any] = {
        "engine": timing.engine,
        "what": timing.what,
        "count": timing.count,
        "seconds": timing.median,
        "rounds": list(timing.seconds),
        "gb_per_second": timing.speed / 1e9,
        "share_of_read_speed": timing.speed / timing.read_speed,
    }
    if timing.what == TOKEN_STEP:
        a_text = timing.median / timing.count
        record["seconds_a_text"] = a_text
        record["texts_a_minute"] = 60 / (a_text * TEXT_STEPS)
        record["faster"] = theirs[timing.count] / a_text if timing.count in theirs else None
        record["faster_than_alone"] = theirs[1] / a_text if 1 in theirs else None
    return record


def timing_tables(found: Sequence[Record], against: str | None) -> list[Table]:
    """Return the tables of token steps and of next vectors; `against` names the opponent."""
    steps = _STEPS + (_ratios(against) if against else ())
    return [
        Table("timings", columns, [each for each in found if each["what"] == what])
        for what, columns in ((TOKEN_STEP, steps), (NEXT_VECTOR, _VECTORS))
    ]


def loop_table(loops: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the table of the loops from files: dtype -> what `startup.measure` returned."""
    return Table("loops", _LOOPS, [{"dtype": each, **loops[each]} for each in loops], True)


def _ratios(against: str) -> tuple[Column, ...]:
    return (
        Column("faster", f"x {against} with as many", _ratio),
        Column("faster_than_alone", f"x {against} alone", _ratio),
    )


def _decimals(count: int, unit: str = "") -> Callable[[float], str]:
    return lambda value: f"{value:.{count}f}{unit}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


_seconds = _decimals(2, " s")
_STEPS = (
    Column("engine", "engine", left=True),
    Column("count", "texts"),
    Column("seconds", "s a step", _decimals(4)),
    Column("seconds_a_text", "s a step and text", _decimals(4)),
    Column("texts_a_minute", "texts a minute", _decimals(1)),
    Column("gb_per_second", "GB/s", _decimals(1)),
)
_VECTORS = (
    Column("engine", "predictor", left=True),
    Column("count", "sentences before"),
    Column("seconds", "s a sentence", _decimals(4)),
    Column("gb_per_second", "GB/s", _decimals(1)),
    Column("share_of_read_speed", "x reading its weights", lambda share: _ratio(1 / share)),
)
_LOOPS = (
    Column("dtype", "the loop from files, second start", left=True),
    Column("import_torch", "torch's import", _seconds),
    Column("load", "loading, after that", _seconds),
    Column("first_step", "the first token step, after torch's import", _seconds),
    Column("sentences", "the first sentence, after loading", lambda each: _seconds(each[0])),
    Column("sentences", "the sixth sentence", lambda each: _seconds(each[-1])),
    Column("peak_bytes", "peak memory", lambda size: f"{size / 1e9:.2f} GB"),
)

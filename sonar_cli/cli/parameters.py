"""Reading the values of options that Click's own types do not read."""

from __future__ import annotations

import math
from typing import Any

import click

from sonar_cli.options import DTYPES, RANGES

# The most that is counted: beyond what any machine does or holds.
MOST = 10**9
# Characters of a number that are read; there is no use for more.
_LONGEST = 40


class Whole(click.IntRange):
    """A whole number within a range, of at most `most` where the range has no end."""

    def __init__(self, min: int, max: int | None = None, *, most: int = MOST) -> None:
        super().__init__(min, max)
        self.taken = f"{min}<=x<={most if max is None else max}"
        self.most = most if max is None else max

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number."""
        number = int(super().convert(_short(value, self.taken, param, ctx), param, ctx))
        if number > self.most:
            self.fail(f"{number} is not in the range {self.taken}.", param, ctx)
        return number


class Seed(click.types.IntParamType):
    """A whole number of 64 bits."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number."""
        least, most = RANGES["seed"]
        taken = f"{least}<=x<={most}"
        number = int(super().convert(_short(value, taken, param, ctx), param, ctx))
        if not least <= number <= most:
            self.fail(f"{number} is not in the range {taken}.", param, ctx)
        return number


class Number(click.FloatRange):
    """A number within a range: NaN, which Click finds in every range, is in none.

    Nor is -0, where there are no negative numbers.
    """

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the number."""
        taken = self._describe_range()
        number = float(super().convert(_short(value, taken, param, ctx), param, ctx))
        if math.isnan(number) or (number == self.min == 0 and math.copysign(1, number) < 0):
            self.fail(f"{value} is not in the range {taken}.", param, ctx)
        return number


def count_or_auto(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    """Read a count of at least 1; auto is None."""
    return None if value == "auto" else Whole(1)(value, param, ctx)


def percent(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Read a percentage as a share in (0, 1]."""
    if value is None:
        return None
    number = value.removesuffix("%")
    share = Number(0, 100, min_open=True)(number, param, ctx) / 100
    if number == value:
        raise click.BadParameter(f"{value} of what? Write {value}%, or -n for a count.", ctx, param)
    return float(share)


def counts(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    """Read counts of at least 1, parted by commas; none at all is allowed."""
    count = Whole(1)
    return tuple(count(part, param, ctx) for part in value.split(",") if part.strip())


def seeds(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Read seeds of at least 0, parted by commas."""
    if value is None:
        return None
    seed = Whole(0, most=RANGES["seed"][1])
    return tuple(seed(part.strip(), param, ctx) for part in value.split(","))


def number_formats(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    """Read number formats parted by commas, or auto."""
    choice = click.Choice(["auto", *DTYPES])
    return tuple(choice(part.strip(), param, ctx) for part in value.split(","))


def _short(value: Any, taken: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
    """Return what may be a number; one of hundreds of digits is in no range."""
    if len(text := str(value)) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
        raise click.BadParameter(f"{text} is not in the range {taken}.", ctx, param)
    return value

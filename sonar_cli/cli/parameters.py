"""Reading the values of options that Click's own types do not read."""

from __future__ import annotations

import math
from typing import Any

import click

from sonar_cli.options import DTYPES


class Number(click.FloatRange):
    """A number within a range: NaN, which Click finds in every range, is in none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the number."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def count_or_auto(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    """Read a count of at least 1; auto is None."""
    return None if value == "auto" else click.IntRange(1)(value, param, ctx)


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
    count = click.IntRange(1)
    return tuple(count(part, param, ctx) for part in value.split(",") if part.strip())


def seeds(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Read seeds of at least 0, parted by commas."""
    if value is None:
        return None
    seed = click.IntRange(0)
    return tuple(seed(part.strip(), param, ctx) for part in value.split(","))


def number_formats(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    """Read number formats parted by commas, or auto."""
    choice = click.Choice(["auto", *DTYPES])
    return tuple(choice(part.strip(), param, ctx) for part in value.split(","))

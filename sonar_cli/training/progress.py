"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any


def bar(steps: range, name: str, progress: bool, unit: str = "step") -> Iterable[int]:
    """Return the steps, which advance a progress bar where stderr is a terminal.

    `tell` adds figures to the bar.
    """
    if not (progress and sys.stderr.isatty()):
        return steps
    from tqdm import tqdm

    done, total = steps.start // steps.step, -(-steps.stop // steps.step)
    shown: Iterable[int] = tqdm(
        steps, desc=name, unit=unit, initial=done, total=total, file=sys.stderr, dynamic_ncols=True
    )
    return shown


def tell(steps: Iterable[int], **figures: str) -> None:
    """Show figures behind a bar of `bar`, when it is next drawn."""
    shown: Any = getattr(steps, "set_postfix", None)
    if shown is not None:
        shown(figures, refresh=False)

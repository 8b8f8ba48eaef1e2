"""The curves of a training, from its log: a PNG, and the same in the terminal."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from sonar_cli.render.output import write_whole
from sonar_cli.render.progress import console
from sonar_cli.render.visible import visible

# (step, value), step by step
Points = Sequence[tuple[int, float]]

NATS, SQUARED = "loss (nats a token)", "squared error, normalized"
_UNITS = {"lcm-mse": SQUARED, "lcm-diffusion": SQUARED, "vectors": "squared error / variance"}
# Values whose range is wider than this factor are drawn on a logarithmic axis.
_WIDE = 10
# Of a panel in the terminal: its height, and what its lines are made of.
_ROWS, _MARKERS = 18, ("hd", "dot")
_MISSING = "no curves are drawn without matplotlib and plotext: pip install 'sonar-llm[train]'"


@dataclass(frozen=True)
class Panel:
    """Lines in one unit, which `label` names, over the same steps: name -> points."""

    label: str
    lines: Mapping[str, Points]

    @property
    def logarithmic(self) -> bool:
        """Whether the values are positive and span more than a factor of 10."""
        values = [value for points in self.lines.values() for _, value in points]
        return min(values) > 0 and max(values) > _WIDE * min(values)


def read_log(log: Path) -> dict[str, Points]:
    """Return each figure of a training's log by its name.

    A line that was cut off and a value that is no number are left out.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
            step = record.pop("step")
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        for name, value in record.items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                found.setdefault(name, []).append((step, value))
    return dict(found)


def panels(figures: Mapping[str, Points], trained: str) -> list[Panel]:
    """Return what the log of a system, of "vectors" or of a codec shows, without what is empty."""
    losses = {"training": figures.get("loss", ()), "validation": figures.get("valid_loss", ())}
    found = [
        Panel(f"{trained}: {_UNITS.get(trained, NATS)}", losses),
        Panel(f"{trained}: sentences given back (share)", {"exact": figures.get("exact", ())}),
    ]
    drawn = (Panel(each.label, {k: v for k, v in each.lines.items() if v}) for each in found)
    return [each for each in drawn if each.lines]


def draw_curves(
    logs: Sequence[tuple[Path, str]],
    png: Path,
    title: str,
    *,
    terminal: bool,
    notify: Callable[[str], None],
) -> None:
    """Draw what logs show, each given with what was trained, as a PNG.

    With `terminal` they are drawn on stderr as well. `notify` is told what kept a drawing from
    being made; the training itself is done.
    """
    shown = [panel for log, trained in logs for panel in panels(read_log(log), trained)]
    if not shown:
        return
    ways: list[Callable[[], None]] = [lambda: draw_png(shown, png, title)]
    if terminal:
        ways.append(lambda: draw_terminal(shown, title))
    for way in ways:
        try:
            way()
        except ImportError:
            notify(_MISSING)
        except OSError as error:
            notify(f"{png} could not be written: {error.strerror or error}")


def draw_png(shown: Sequence[Panel], path: Path, title: str) -> None:
    """Draw panels below one another into a PNG file, which is there whole or not at all."""
    # Where it caches its fonts is nothing that a training has to tell.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1 + 3.5 * len(shown)), layout="constrained")
    figure.suptitle(title)
    axes: Any = figure.subplots(len(shown), squeeze=False)[:, 0]
    for place, panel in zip(axes, shown, strict=True):
        for name, points in panel.lines.items():
            marker = "o" if len(points) < 30 else ""
            place.plot(*zip(*points, strict=True), label=name, marker=marker, markersize=4)
        place.set_ylabel(panel.label)
        place.set_xlabel("step")
        if panel.logarithmic:
            place.set_yscale("log")
        place.grid(alpha=0.3)
        place.legend()
    data = BytesIO()
    figure.savefig(data, format="png", dpi=120)
    write_whole(data.getvalue(), str(path))


def draw_terminal(shown: Sequence[Panel], title: str) -> None:
    """Draw panels below one another on stderr, as wide as the terminal.

    Without colour where there is no terminal or NO_COLOR is set.
    """
    import plotext

    if not hasattr(plotext, "build"):
        raise ImportError("plotext 6 has other functions")
    terminal = console(sys.stderr)
    plain = terminal.color_system is None
    for panel in shown:
        plotext.clear_figure()
        plotext.limit_size(False, False)  # the console's width may be given by COLUMNS
        plotext.plot_size(terminal.width, _ROWS)
        plotext.theme("clear" if plain else "pro")
        plotext.title(visible(title))
        plotext.xlabel("step")
        plotext.ylabel(panel.label)
        if panel.logarithmic:
            plotext.yscale("log")
        for (name, points), marker in zip(panel.lines.items(), _MARKERS, strict=False):
            plotext.plot(*zip(*points, strict=True), label=name, marker=marker)
        text = plotext.build()
        print(plotext.uncolorize(text) if plain else text, file=sys.stderr)
